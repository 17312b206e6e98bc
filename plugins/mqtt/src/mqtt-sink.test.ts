// What is published, and what comes of what the server says to it. Connections and what can happen to them are in
// connection.test.ts; the real server plays its part in integration/sinks/mqtt.test.ts.
import type { SinkBatch } from 'spillway/plugin';
import { markersIn, markersOf, sampleBatch, sampleBatchOf, sampleOriginUuid, sampleRecord } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deliver, deliverInTheEnd, SinkBench } from '../test/sink-bench.ts';

const delivered = { kind: 'delivered' };
let bench: SinkBench;

beforeEach(async () => {
  bench = await SinkBench.start();
});

afterEach(async () => {
  await bench.stop();
});

const markers = (): string[] => bench.server.payloads.flatMap(markersIn);
const arrivals = (): string[] => bench.server.arrived.flatMap(({ payload }) => markersIn(payload as Buffer));

describe('a message', () => {
  it.each([
    ['json', 'application/json', true],
    ['protobuf', 'application/x-protobuf', false],
  ])('holds one event, as %s, and says so', async (payload, contentType, isText) => {
    const sink = bench.make({ options: { payload, topic: 'a/{signal}' } });
    expect(await deliver(sink, sampleBatch('traces', 1, [2, 1]))).toEqual(delivered);
    expect(bench.server.payloads.map(markersIn)).toEqual(markersOf(1, 3).map((marker) => [marker]));
    expect(bench.server.published[2]).toMatchObject({
      topic: 'a/traces',
      qos: 1,
      retain: false,
      dup: false,
      properties: {
        contentType,
        payloadFormatIndicator: isText,
        userProperties: { signal: 'traces', key: `${sampleOriginUuid}/1-3` },
      },
    });
    expect(bench.server.published[2]?.properties).not.toHaveProperty('messageExpiryInterval');
  });

  it('is retained, expires and has another content type where the config says so', async () => {
    const options = { retain: true, message_expiry_secs: 60, content_type: 'application/vnd.event' };
    await deliver(bench.make({ options }), sampleBatch('logs', 1, [1]));
    expect(bench.server.published).toMatchObject([
      { retain: true, properties: { messageExpiryInterval: 60, contentType: 'application/vnd.event' } },
    ]);
  });

  it('of 3.1.1 has neither key nor type', async () => {
    await deliver(bench.make({ options: { protocol_version: '3.1.1' } }), sampleBatch('logs', 1, [2]));
    expect(bench.server.connects).toMatchObject([{ protocolVersion: 4 }]);
    expect(bench.server.published.map(({ properties }) => properties)).toEqual([undefined, undefined]);
    expect(markers()).toEqual(markersOf(1, 2));
  });

  it('has no key where keys mean nothing beyond this process', async () => {
    await deliver(bench.make({ origin: { uuid: undefined } }), sampleBatch('logs', 1, [1]));
    expect(bench.server.published[0]?.properties?.userProperties).toEqual({ signal: 'logs' });
  });

  it('goes to the topic that its event says, and to no other for what the event says', async () => {
    const sink = bench.make({ options: { topic: '{severity}/{resource.service.name}/{attribute.none}' } });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(delivered);
    expect(bench.server.published.map(({ topic }) => topic)).toEqual(Array(2).fill('info/sample/unknown'));
  });

  it('that cannot be made is rejected, after those before it', async () => {
    // A log record with a body that says it is longer than it is: counted like any other, for its own length is right.
    const bytes = Uint8Array.from([0x0a, 8, 0x12, 6, 0x12, 4, 0x2a, 2, 0x0a, 5]);
    const broken = { ...sampleRecord('logs', 3, 1), bytes };
    const batch = sampleBatchOf('logs', [sampleRecord('logs', 1, 2), broken, sampleRecord('logs', 4, 1)]);
    const sink = bench.make();
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'rejected', reason: expect.stringContaining('decoded') });
    expect(arrivals()).toEqual(markersOf(1, 2));
    expect(await deliver(bench.make({ options: { payload: 'protobuf' } }), sampleBatchOf('logs', [broken]))).toEqual(
      delivered,
    );
  });

  it('is counted before it gets its key', async () => {
    const wrong = sampleBatchOf('logs', [{ ...sampleRecord('logs', 1, 2), events: 3 }]);
    await expect(deliver(bench.make(), wrong)).rejects.toThrow('should hold 3 events, has 2');
  });
});

