import { describe, expect, it } from 'vitest';
import { Fields, framesIn, headerIn, methodBytes } from '../../test/amqp-bytes.ts';
import { OtherProtocol } from './ending.ts';
import { type Frame, FrameReader, frameType, heartbeatFrame } from './frame.ts';
import { exchangeDeclare, publicationFrames, queueBind, queueDeclare, readHeader } from './method.ts';
import { Malformed, WireReader, WireWriter } from './wire.ts';

const stream = Buffer.concat([heartbeatFrame, methodBytes(1, 85, 11), methodBytes(0, 10, 61), heartbeatFrame]);

function readAll(chunks: readonly Buffer[], frameBytesMax = 4096): Frame[] {
  const reader = new FrameReader(frameBytesMax);
  return chunks.flatMap((chunk) => [...reader.read(chunk)]);
}

describe('frames', () => {
  it('are the same wherever the network cuts them', () => {
    const whole = readAll([stream]);
    expect(whole.map(({ type, channel }) => [type, channel])).toEqual([
      [8, 0],
      [1, 1],
      [1, 0],
      [8, 0],
    ]);
    for (let cut = 0; cut <= stream.length; cut += 1) {
      expect(readAll([stream.subarray(0, cut), stream.subarray(cut)])).toEqual(whole);
    }
    expect(readAll([...stream].map((byte) => Buffer.from([byte])))).toEqual(whole);
  });

  it('with any bit turned over are other frames, or none', () => {
    const whole = JSON.stringify(readAll([stream]));
    for (let bit = 0; bit < stream.length * 8; bit += 1) {
      const bytes = Buffer.from(stream);
      bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      let found: string;
      try {
        found = JSON.stringify(readAll([bytes]));
      } catch (error) {
        expect(error instanceof Malformed || error instanceof OtherProtocol).toBe(true);
        continue;
      }
      expect(found).not.toBe(whole);
    }
  });

  it('may have just the size that was agreed on', () => {
    const frame = new WireWriter().frame(frameType.body, 1, () => undefined).bytes();
    const payload = Buffer.alloc(4096 - 8);
    const largest = Buffer.concat([frame.subarray(0, 3), Buffer.from([0, 0, 0x0f, 0xf8]), payload, frame.subarray(-1)]);
    expect(readAll([largest])).toHaveLength(1);
    expect(() => readAll([largest], 4095)).toThrow(/4096 bytes is too large/);
  });
});

describe('a message', () => {
  const properties = { contentType: 'text/plain', messageId: 'key', type: 'logs' };

  it.each([0, 1, 4088, 4089, 10_000, 100_000])('with a body of %i bytes is frames that fit', (bodyBytes) => {
    const body = Buffer.from(Array.from({ length: bodyBytes }, (_, index) => index & 255));
    const pieces = publicationFrames({ exchange: 'e', routingKey: 'r', properties, body }, 4096);
    const { frames, rest } = framesIn(Buffer.concat(pieces));
    expect(rest).toHaveLength(0);
    expect(frames.map(({ type }) => type)).toEqual([1, 2, ...Array(Math.ceil(bodyBytes / 4088)).fill(3)]);
    expect(frames.every(({ payload }) => payload.length <= 4088)).toBe(true);
    const { size, properties: read } = headerIn(frames[1]?.payload as Buffer);
    expect([size, read.messageId, read.deliveryMode, read.priority]).toEqual([bodyBytes, 'key', 2, undefined]);
    expect(Buffer.concat(frames.slice(2).map(({ payload }) => payload))).toEqual(body);
    expect(readHeader(new WireReader(frames[1]?.payload as Buffer))).toEqual({ bodyBytes, messageId: 'key' });
  });

  it('that comes back is known by its id, whatever else its header holds', () => {
    const writer = new WireWriter()
      .uint16(60)
      .uint16(0)
      .uint64(2 ** 33)
      .uint16(0xff80);
    writer
      .shortText('type')
      .shortText('encoding')
      .table({ a: 'b', c: { d: 1 } })
      .uint8(2)
      .uint8(9);
    writer.shortText('correlation').shortText('reply').shortText('60000').shortText('key');
    expect(readHeader(new WireReader(writer.bytes()))).toEqual({ bodyBytes: 2 ** 33, messageId: 'key' });
    expect(() => readHeader(new WireReader(writer.bytes().subarray(0, 40)))).toThrow(Malformed);
  });
});

describe('methods', () => {
  const fieldsOf = (bytes: Buffer): Fields => {
    const fields = new Fields(framesIn(bytes).frames[0]?.payload as Buffer);
    fields.long();
    fields.short();
    return fields;
  };

  it('carry arguments of any kind, beyond the first size of a writer as well', () => {
    const given = { text: 'ä'.repeat(2_000), number: -1, large: 2 ** 40, fraction: 1.5, yes: true, inner: { a: 'b' } };
    const fields = fieldsOf(queueDeclare({ queue: 'q', arguments: given, isPassive: false }));
    expect([fields.shortString(), fields.octet(), fields.table()]).toEqual(['q', 2, given]);
  });

  it('say whether they only ask', () => {
    const fields = fieldsOf(exchangeDeclare({ exchange: 'e', type: 'topic', isPassive: true }));
    expect([fields.shortString(), fields.shortString(), fields.octet(), fields.table()]).toEqual(['e', 'topic', 3, {}]);
  });

  it('name what they bind', () => {
    const fields = fieldsOf(queueBind('q', 'e', 'a.#'));
    expect([fields.shortString(), fields.shortString(), fields.shortString()]).toEqual(['q', 'e', 'a.#']);
  });

  it('hold no short string that is long', () => {
    expect(() => queueBind('x'.repeat(256), '', '')).toThrow(RangeError);
    expect(() => queueBind('x'.repeat(255), '', '')).not.toThrow();
  });
});
