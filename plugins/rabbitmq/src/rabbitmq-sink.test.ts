// What the sink sends, and what it makes of what the server says. The real server plays its part in
// integration/sinks/rabbitmq.test.ts.
import { type SinkBatch, z } from 'spillway/plugin';
import { markersOf, sampleBatch, sampleBatchOf, sampleOriginUuid } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fault } from '../test/rabbitmq-double.ts';
import { deliver, SinkRig } from '../test/sink-rig.ts';
import definition from './index.ts';

const delivered = { kind: 'delivered' };
let rig: SinkRig;

beforeEach(async () => {
  rig = await SinkRig.start();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

/** The messages with these numbers, counted from 1, meet this fault, once each. */
function failAt(fault: Fault, ...numbers: readonly number[]): void {
  const left = new Set(numbers);
  rig.server.fault = () => (left.delete(rig.server.published.length) ? fault : undefined);
}

describe('a message', () => {
  it.each([
    ['json', 'application/json'],
    ['protobuf', 'application/x-protobuf'],
  ] as const)('is one event as %s, persistent and mandatory, with its key', async (payload, contentType) => {
    const sink = rig.sink({ options: { payload } });
    expect(await deliver(sink, sampleBatch('logs', 1, [3, 2]))).toEqual(delivered);
    expect(await deliver(sink, sampleBatch('logs', 6, [1]))).toEqual(delivered);
    expect(rig.markers()).toEqual(markersOf(1, 6));
    expect(rig.stored()).toHaveLength(6);
    expect(rig.stored()[5]).toMatchObject({
      exchange: '',
      routingKey: 'events',
      isMandatory: true,
      properties: { contentType, deliveryMode: 2, messageId: `${sampleOriginUuid}/1-6`, type: 'logs' },
    });
    expect(rig.server.connections).toBe(1);
  });

  it('has the properties that were asked for', async () => {
    const properties = { content_type: 'text/x', content_encoding: 'none', priority: 7, expiration_ms: 60_000 };
    await deliver(rig.sink({ options: { properties } }), sampleBatch('traces', 1, [1]));
    expect(rig.stored()[0]?.properties).toEqual({
      contentType: 'text/x',
      contentEncoding: 'none',
      deliveryMode: 2,
      priority: 7,
      expiration: '60000',
      messageId: `${sampleOriginUuid}/1-1`,
      type: 'traces',
    });
  });

  it('of any size is cut into frames as the server wants them', async () => {
    rig.server.tune = { frameMax: 4096, heartbeat: 0 };
    const text = 'ä'.repeat(50_000);
    expect(await deliver(rig.sink(), sampleBatch('logs', 1, [2], text))).toEqual(delivered);
    expect(rig.markers()).toEqual(markersOf(1, 2));
    expect(rig.stored()[0]?.body.toString()).toContain(text);
    expect(rig.server.agreed).toEqual({ frameMax: 4096, heartbeat: 10 });
  });

  it('goes to an exchange by a routing key made of its fields, whose values are single words', async () => {
    const options = { exchange: 'telemetry', routing_key: 'v1.{signal}.{resource.service.name}.{attribute.none}' };
    rig.server.exchanges.add('telemetry');
    rig.server.bindings.set('telemetry/v1.metrics.sample.unknown', 'events');
    expect(await deliver(rig.sink({ options }), sampleBatch('metrics', 1, [2]))).toEqual(delivered);
    expect(rig.markers()).toEqual(markersOf(1, 2));
  });

  it('whose routing key is too long for the protocol is refused for that', async () => {
    const options = { exchange: 'telemetry', routing_key: `${'x'.repeat(250)}.{signal}` };
    const batch = sampleBatch('metrics', 1, [1]);
    expect(await deliver(rig.sink({ options }), batch)).toMatchObject({ kind: 'rejected' });
    expect(rig.server.connections).toBe(0);
  });

  it('that cannot be decoded has no JSON, and is refused for that; as protobuf it goes through', async () => {
    // A log record with a body that says it is longer than it is: counted like any other, for its own length is right.
    const bytes = Uint8Array.from([0x0a, 8, 0x12, 6, 0x12, 4, 0x2a, 2, 0x0a, 5]);
    const origin = `${sampleOriginUuid}/1`;
    const batch = sampleBatchOf('logs', [{ signal: 'logs', bytes, events: 1, id: 1, origin }]);
    expect(await deliver(rig.sink(), batch)).toMatchObject({ kind: 'rejected' });
    expect(await deliver(rig.sink({ options: { payload: 'protobuf' } }), batch)).toEqual(delivered);
  });
});

it('a batch whose messages are more than memory should hold is too large: each repeats its resource', async () => {
  const field = (number: number, ...parts: readonly Buffer[]): Buffer => {
    const content = Buffer.concat(parts);
    const size = content.length;
    const length = size < 128 ? [size] : [(size & 127) | 128, ((size >> 7) & 127) | 128, size >> 14];
    return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), content]);
  };
  const resource = field(1, Buffer.alloc(1_000_000, field(1, field(1, Buffer.from('name')))));
  const events = (count: number): SinkBatch => {
    const bytes = field(
      1,
      resource,
      field(2, ...Array.from({ length: count }, () => field(2, field(8, Buffer.alloc(8))))),
    );
    const origin = `${sampleOriginUuid}/1`;
    return sampleBatchOf('logs', [{ signal: 'logs', bytes, events: count, id: 1, origin }]);
  };
  const sink = rig.sink({ options: { payload: 'protobuf' } });
  expect(await deliver(sink, events(70))).toMatchObject({ kind: 'too_large' });
  expect(rig.server.connections).toBe(0);
  expect(await deliver(sink, events(2))).toEqual(delivered);
  expect(rig.stored().map(({ body }) => body.length > 1_000_000)).toEqual([true, true]);
});