describe('what the server says to a message', () => {
  const batch = sampleBatch('logs', 1, [5]);

  it.each([
    [0x80, 'retryable', 'unspecified error'],
    [0x83, 'retryable', 'implementation specific error'],
    [0x87, 'blocked', 'not authorized'],
    [0x90, 'rejected', 'topic name invalid'],
    [0x91, 'retryable', 'packet identifier in use'],
    [0x95, 'too_large', 'packet too large'],
    [0x97, 'retryable', 'quota exceeded'],
    [0x99, 'rejected', 'payload format invalid'],
    [0xf0, 'retryable', 'nobody knows'],
  ])('0x%x is %s, and what it has taken is not sent again', async (code, kind, text) => {
    const sink = bench.make({ options: { max_in_flight: 1 } });
    bench.server.fates('ack', 'ack', { code, reason: 'because\u001b of\nthat' });
    const answer = await deliver(sink, batch);
    expect(answer).toMatchObject({ kind, reason: expect.stringContaining(text) });
    expect(answer).toMatchObject({ reason: expect.stringMatching(/\(0x[0-9a-f]{2}\); because {2}of that$/) });
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(markers()).toEqual(markersOf(1, 5));
    expect(bench.server.connects).toHaveLength(1);
  });

  it.each([0x00, 0x10])('0x%x is a success', async (code) => {
    const sink = bench.make();
    bench.server.fate = () => ({ code });
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(await deliver(sink, sampleBatch('logs', 6, [1]))).toEqual(delivered);
    const told = bench.context.log.lines.filter(({ message }) => message.includes('subscriber'));
    const expected = [
      { level: 'warn', fields: { events: 5 } },
      { level: 'debug', fields: { events: 1 } },
    ];
    expect(told).toMatchObject(code === 0x10 ? expected : []);
  });

  it('0x10 is none where there have to be subscribers', async () => {
    const sink = bench.make({ options: { require_subscribers: true, max_in_flight: 1 } });
    bench.server.fates('ack', { code: 0x10 });
    expect(await deliver(sink, batch)).toEqual({
      kind: 'retryable',
      reason: 'the server had no subscriber for a message (0x10)',
    });
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(arrivals()).toEqual([1, 2, 2, 3, 4, 5].flatMap((id) => markersOf(id, 1)));
  });

  it('stops the batch: what was under way with it is all that may overtake it', async () => {
    const sink = bench.make({ options: { max_in_flight: 3 } });
    const held = sampleBatch('logs', 1, [10]);
    bench.server.fates({ code: 0x97 });
    expect(await deliver(sink, held)).toMatchObject({ kind: 'retryable' });
    expect(arrivals()).toEqual(markersOf(1, 3));
    expect(await deliver(sink, held)).toEqual(delivered);
    expect(markers().sort()).toEqual(markersOf(1, 10));
    expect(arrivals()).toHaveLength(11);
  });

  it('lets nothing overtake a message that is refused again and again, and then taken', async () => {
    const sink = bench.make();
    bench.server.fate = () => ({ code: 0x87 });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'blocked' });
    expect(arrivals()).toEqual(markersOf(1, 5));
    for (let tries = 1; tries <= 3; tries += 1) {
      expect(await deliver(sink, batch)).toMatchObject({ kind: 'blocked' });
      expect(arrivals().slice(4 + tries)).toEqual(markersOf(1, 1));
    }
    // From now on it would take them: those behind the first just a little earlier than that one.
    bench.server.fates({ code: 0x87 });
    expect(await deliverInTheEnd(sink, batch)).toMatchObject([{ kind: 'blocked' }]);
    expect(markers()).toEqual(markersOf(1, 5));
    bench.server.fate = () => 'hold';
    const next = deliver(sink, sampleBatch('logs', 6, [4]));
    await expect.poll(() => bench.server.held).toBe(4); // They go side by side again.
    bench.server.release();
    expect(await next).toEqual(delivered);
  });

  it.each<[string, number[]]>([
    ['blocked', [0x99, 0x95, 0x97, 0x87]],
    ['retryable', [0x99, 0x95, 0x97]],
    ['too_large', [0x99, 0x95]],
    ['rejected', [0x99, 0x00]],
  ])('of several is %s if that has to be acted on first', async (kind, codes) => {
    bench.server.fates(...codes.map((code) => ({ code })));
    expect(await deliver(bench.make(), batch)).toMatchObject({ kind });
  });

  it('leads, by halving, to the one event that it does not want, and every other arrives once', async () => {
    const sink = bench.make();
    bench.server.fate = ({ payload }) => (markersIn(payload as Buffer)[0] === 'event-000006' ? { code: 0x99 } : 'ack');
    const rejected: string[] = [];
    const halve = async (firstId: number, events: number): Promise<void> => {
      const { kind } = await deliver(sink, sampleBatch('logs', firstId, [events]));
      if (kind === 'delivered') return;
      expect(kind).toBe('rejected');
      if (events === 1) rejected.push(...markersOf(firstId, 1));
      else {
        const half = Math.floor(events / 2);
        await halve(firstId, half);
        await halve(firstId + half, events - half);
      }
    };
    await halve(1, 16);
    expect(rejected).toEqual(markersOf(6, 1));
    expect(markers().sort()).toEqual(markersOf(1, 16).filter((marker) => marker !== 'event-000006'));
  });

  it('is matched by packet id: acknowledgements may come in any order', async () => {
    const sink = bench.make();
    bench.server.fate = () => 'hold';
    const answer = deliver(sink, batch);
    await expect.poll(() => bench.server.held).toBe(5);
    bench.server.release((held) => held.reverse());
    expect(await answer).toEqual(delivered);
  });

  it('in 3.1.1 can only be yes', async () => {
    const sink = bench.make({ options: { protocol_version: '3.1.1' } });
    expect(await deliver(sink, batch)).toEqual(delivered);
    bench.server.fates('ack', 'drop');
    expect(await deliver(sink, sampleBatch('logs', 6, [3]))).toMatchObject({ kind: 'retryable' });
    expect(await deliver(sink, sampleBatch('logs', 6, [3]))).toEqual(delivered);
  });
});

