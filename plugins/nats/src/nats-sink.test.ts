// The promises of README.md against a server in this process. Faults are in nats-faults.test.ts; the real server plays
// its part in integration/sinks/nats.test.ts.

import type { SinkRecord } from 'spillway/plugin';
import { markersOf, sampleBatch, sampleBatchOf, sampleOriginUuid, sampleRecord } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deliver, deliveredAnswer, isAsking, isEvent, keysOf, never, SinkRig } from '../test/sink-rig.ts';
import { refusal } from '../test/stream-double.ts';

const uuid = sampleOriginUuid;
const signals = ['logs', 'traces', 'metrics'] as const;
let rig: SinkRig;

beforeEach(async () => {
  rig = await SinkRig.start();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

/** A log record of a host. */
function recordOf(id: number, host: string): SinkRecord {
  const text = (field: number, value: string): Buffer => lengthed(field, Buffer.from(value));
  const attribute = lengthed(1, text(1, 'host.name'), lengthed(2, text(1, host)));
  const logRecord = lengthed(2, lengthed(2, lengthed(5, text(1, `event-${id}`))));
  const bytes = lengthed(1, lengthed(1, attribute), logRecord);
  return { signal: 'logs', bytes, events: 1, id, origin: `${uuid}/1` };
}

function lengthed(field: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([(field << 3) | 2, body.length]), body]);
}