it('a batch without events is delivered without a connection', async () => {
  expect(await deliver(rig.sink(), sampleBatchOf('logs', []))).toEqual(delivered);
  expect(rig.server.connections).toBe(0);
});

describe('confirmations', () => {
  it.each([1, 2, 3, 7])('of %i messages at once are counted', async (confirmEvery) => {
    rig.server.confirmEvery = confirmEvery;
    const sink = rig.sink();
    expect(await deliver(sink, sampleBatch('logs', 1, [10]))).toEqual(delivered);
    expect(await deliver(sink, sampleBatch('logs', 11, [1]))).toEqual(delivered);
    expect(rig.markers()).toEqual(markersOf(1, 11));
  });

  it('are awaited, each of them', async () => {
    failAt('hold', 2);
    const answer = deliver(rig.sink(), sampleBatch('logs', 1, [3]));
    let isAnswered = false;
    void answer.then(() => {
      isAnswered = true;
    });
    await expect.poll(() => rig.stored().length).toBe(3);
    expect(isAnswered).toBe(false);
    rig.server.release();
    expect(await answer).toEqual(delivered);
  });

  it('that refuse a message make only that one come again', async () => {
    failAt('nack', 2, 4);
    const sink = rig.sink();
    const batch = sampleBatch('logs', 1, [5]);
    expect(await deliver(sink, batch)).toEqual({ kind: 'retryable', reason: expect.stringMatching(/2 of 5 .*nack/) });
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(rig.markers().sort()).toEqual(markersOf(1, 5));
    expect(rig.server.connections).toBe(1);
  });
});

describe('a message without a route', () => {
  it('is returned and confirmed: blocked, until somebody binds a queue', async () => {
    const options = { exchange: 'telemetry', routing_key: '{signal}' };
    rig.server.exchanges.add('telemetry');
    const sink = rig.sink({ options });
    const batch = sampleBatch('logs', 1, [3]);
    const reason = expect.stringMatching(/3 of 3 messages have no route.*telemetry.*NO_ROUTE/);
    expect(await deliver(sink, batch)).toEqual({ kind: 'blocked', reason });
    expect(await deliver(sink, batch)).toEqual({ kind: 'blocked', reason });
    expect(await sink.checkHealth?.({ signal: new AbortController().signal })).toEqual({ kind: 'healthy' });
    rig.server.bindings.set('telemetry/logs', 'events');
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(rig.markers()).toEqual(markersOf(1, 3));
    expect(rig.server.connections).toBe(1);
  });

  it.each([1, 4])('among others does not make those come again, with confirmations of %i', async (confirmEvery) => {
    rig.server.confirmEvery = confirmEvery;
    const options = { exchange: 'telemetry', routing_key: '{severity}' };
    rig.server.exchanges.add('telemetry');
    rig.server.bindings.set('telemetry/info', 'events');
    const sink = rig.sink({ options: { ...options, payload: 'protobuf' } });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(delivered);
    rig.server.bindings.delete('telemetry/info');
    const batch = sampleBatch('logs', 3, [6]);
    let seen = 0;
    rig.server.fault = () => {
      seen += 1;
      if (seen === 4) rig.server.bindings.set('telemetry/info', 'events');
      return undefined;
    };
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'blocked', reason: expect.stringMatching(/3 of 6/) });
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(rig.markers().sort()).toEqual(markersOf(1, 8));
  });

  it('is named by the queue that is gone', async () => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [1]));
    rig.server.queues.delete('events');
    const answer = await deliver(sink, sampleBatch('logs', 2, [1]));
    expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringMatching(/no queue events/) });
  });
});