describe('what the server allows', () => {
  it.each([1, 3, 20])('a Receive Maximum of %i is never exceeded', async (receiveMaximum) => {
    bench.server.greeting = { properties: { receiveMaximum } };
    bench.server.fate = () => 'hold';
    const answer = deliver(bench.make(), sampleBatch('logs', 1, [40]));
    for (let left = 40; left > 0; left -= receiveMaximum) {
      await expect.poll(() => bench.server.held, { interval: 1 }).toBe(Math.min(receiveMaximum, left));
      bench.server.release();
    }
    expect(await answer).toEqual(delivered);
    expect(bench.server.inFlightMax).toBe(receiveMaximum);
    expect(markers()).toEqual(markersOf(1, 40));
  });

  it('without a word of it is what the config says', async () => {
    bench.server.fate = () => 'hold';
    const sink = bench.make({ options: { max_in_flight: 7 } });
    const answer = deliver(sink, sampleBatch('logs', 1, [20]));
    await expect.poll(() => bench.server.held).toBe(7);
    bench.server.fate = () => 'ack';
    bench.server.release();
    expect(await answer).toEqual(delivered);
    expect(bench.server.inFlightMax).toBe(7);
  });

  it('bounds what is under way in bytes, too', async () => {
    bench.server.fate = () => 'hold';
    const sink = bench.make({ options: { payload: 'protobuf' } });
    const answer = deliver(sink, sampleBatch('logs', 1, [10], 'x'.repeat(1_000_000)));
    await expect.poll(() => bench.server.held).toBe(4);
    bench.server.fate = () => 'ack';
    bench.server.release();
    expect(await answer).toEqual(delivered);
    expect(bench.server.inFlightMax).toBe(4);
  });

  it('in a packet is asked of every message before it is sent', async () => {
    bench.server.greeting = { properties: { maximumPacketSize: 1_000 } };
    const sink = bench.make();
    const large = sampleRecord('logs', 3, 1, 'x'.repeat(1_000));
    const batch = sampleBatchOf('logs', [sampleRecord('logs', 1, 2), large]);
    expect(await deliver(sink, batch)).toMatchObject({
      kind: 'too_large',
      reason: expect.stringMatching(/^a message of \d+ bytes is more than the server takes, 1000$/),
    });
    expect(markers()).toEqual(markersOf(1, 2));
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(delivered);
    expect(arrivals(), 'what it had was not sent again').toEqual(markersOf(1, 2));
  });

  it.each([
    ['QoS 0 only', { maximumQoS: 0 }, {}, /QoS 0/],
    ['no retained messages', { retainAvailable: false }, { retain: true }, /retains no messages/],
  ])('may be too little: %s', async (_, properties, options, reason) => {
    bench.server.greeting = { properties };
    const answer = await deliver(bench.make({ options }), sampleBatch('logs', 1, [1]));
    expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringMatching(reason) });
    expect(bench.server.arrived).toEqual([]);
  });

  it('no retained messages is enough for who retains none', async () => {
    bench.server.greeting = { properties: { retainAvailable: false } };
    expect(await deliver(bench.make(), sampleBatch('logs', 1, [1]))).toEqual(delivered);
  });
});

it('goes on where it was when the time was over before the batch was', async () => {
  const sink = bench.make({ options: { max_in_flight: 1 }, timeoutMs: 300 });
  const batch: SinkBatch = sampleBatch('logs', 1, [6]);
  bench.server.fate = ({ payload }) => (markersIn(payload as Buffer)[0] === 'event-000004' ? 'silent' : 'ack');
  expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable' });
  expect(markers()).toEqual(markersOf(1, 3));
  bench.server.fate = () => 'ack';
  expect(await deliverInTheEnd(sink, batch)).toEqual([]);
  expect(markers()).toEqual(markersOf(1, 6));
});