describe('messages', () => {
  it.each(['json', 'protobuf'] as const)('hold one event each under its key, as %s', async (payload) => {
    const sink = rig.sink({ options: { payload } });
    expect(await deliver(sink, sampleBatch('logs', 1, [3, 2]))).toEqual(deliveredAnswer);
    expect(await deliver(sink, sampleBatch('logs', 6, [1]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual(keysOf(1, 6));
    expect(rig.markers).toEqual(markersOf(1, 6));
    expect(rig.stream.messages[5]).toMatchObject({
      subject: 'telemetry.logs',
      headers: {
        'Spillway-Cursor': 'archive',
        'Spillway-Signal': 'logs',
        'Content-Type': payload === 'json' ? 'application/json' : 'application/x-protobuf',
        'Nats-Expected-Stream': 'telemetry',
        'Nats-Expected-Last-Sequence': '5',
        'Nats-Expected-Last-Msg-Id': `${uuid}/1-5`,
      },
    });
  });

  it('of each signal go to the stream that takes their subject', async () => {
    const spans = rig.server.addStream('spans', ['*.traces']);
    const sink = rig.sink({ options: { subject: 'by.{signal}' } });
    const blocked = { kind: 'blocked', reason: expect.stringMatching(/no stream takes the subject by\.logs/) };
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toMatchObject(blocked);
    expect(await deliver(sink, sampleBatch('traces', 1, [2]))).toEqual(deliveredAnswer);
    const logs = rig.server.addStream('logs', ['by.logs']);
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(deliveredAnswer);
    expect([spans, logs].map(({ messages }) => messages.length)).toEqual([2, 2]);
  });

  it('have the fields of their event in the subject, made harmless', async () => {
    const options = { subject: 'telemetry.{signal}.{resource.service.name}.{attribute.none}' };
    expect(await deliver(rig.sink({ options }), sampleBatch('logs', 1, [2]))).toEqual(deliveredAnswer);
    expect(rig.stream.messages.map(({ subject }) => subject)).toEqual(Array(2).fill('telemetry.logs.sample.unknown'));
  });

  it('of one batch that go to several streams stand in each in order, and come twice in none', async () => {
    const streams = ['one', 'two'].map((name) => rig.server.addStream(name, [`by.${name}`]));
    const sink = rig.sink({ options: { subject: 'by.{resource.host.name}' } });
    const records = [1, 2, 3, 4, 5, 6].map((id) => recordOf(id, id % 3 === 0 ? 'one' : 'two'));
    rig.server.failOnce(({ subject }) => subject === 'by.two', { say: refusal(503, 10_023, 'insufficient') }, 2);
    expect(await deliver(sink, sampleBatchOf('logs', records))).toMatchObject({ kind: 'retryable' });
    expect(await deliver(sink, sampleBatchOf('logs', records))).toEqual(deliveredAnswer);
    const found = streams.map(({ messages }) => messages.map(({ headers }) => headers['Nats-Msg-Id']));
    expect(found).toEqual([[3, 6].map((id) => `${uuid}/1-${id}`), [1, 2, 4, 5].map((id) => `${uuid}/1-${id}`)]);
  });

  it('that cannot be decoded have no JSON, and are refused for that; as protobuf they go through', async () => {
    const bytes = Uint8Array.from([0x0a, 8, 0x12, 6, 0x12, 4, 0x2a, 2, 0x0a, 5]);
    const batch = sampleBatchOf('logs', [{ signal: 'logs', bytes, events: 1, id: 1, origin: `${uuid}/1` }]);
    expect(await deliver(rig.sink(), batch)).toMatchObject({ kind: 'rejected' });
    const fields = rig.sink({ options: { payload: 'protobuf', subject: 'telemetry.{attribute.a}' } });
    expect(await deliver(fields, batch)).toMatchObject({ kind: 'rejected' });
    expect(await deliver(rig.sink({ options: { payload: 'protobuf' } }), batch)).toEqual(deliveredAnswer);
  });

  it('with half a surrogate or a zero in their text arrive', async () => {
    expect(await deliver(rig.sink(), sampleBatch('logs', 1, [2], ' \u0000 \ud800 x'))).toEqual(deliveredAnswer);
    expect(rig.markers).toEqual(markersOf(1, 2));
  });
});

describe('what comes again', () => {
  it('is left out, also in part, and counted', async () => {
    const context = rig.contextOf();
    const sink = rig.sink({}, context);
    await deliver(sink, sampleBatch('logs', 1, [4]));
    expect(await deliver(sink, sampleBatch('logs', 2, [2, 4]))).toEqual(deliveredAnswer);
    expect(await deliver(sink, sampleBatch('logs', 1, [7]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual(keysOf(1, 7));
    expect(context.log.lines.map(({ fields }) => fields['events']).filter(Boolean)).toEqual([3, 7]);
  });

  it('is known to a new process, however long ago it was and whatever the server has forgotten', async () => {
    await deliver(rig.sink(), sampleBatch('logs', 1, [4]));
    rig.stream.restart();
    expect(await deliver(rig.sink(), sampleBatch('logs', 3, [4]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual(keysOf(1, 6));
  });

  it('is known by its epoch: ids of a later one are new', async () => {
    await deliver(rig.sink(), sampleBatch('logs', 5, [2]));
    const later = sampleBatchOf('logs', [{ ...sampleRecord('logs', 7, 1), origin: `${uuid}/2` }]);
    expect(await deliver(rig.sink(), later)).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual([...keysOf(5, 2), ...keysOf(7, 1, 2)]);
  });

  it('and was removed from the stream is known by its id within the window', async () => {
    await deliver(rig.sink(), sampleBatch('logs', 1, [4]));
    rig.stream.purge();
    expect(await deliver(rig.sink(), sampleBatch('logs', 3, [4]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual(keysOf(5, 2));
  });

  it('and was removed from the stream comes twice after the window: a repeat rather than a loss', async () => {
    await deliver(rig.sink(), sampleBatch('logs', 1, [4]));
    rig.stream.messages.splice(2);
    rig.stream.forgetIds();
    expect(await deliver(rig.sink(), sampleBatch('logs', 2, [4]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual([...keysOf(1, 2), ...keysOf(3, 3)]);
  });

  it('and was lost by the server after it said that it has it is sent again as far as it is still here', async () => {
    const context = rig.contextOf();
    const sink = rig.sink({}, context);
    await deliver(sink, sampleBatch('logs', 1, [4]));
    rig.stream.messages.splice(2);
    rig.stream.lastSequence = 2;
    rig.stream.forgetIds();
    expect(await deliver(sink, sampleBatch('logs', 4, [3]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual([...keysOf(1, 2), ...keysOf(4, 3)]);
    const message = 'the stream has lost messages that the server had confirmed';
    const fields = { stream: 'telemetry', confirmed: 4, found: 2 };
    expect(context.log.lines.filter(({ level }) => level === 'warn')).toEqual([{ level: 'warn', message, fields }]);
  });

  it('and was removed after it was acknowledged on this connection is left out', async () => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [2]));
    let seen = 0;
    rig.server.fault = (command) => {
      if (isAsking('INFO')(command)) {
        rig.stream.purge();
        rig.stream.forgetIds();
      }
      if (isEvent(command)) seen += 1;
      return isEvent(command) && seen === 3 ? { say: refusal(400, 10_071, 'wrong last sequence: 9') } : undefined;
    };
    expect(await deliver(sink, sampleBatch('logs', 3, [6]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual(keysOf(5, 4));
    expect(rig.stream.lastSequence).toBe(8);
  });

  it('is sent into a stream that was made anew', async () => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [4]));
    rig.server.streams.splice(0);
    expect(await deliver(sink, sampleBatch('logs', 5, [2]))).toMatchObject({ kind: 'retryable' });
    expect(await deliver(sink, sampleBatch('logs', 5, [2]))).toMatchObject({ kind: 'blocked', reason: /no stream/ });
    rig.stream = rig.server.addStream('telemetry', ['telemetry.>']);
    expect(await deliver(sink, sampleBatch('logs', 5, [2]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual(keysOf(5, 2));
  });
});

describe('a stream', () => {
  const owner = { code: 'SPILLWAY_CONFIG_OWNER' };

  it.each([
    ['buffer', { uuid: 'another' }],
    ['cursor', { cursor: 'another' }],
  ])('of another %s is left alone', async (_, origin) => {
    await deliver(rig.sink(), sampleBatch('logs', 1, [2]));
    const records = [{ ...sampleRecord('logs', 9, 1), origin: `${'uuid' in origin ? origin.uuid : uuid}/9` }];
    await expect(deliver(rig.sink({ origin }), sampleBatchOf('logs', records))).rejects.toMatchObject(owner);
    expect(rig.ids).toEqual(keysOf(1, 2));
  });

  it.each([
    ['nothing', {}],
    ['an id of its own', { 'Nats-Msg-Id': 'order-17' }],
    ['an id like ours', { 'Nats-Msg-Id': `${uuid}/1-90` }],
  ])('whose last message says %s is left alone', async (_, headers) => {
    rig.server.publish('telemetry.logs', headers);
    await expect(deliver(rig.sink(), sampleBatch('logs', 1, [2]))).rejects.toMatchObject(owner);
    expect(rig.stream.messages).toHaveLength(1);
  });

  it.each([0, 1, 2])('that somebody else writes into, too, takes none of %i messages behind', async (before) => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [2]));
    let seen = 0;
    rig.server.fault = ({ subject }) => {
      if (subject === 'telemetry.logs' && seen++ === before) rig.server.publish('telemetry.alien');
      return undefined;
    };
    await expect(deliver(sink, sampleBatch('logs', 3, [4]))).rejects.toMatchObject(owner);
    expect(rig.ids).toEqual([...keysOf(1, 2 + before), undefined]);
    rig.server.fault = () => undefined;
    await expect(deliver(rig.sink(), sampleBatch('logs', 3, [4]))).rejects.toMatchObject(owner);
  });

  it('in which the message of somebody else is gone again goes on without a hole', async () => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [2]));
    rig.server.publish('telemetry.alien');
    rig.stream.messages.pop();
    expect(await deliver(sink, sampleBatch('logs', 3, [3]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual(keysOf(1, 5));
  });

  it('takes no events of another buffer than its own', async () => {
    const strange = sampleBatchOf('logs', [{ ...sampleRecord('logs', 1, 1), origin: 'another/1' }]);
    await expect(deliver(rig.sink(), strange)).rejects.toThrow(/should come from buffer/);
  });

  it('is created where that is asked for, once for each signal if its name says so', async () => {
    const options = {
      subject: 'new.{signal}.{severity}',
      stream: 'new-{signal}',
      create_stream: { max_bytes: '1MiB', max_age_secs: 60, replicas: 3, discard: 'new' },
    };
    const sink = rig.sink({ options });
    expect(await sink.checkHealth?.({ signal: never })).toEqual({ kind: 'healthy' });
    expect(await deliver(sink, sampleBatch('traces', 1, [2]))).toEqual(deliveredAnswer);
    expect(await deliver(sink, sampleBatch('logs', 3, [2]))).toEqual(deliveredAnswer);
    expect(rig.server.streams.map(({ name, messages }) => [name, messages.length])).toEqual([
      ['telemetry', 0],
      ['new-traces', 2],
      ['new-logs', 2],
    ]);
    expect(rig.server.createdWith).toMatchObject({
      ...{ name: 'new-logs', subjects: ['new.logs.*'], storage: 'file', num_replicas: 3 },
      ...{ max_age: 60e9, max_bytes: 1_048_576, discard: 'new' },
    });
  });

  it.each([
    ['telemetry2.{signal}', ['telemetry2.logs', 'telemetry2.traces', 'telemetry2.metrics']],
    ['{signal}.app-{resource.service.name}', ['logs.*', 'traces.*', 'metrics.*']],
    ['all.{severity}-{attribute.a.b}.x', ['all.*.x']],
  ])('that is created for %s takes every signal', async (subject, subjects) => {
    const sink = rig.sink({ options: { subject, stream: 'new', create_stream: {} } });
    for (const [index, signal] of signals.entries()) {
      expect(await deliver(sink, sampleBatch(signal, 1 + index, [1]))).toEqual(deliveredAnswer);
    }
    expect(rig.server.createdWith).toMatchObject({ name: 'new', subjects });
    expect(rig.server.streams.at(-1)?.messages).toHaveLength(signals.length);
  });

  it('that does not take the subject is blocked until it does', async () => {
    const sink = rig.sink({ options: { subject: 'other.{signal}', stream: 'telemetry' } });
    const reason = expect.stringMatching(/telemetry takes telemetry\.>, and not the subject other\.logs/);
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toMatchObject({ kind: 'blocked', reason });
    rig.server.streams.pop();
    rig.stream = rig.server.addStream('telemetry', ['telemetry.>', 'other.>']);
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual(keysOf(1, 2));
  });

  it('that takes the subject, and nobody answers for, is between two leaders', async () => {
    rig.server.failOnce(isEvent, 'absent');
    expect((await deliver(rig.sink(), sampleBatch('logs', 1, [2]))).kind).toBe('retryable');
  });

  it('that somebody creates at the same time is waited for until every server has heard of it', async () => {
    rig.server.failOnce(isAsking('CREATE'), { say: refusal(400, 10_058, 'stream name already in use') });
    const sink = rig.sink({ options: { subject: 'new.{signal}', stream: 'new', create_stream: {} } });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toMatchObject({
      kind: 'retryable',
      reason: /not there yet/,
    });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(deliveredAnswer);
  });

  it('that is to be created is healthy without it, but not without JetStream', async () => {
    const sink = rig.sink({ options: { stream: 'none', create_stream: {} } });
    expect(await sink.checkHealth?.({ signal: never })).toEqual({ kind: 'healthy' });
    expect(rig.server.streams).toHaveLength(1);
    rig.server.isJetStreamOn = false;
    expect(await sink.checkHealth?.({ signal: never })).toMatchObject({ kind: 'blocked', reason: /not enabled/ });
  });

  it('that is missing is blocked, also for the health check', async () => {
    const sink = rig.sink({ options: { stream: 'none' } });
    const blocked = { kind: 'blocked', reason: expect.stringMatching(/no stream none.*create_stream/) };
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toMatchObject(blocked);
    expect(await sink.checkHealth?.({ signal: never })).toMatchObject(blocked);
  });
});

describe('an event that is too large', () => {
  it.each(['server', 'stream'])('for the %s is told before it is sent, and what fits is sent', async (whose) => {
    if (whose === 'server') rig.server.info = { max_payload: 4_000 };
    else rig.stream.limits = { messageBytesMax: 4_000 };
    const sink = rig.sink();
    expect(await deliver(sink, sampleBatch('logs', 1, [1], 'x'.repeat(2_500)))).toEqual(deliveredAnswer);
    expect(await deliver(sink, sampleBatch('logs', 2, [1], 'x'.repeat(3_900)))).toMatchObject({ kind: 'too_large' });
    expect(await deliver(sink, sampleBatch('logs', 3, [1]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual([...keysOf(1, 1), ...keysOf(3, 1)]);
    expect(rig.server.connections).toBe(1);
  });
});

it('has no more on its way than it may, whatever the size of the batch', async () => {
  const waiting = { now: 0, most: 0 };
  rig.server.fault = ({ subject }) => {
    if (!subject.startsWith('telemetry.')) return undefined;
    waiting.now += 1;
    waiting.most = Math.max(waiting.most, waiting.now);
    // Nobody is answered before nothing more comes.
    if (waiting.now === 1) setImmediate(releaseWhenStill, 0);
    return 'hold';
  };
  function releaseWhenStill(before: number): void {
    if (waiting.now !== before) return void setImmediate(releaseWhenStill, waiting.now);
    waiting.now = 0;
    rig.server.release();
  }
  const sink = rig.sink({ options: { payload: 'protobuf' } });
  expect(await deliver(sink, sampleBatch('logs', 1, [1_000, 1_000, 500]))).toEqual(deliveredAnswer);
  expect(rig.ids).toEqual(keysOf(1, 2_500));
  expect(waiting.most).toBeLessThanOrEqual(1_000);
});

describe('deduplicate: window', () => {
  const options = { deduplicate: 'window' };

  it('writes into a stream of several, and asks it nothing', async () => {
    rig.server.publish('telemetry.alien');
    const sink = rig.sink({ options });
    expect(await deliver(sink, sampleBatch('logs', 1, [3]))).toEqual(deliveredAnswer);
    expect(await deliver(sink, sampleBatch('logs', 2, [3]))).toEqual(deliveredAnswer);
    expect(rig.ids.slice(1)).toEqual(keysOf(1, 4));
    expect(rig.server.commands.filter(({ subject }) => subject.startsWith('$JS'))).toEqual([]);
    expect(rig.stream.messages[1]?.headers['Nats-Expected-Last-Sequence']).toBeUndefined();
  });

  it('repeats what comes again after the window', async () => {
    const sink = rig.sink({ options });
    await deliver(sink, sampleBatch('logs', 1, [2]));
    rig.stream.forgetIds();
    await deliver(sink, sampleBatch('logs', 2, [2]));
    expect(rig.markers).toEqual([...markersOf(1, 2), ...markersOf(2, 2)]);
  });

  it('does not believe that a message without a place is there', async () => {
    rig.stream.limits = { notesIdsEarly: true };
    const sink = rig.sink({ options });
    const say = { stream: 'telemetry', seq: 0, duplicate: true } as const;
    rig.server.failOnce(isEvent, { say });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toMatchObject({ kind: 'retryable' });
  });

  it('needs no keys, and sends no ids then', async () => {
    const sink = rig.sink({ options, origin: { uuid: undefined } });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(deliveredAnswer);
    expect(rig.ids).toEqual([undefined, undefined]);
  });

  it('is blocked where no stream takes the subject', async () => {
    rig.server.streams.splice(0);
    const answer = await deliver(rig.sink({ options }), sampleBatch('logs', 1, [2]));
    expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringMatching(/no stream/) });
  });

  it('is what a buffer without keys needs', () => {
    expect(() => rig.sink({ origin: { uuid: undefined } })).toThrow(
      expect.objectContaining({ code: 'SPILLWAY_CONFIG_INVALID' }),
    );
  });
});
