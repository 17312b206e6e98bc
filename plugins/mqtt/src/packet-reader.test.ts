// Every byte that a server can say, written by a codec of others, cut anywhere, and garbage.
import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import type { ProtocolVersion } from './packet.ts';
import { answerBytesMax, PacketReader, type ServerPacket } from './packet-reader.ts';
import { ProtocolViolation } from './violation.ts';

const connack: Packet = {
  cmd: 'connack',
  sessionPresent: true,
  reasonCode: 0x97,
  properties: {
    sessionExpiryInterval: 7,
    receiveMaximum: 3,
    maximumQoS: 1,
    retainAvailable: false,
    maximumPacketSize: 1000,
    assignedClientIdentifier: 'you',
    topicAliasMaximum: 4,
    reasonString: 'too much',
    userProperties: { a: 'b' },
    wildcardSubscriptionAvailable: true,
    subscriptionIdentifiersAvailable: true,
    sharedSubscriptionAvailable: true,
    serverKeepAlive: 5,
    responseInformation: 'r',
    serverReference: 'other:1883',
    authenticationMethod: 'm',
    authenticationData: Buffer.from('d'),
  },
};
const puback: Packet = {
  cmd: 'puback',
  messageId: 77,
  reasonCode: 0x87,
  properties: { reasonString: 'no', userProperties: { a: 'b' } },
};
const disconnect: Packet = { cmd: 'disconnect', reasonCode: 0x8b, properties: { serverReference: 'there' } };

const said = [
  ...[connack, puback, disconnect].map((packet) => generate(packet, { protocolVersion: 5 })),
  generate({ cmd: 'pingresp' }),
];
const meant: ServerPacket[] = [
  {
    kind: 'connack',
    isSessionPresent: true,
    code: 0x97,
    properties: {
      receiveMaximum: 3,
      maximumQos: 1,
      isRetainAvailable: false,
      packetBytesMax: 1000,
      reason: 'too much',
      keepAliveSecs: 5,
      serverReference: 'other:1883',
    },
  },
  { kind: 'puback', packetId: 77, code: 0x87, properties: { reason: 'no' } },
  { kind: 'disconnect', code: 0x8b, properties: { serverReference: 'there' } },
  { kind: 'pingresp' },
];

function readAll(chunks: readonly Buffer[], version: ProtocolVersion = '5'): ServerPacket[] {
  const reader = new PacketReader(version);
  return chunks.flatMap((chunk) => [...reader.read(chunk)]);
}

const bytes = (...all: readonly number[]): Buffer => Buffer.from(all);

describe('what a server says', () => {
  it('is read, wherever the network cuts it', () => {
    const all = Buffer.concat(said);
    expect(readAll([all])).toEqual(meant);
    for (let cut = 0; cut <= all.length; cut += 1) {
      expect(readAll([all.subarray(0, cut), all.subarray(cut)])).toEqual(meant);
    }
    expect(readAll(Array.from(all, (byte) => bytes(byte)))).toEqual(meant);
  });

  it('of MQTT 3.1.1 has no properties', () => {
    expect(readAll([bytes(0x20, 2, 1, 0), bytes(0x40, 2, 0, 9), bytes(0xd0, 0)], '3.1.1')).toEqual([
      { kind: 'connack', isSessionPresent: true, code: 0, properties: {} },
      { kind: 'puback', packetId: 9, code: 0, properties: {} },
      { kind: 'pingresp' },
    ]);
  });

  it('may leave out what is usual', () => {
    expect(readAll([bytes(0x40, 2, 0, 9), bytes(0x40, 3, 0, 8, 0x10), bytes(0xe0, 0)])).toEqual([
      { kind: 'puback', packetId: 9, code: 0, properties: {} },
      { kind: 'puback', packetId: 8, code: 0x10, properties: {} },
      { kind: 'disconnect', code: 0, properties: {} },
    ]);
  });

  it('of a server that knows no MQTT 5 is understood as far as it goes', () => {
    expect(readAll([bytes(0x20, 2, 0, 1)])).toEqual([
      { kind: 'connack', isSessionPresent: false, code: 1, properties: {} },
    ]);
  });

  it('may be a message, of which nothing is collected', () => {
    expect(readAll([bytes(0x32, 0xff, 0xff, 0xff, 0x7f)])).toEqual([{ kind: 'publish' }]);
  });
});

describe('what no server says', () => {
  it.each([
    ['of a kind that nobody asked for', bytes(0x90, 3, 0, 1, 0)],
    ['with flags', bytes(0x41, 2, 0, 1)],
    ['of another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n')],
    ['of nothing but zeros', bytes(0, 0, 0, 0)],
    ['longer than it may be, at its first bytes', bytes(0x40, 0xff, 0xff, 0x7f)],
    ['with a length of five bytes', bytes(0x40, 0x80, 0x80, 0x80, 0x80, 0x01)],
    ['a CONNACK without a code', bytes(0x20, 1, 0)],
    ['a CONNACK with reserved flags', bytes(0x20, 3, 2, 0, 0)],
    ['a PUBACK without a packet id', bytes(0x40, 1, 0)],
    ['properties that are cut off', bytes(0x20, 5, 0, 0, 2, 33, 0)],
    ['properties with something behind', bytes(0x20, 4, 0, 0, 0, 9)],
    ['properties longer than the packet', bytes(0x20, 3, 0, 0, 200)],
    ['a property that there is none', bytes(0x20, 5, 0, 0, 2, 99, 0)],
    ['a text longer than its property', bytes(0x40, 7, 0, 1, 0, 3, 31, 0, 9)],
    ['a Receive Maximum of nought', bytes(0x20, 6, 0, 0, 3, 33, 0, 0)],
  ])('is refused: %s', (_, chunk) => {
    expect(() => readAll([chunk])).toThrow(ProtocolViolation);
  });

  it.each([
    ['a PUBACK with a reason code', bytes(0x40, 3, 0, 1, 0x87)],
    ['a DISCONNECT', bytes(0xe0, 0)],
  ])('in 3.1.1 is refused: %s', (_, chunk) => {
    expect(() => readAll([chunk], '3.1.1')).toThrow(ProtocolViolation);
  });

  it('throws nothing else, and keeps no more than one packet', () => {
    const chunks = fc.array(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(...said)), { maxLength: 8 });
    fc.assert(
      fc.property(chunks, fc.constantFrom<ProtocolVersion>('5', '3.1.1'), (all, version) => {
        try {
          readAll(
            all.map((chunk) => Buffer.from(chunk)),
            version,
          );
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolViolation);
        }
      }),
      { numRuns: 500 },
    );
    expect(() => readAll([bytes(0x20, ...digits(answerBytesMax)), Buffer.alloc(answerBytesMax - 1)])).not.toThrow();
    expect(() => readAll([bytes(0x20, ...digits(answerBytesMax + 1))])).toThrow(/at least 65537 bytes/);
  });

  it('is not repeated in the error: it may be anything', () => {
    expect(() => readAll([Buffer.from('secret')])).toThrow(/^a packet that begins with 0x73$/);
  });
});

function digits(length: number): number[] {
  return [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14];
}