describe('exchange, queue and binding', () => {
  it('have to be there, unless they are to be declared', async () => {
    for (const options of [{ queue: 'nobodys' }, { exchange: 'nobodys' }]) {
      const sink = rig.sink({ options });
      const reason = expect.stringMatching(/404 NOT_FOUND - no (?:queue|exchange) 'nobodys'/);
      expect(await deliver(sink, sampleBatch('logs', 1, [1]))).toEqual({ kind: 'blocked', reason });
      expect(await sink.checkHealth?.({ signal: new AbortController().signal })).toEqual({ kind: 'blocked', reason });
    }
    expect(rig.server.published).toEqual([]);
    expect(rig.server.declared).toEqual([]);
  });

  it('are declared durable on request', async () => {
    const declare = {
      queue_type: 'classic',
      arguments: { 'x-max-length': 10, 'x-overflow': 'reject-publish', a: true },
    };
    expect(await deliver(rig.sink({ options: { queue: 'new', declare } }), sampleBatch('logs', 1, [1]))).toEqual(
      delivered,
    );
    expect(rig.server.declared).toEqual([
      { queue: 'new', flags: 2, arguments: { 'x-queue-type': 'classic', ...declare.arguments } },
    ]);
    expect(rig.markers('new')).toEqual(markersOf(1, 1));
  });

  it('are declared and bound where messages go to an exchange', async () => {
    const options = { exchange: 'made', routing_key: 'a.{signal}', declare: { queue: 'bound' } };
    expect(await deliver(rig.sink({ options }), sampleBatch('logs', 1, [2]))).toEqual(delivered);
    expect(rig.server.declared).toEqual([
      { exchange: 'made', type: 'topic', flags: 2 },
      { queue: 'bound', flags: 2, arguments: { 'x-queue-type': 'quorum' } },
      { bind: 'bound', exchange: 'made', key: '#' },
    ]);
    expect(rig.markers('bound')).toEqual(markersOf(1, 2));
  });
});

describe('a server that closes the channel or the connection', () => {
  it.each([
    ['closeChannel', 404, "NOT_FOUND - no exchange 'x'", 'blocked'],
    ['closeChannel', 403, 'ACCESS_REFUSED - write access refused', 'blocked'],
    ['closeChannel', 406, 'PRECONDITION_FAILED - invalid expiration', 'blocked'],
    ['closeChannel', 406, 'PRECONDITION_FAILED - message size 9 is larger than configured max size 8', 'too_large'],
    [
      'closeConnection',
      320,
      "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
      'retryable',
    ],
    ['closeConnection', 541, 'INTERNAL_ERROR', 'retryable'],
  ] as const)('by %s %i %s: %s', async (kind, code, text, expected) => {
    failAt((kind === 'closeChannel' ? { closeChannel: code, text } : { closeConnection: code, text }) as Fault, 2);
    const sink = rig.sink();
    const batch = sampleBatch('logs', 1, [3]);
    const answer = await deliver(sink, batch);
    expect(answer).toEqual({ kind: expected, reason: `127.0.0.1:${rig.server.port}: ${code} ${text}` });
    expect(await deliver(sink, batch)).toEqual(delivered);
    expect(new Set(rig.markers())).toEqual(new Set(markersOf(1, 3)));
    expect(rig.server.connections).toBe(2);
  });
});

describe('a login', () => {
  it('is taken from the connection string, or from keys of their own', async () => {
    const withUser = rig.server.url.replace('//', '//us%40er:gu%2Fest@');
    rig.server.password = 'gu/est';
    for (const options of [{ connection_string: withUser }, { username: 'us@er', password: 'gu/est' }]) {
      expect(await deliver(rig.sink({ options }), sampleBatch('logs', 1, [1]))).toEqual(delivered);
    }
    rig.server.password = 'guest';
    expect(await deliver(rig.sink(), sampleBatch('logs', 1, [1]))).toEqual(delivered);
    expect(rig.server.logins).toEqual(['PLAIN  us@er gu/est', 'PLAIN  us@er gu/est', 'PLAIN  guest guest']);
  });

  it('that is refused is blocked with the reason, and so is a virtual host that is not there', async () => {
    rig.server.password = 'another';
    const answer = await deliver(rig.sink(), sampleBatch('logs', 1, [1]));
    expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringMatching(/403 ACCESS_REFUSED/) });
    rig.server.password = 'guest';
    const elsewhere = rig.sink({ options: { connection_string: `${rig.server.url}/elsewhere` } });
    const reason = expect.stringMatching(/530 NOT_ALLOWED - vhost not found/);
    expect(await deliver(elsewhere, sampleBatch('logs', 1, [1]))).toEqual({ kind: 'blocked', reason });
  });

  it('by a way that the server does not offer is blocked', async () => {
    rig.server.mechanisms = 'EXTERNAL';
    const reason = expect.stringMatching(/no login by PLAIN, only by EXTERNAL/);
    expect(await deliver(rig.sink(), sampleBatch('logs', 1, [1]))).toEqual({ kind: 'blocked', reason });
  });
});

it('can be described by a JSON Schema', () => {
  const described = z.toJSONSchema(definition.schema, { io: 'input', unrepresentable: 'any' });
  expect(described).toMatchObject({ required: ['connection_string'] });
});
