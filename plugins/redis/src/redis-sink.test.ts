// The promises of README.md against a server in this process, with a fault at every point where one can strike. The
// real server plays its part in integration/sinks/redis.test.ts.

import type { Sink, SinkAnswer, SinkBatch } from 'spillway/plugin';
import {
  markersIn,
  markersOf,
  realWorld,
  sampleBatch,
  sampleBatchOf,
  sampleOriginUuid,
  sampleRecord,
  testSinkContext,
} from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RedisDouble } from '../test/redis-double.ts';
import definition from './index.ts';

const uuid = sampleOriginUuid;
const never = new AbortController().signal;
let server: RedisDouble;
const sinks: Sink[] = [];

beforeEach(async () => {
  server = await RedisDouble.start();
});

afterEach(async () => {
  await Promise.all(sinks.splice(0).map((sink) => sink.close?.()));
  await server.stop();
});

interface Given {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly origin?: { readonly buffer?: string; readonly cursor?: string; readonly uuid?: string | undefined };
  readonly timeoutMs?: number;
}

function contextOf({ origin = {}, timeoutMs = 5_000 }: Given): ReturnType<typeof testSinkContext> {
  return testSinkContext({ world: realWorld(), id: 'archive', timeoutMs, origin: { uuid, ...origin } as never });
}

function makeSink(given: Given = {}, context: ReturnType<typeof testSinkContext> = contextOf(given)): Sink {
  const options = definition.schema.parse({ url: server.url, stream: 'events', ...given.options });
  const sink = definition.create(options as never, context as never) as Sink;
  sinks.push(sink);
  return sink;
}

const deliver = (sink: Sink, batch: SinkBatch): Promise<SinkAnswer> => sink.deliver(batch, { signal: never });
const idsOf = (stream = 'events'): readonly string[] => server.entries(stream).map(({ id }) => id);
const markers = (stream = 'events'): string[] =>
  server.entries(stream).flatMap(({ fields }) => markersIn(fields['data'] ?? ''));
const range = (from: number, count: number, epoch = 1): string[] =>
  Array.from({ length: count }, (_, index) => `${epoch}-${from + index}`);
const deliveredAnswer = { kind: 'delivered' };

describe('entries', () => {
  it.each(['json', 'protobuf'] as const)('hold one event each under its key, as %s', async (payload) => {
    const sink = makeSink({ options: { payload } });
    expect(await deliver(sink, sampleBatch('logs', 1, [3, 2]))).toEqual(deliveredAnswer);
    expect(await deliver(sink, sampleBatch('logs', 6, [1]))).toEqual(deliveredAnswer);
    expect(idsOf()).toEqual(range(1, 6));
    expect(markers()).toEqual(markersOf(1, 6));
    expect(server.entries('events')[0]?.fields['signal']).toBe('logs');
    expect(server.hash('{events}:spillway')).toEqual({ buffer: uuid, cursor: 'archive', last_id: '1-6' });
  });

  it('of each signal have a stream of their own where the name says so', async () => {
    const sink = makeSink({ options: { stream: '{app}:{signal}' } });
    for (const signal of ['logs', 'traces', 'metrics'] as const) {
      expect(await deliver(sink, sampleBatch(signal, 1, [2]))).toEqual(deliveredAnswer);
      expect(markers(`{app}:${signal}`)).toEqual(markersOf(1, 2));
      expect(server.hash(`{app}:${signal}:spillway`)).toMatchObject({ last_id: '1-2' });
    }
  });

  it('that cannot be decoded have no JSON, and are refused for that; as protobuf they go through', async () => {
    // A log record with a body that says it is longer than it is: counted like any other, for its own length is right.
    const bytes = Uint8Array.from([0x0a, 8, 0x12, 6, 0x12, 4, 0x2a, 2, 0x0a, 5]);
    const batch = sampleBatchOf('logs', [{ signal: 'logs', bytes, events: 1, id: 1, origin: `${uuid}/1` }]);
    expect(await deliver(makeSink(), batch)).toMatchObject({ kind: 'rejected' });
    expect(await deliver(makeSink({ options: { payload: 'protobuf' } }), batch)).toEqual(deliveredAnswer);
  });

  it('are one transaction a batch', async () => {
    const sink = makeSink();
    await deliver(sink, sampleBatch('logs', 1, [2, 2]));
    const names = server.commands.map(([name]) => name);
    const sent = names.slice(names.lastIndexOf('MULTI'), names.lastIndexOf('EXEC') + 1);
    expect(sent).toEqual(['MULTI', 'XADD', 'XADD', 'XADD', 'XADD', 'HSET', 'EXEC']);
  });

  it('are trimmed to about the length asked for', async () => {
    const sink = makeSink({ options: { max_length: 3 } });
    await deliver(sink, sampleBatch('logs', 1, [5]));
    expect(server.commands).toContainEqual(['XTRIM', 'events', 'MAXLEN', '~', '3']);
    expect(idsOf()).toEqual(range(3, 3));
  });
});

describe('what comes again', () => {
  it('is left out, also in part, and counted', async () => {
    const context = contextOf({});
    const sink = makeSink({}, context);
    await deliver(sink, sampleBatch('logs', 1, [4]));
    expect(await deliver(sink, sampleBatch('logs', 2, [2, 4]))).toEqual(deliveredAnswer);
    expect(await deliver(sink, sampleBatch('logs', 1, [7]))).toEqual(deliveredAnswer);
    expect(idsOf()).toEqual(range(1, 7));
    expect(context.log.lines.map(({ fields }) => fields['events']).filter(Boolean)).toEqual([3, 7]);
  });

  it('is known to a new process, also where the stream was trimmed to nothing', async () => {
    await deliver(makeSink(), sampleBatch('logs', 1, [4]));
    server.run('XTRIM', 'events', 'MAXLEN', '0');
    await deliver(makeSink(), sampleBatch('logs', 3, [4]));
    expect(idsOf()).toEqual(range(5, 2));
  });

  it('is known by its epoch: ids of a later one are new', async () => {
    await deliver(makeSink(), sampleBatch('logs', 5, [2]));
    const later = sampleBatchOf('logs', [{ ...sampleRecord('logs', 7, 1), origin: `${uuid}/2` }]);
    expect(await deliver(makeSink(), later)).toEqual(deliveredAnswer);
    expect(idsOf()).toEqual(['1-5', '1-6', '2-7']);
  });

  it('is written again where the stream was deleted: a repeat rather than a loss', async () => {
    await deliver(makeSink(), sampleBatch('logs', 1, [4]));
    server.run('DEL', 'events');
    await deliver(makeSink(), sampleBatch('logs', 3, [4]));
    expect(idsOf()).toEqual(range(3, 4));
    server.run('DEL', 'events', '{events}:spillway');
    await deliver(makeSink(), sampleBatch('logs', 5, [3]));
    expect(idsOf()).toEqual(range(5, 3));
  });
});

describe('a fault', () => {
  const batches = [sampleBatch('logs', 1, [2]), sampleBatch('logs', 3, [3]), sampleBatch('logs', 6, [1])];

  async function deliverAll(sink: Sink, each: (answer: SinkAnswer) => void = () => undefined): Promise<void> {
    for (const batch of batches) {
      for (let tries = 0; ; tries += 1) {
        const answer = await deliver(sink, batch);
        each(answer);
        if (answer.kind === 'delivered') break;
        expect(tries).toBeLessThan(5);
      }
    }
  }

  /** Holds one EXEC back, until another one comes, if at all. The first on a connection is an inspection's. */
  function holdExec(at: number, releasedAt?: number): { readonly seen: number; readonly held: boolean } {
    const execs = { seen: 0, held: false };
    server.fault = ([name]) => {
      if (name !== 'EXEC') return undefined;
      execs.seen += 1;
      if (execs.seen === releasedAt) server.release();
      execs.held ||= execs.seen === at;
      return execs.seen === at ? 'hold' : undefined;
    };
    return execs;
  }

  /** Delivers, and is told to give up once it waits for what does not come. */
  async function giveUp(sink: Sink, batch: SinkBatch, isWaiting: () => boolean): Promise<void> {
    const stop = new AbortController();
    const answer = sink.deliver(batch, { signal: stop.signal });
    await expect.poll(isWaiting, { timeout: 10_000 }).toBe(true);
    stop.abort();
    expect(await answer).toMatchObject({ kind: 'retryable' });
  }

  const commands = ['MULTI', 'XADD', 'HSET', 'EXEC', 'WATCH', 'HMGET', 'XINFO'];
  const cases = commands.flatMap((command) =>
    (['drop', 'lose'] as const).flatMap((fault) => [0, 1, 2].map((skipped) => ({ command, fault, skipped }))),
  );

  it.each(cases)('$fault at $command after $skipped of them loses and repeats nothing', async (at) => {
    let seen = 0;
    server.fault = ([name]) => {
      if (name !== at.command) return undefined;
      seen += 1;
      return seen === at.skipped + 1 ? at.fault : undefined;
    };
    const kinds: string[] = [];
    await deliverAll(makeSink(), ({ kind }) => kinds.push(kind));
    expect(idsOf()).toEqual(range(1, 6));
    expect(markers()).toEqual(markersOf(1, 6));
    expect(new Set(kinds)).toEqual(seen > at.skipped ? new Set(['retryable', 'delivered']) : new Set(['delivered']));
  });

  it('that keeps an answer back ends with the connection, and what was sent is never executed', async () => {
    const sink = makeSink();
    const execs = holdExec(2);
    await giveUp(sink, batches[0] as SinkBatch, () => execs.held);
    server.fault = () => undefined;
    await deliverAll(sink);
    expect(idsOf()).toEqual(range(1, 6));
  });

  it('of the network that delivers an EXEC late meets a watched companion', async () => {
    // It arrives only after the next one has looked: the third EXEC is that of its inspection, the fourth its batch's.
    const execs = holdExec(2, 4);
    await giveUp(makeSink(), sampleBatch('logs', 1, [4]), () => execs.held);
    expect(await deliver(makeSink(), sampleBatch('logs', 1, [2, 4]))).toEqual(deliveredAnswer);
    expect(execs.seen).toBeGreaterThan(4);
    expect(idsOf()).toEqual(range(1, 6));
  });

  it('of the network that delivers an EXEC late meets it although another signal was written', async () => {
    const sink = makeSink({ options: { stream: '{signal}' } });
    const traces = sampleBatch('traces', 100, [1]);
    await deliver(sink, sampleBatch('logs', 1, [2]));
    await deliver(sink, traces);
    const execs = holdExec(1);
    await giveUp(sink, sampleBatch('logs', 3, [2]), () => execs.held);
    server.fault = () => undefined;
    const next = makeSink({ options: { stream: '{signal}' } });
    for (const id of [3, 5]) expect(await deliver(next, sampleBatch('logs', id, [2]))).toEqual(deliveredAnswer);
    server.release();
    expect(server.hash('{logs}:spillway')).toMatchObject({ last_id: '1-6' });
    expect(await deliver(makeSink({ options: { stream: '{signal}' } }), sampleBatch('logs', 7, [1]))).toEqual(
      deliveredAnswer,
    );
    expect(idsOf('logs')).toEqual(range(1, 7));
  });

  it('that nobody ends is over after the time-out', async () => {
    server.fault = ([name]) => (name === 'EXEC' ? 'hang' : undefined);
    const sink = makeSink({ timeoutMs: 100 });
    expect(await deliver(sink, batches[0] as SinkBatch)).toMatchObject({ kind: 'retryable', reason: /in time/ });
  });

  it.each([
    ['READONLY You can not write against a read only replica.', 'retryable'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'retryable'],
    ['LOADING Redis is loading the dataset in memory', 'retryable'],
    ['MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.', 'retryable'],
    ['NOREPLICAS Not enough good replicas to write.', 'retryable'],
    ["NOPERM this user has no permissions to run the 'xadd' command", 'blocked'],
    ['MOVED 3999 127.0.0.1:6381', 'blocked'],
    ['ERR something that nobody has heard of', 'retryable'],
  ])('"%s" is %s, and afterwards all goes on', async (error, kind) => {
    server.failOnce('XADD', { error });
    const sink = makeSink();
    expect(await deliver(sink, batches[0] as SinkBatch)).toMatchObject({
      kind,
      reason: expect.stringContaining(error),
    });
    await deliverAll(sink);
    expect(idsOf()).toEqual(range(1, 6));
  });

  it('of a key of another kind is blocked, and moves nothing', async () => {
    const sink = makeSink();
    await deliver(sink, batches[0] as SinkBatch);
    server.run('DEL', 'events');
    server.run('HSET', 'events', 'a', 'b');
    expect(await deliver(sink, batches[1] as SinkBatch)).toMatchObject({ kind: 'blocked' });
    server.run('DEL', 'events');
    expect(await deliver(sink, batches[1] as SinkBatch)).toEqual(deliveredAnswer);
    expect(idsOf()).toEqual(range(3, 3));
  });

  it('of the connection is told with its cause', async () => {
    const sink = makeSink();
    await deliver(sink, batches[0] as SinkBatch);
    server.failOnce('EXEC', 'drop');
    const reason = expect.stringMatching(/^connection lost while waiting for MULTI: 127.0.0.1:\d+: .*(?:closed|reset)/);
    expect(await deliver(sink, batches[1] as SinkBatch)).toEqual({ kind: 'retryable', reason });
    // One that breaks while nobody waits is noticed by nobody: the next batch takes another.
    expect(await deliver(sink, batches[1] as SinkBatch)).toEqual(deliveredAnswer);
    server.breakConnections();
    await expect.poll(() => server.openConnections).toBe(0);
    await new Promise((resolve) => setImmediate(resolve));
    expect((await deliver(sink, batches[2] as SinkBatch)).kind).toMatch(/delivered|retryable/);
    expect(await deliver(sink, batches[2] as SinkBatch)).toEqual(deliveredAnswer);
    expect(idsOf()).toEqual(range(1, 6));
  });

  it('of an address where nobody listens is retryable', async () => {
    const sink = makeSink({ options: { url: 'redis://127.0.0.1:1' } });
    expect(await deliver(sink, batches[0] as SinkBatch)).toMatchObject({ kind: 'retryable' });
    expect(await sink.checkHealth?.({ signal: never })).toMatchObject({ kind: 'retryable' });
  });

  it('of a password is blocked', async () => {
    server.password = 'right';
    const wrong = makeSink({ options: { password: 'wrong' } });
    expect(await deliver(wrong, batches[0] as SinkBatch)).toMatchObject({ kind: 'blocked', reason: /WRONGPASS/ });
    const none = makeSink();
    expect(await deliver(none, batches[0] as SinkBatch)).toMatchObject({ kind: 'blocked', reason: /NOAUTH/ });
    expect(await none.checkHealth?.({ signal: never })).toMatchObject({ kind: 'blocked' });
    const right = makeSink({ options: { password: 'right' } });
    expect(await right.checkHealth?.({ signal: never })).toEqual({ kind: 'healthy' });
    expect(await deliver(right, batches[0] as SinkBatch)).toEqual(deliveredAnswer);
  });
});

describe('an event that is too large for the server', () => {
  it('is told before it is sent', async () => {
    server.bulkBytesMax = 2 * 1024 * 1024;
    const sink = makeSink();
    const large = sampleBatch('logs', 1, [1], 'x'.repeat(3 * 1024 * 1024));
    expect(await deliver(sink, large)).toMatchObject({ kind: 'too_large' });
    expect(await deliver(sink, sampleBatch('logs', 1, [1], 'x'.repeat(1.5 * 1024 * 1024)))).toEqual(deliveredAnswer);
  });

  it('has company that makes it so: a batch whose entries would fill the memory is halved', async () => {
    const sink = makeSink({ options: { payload: 'protobuf' } });
    const text = 'x'.repeat(1024 * 1024);
    expect(await deliver(sink, sampleBatch('logs', 1, [40, 40], text))).toMatchObject({ kind: 'too_large' });
    expect(idsOf()).toEqual([]);
  });

  it('has company that is small but many: each entry is a command that waits for its answer', async () => {
    const sink = makeSink({ options: { payload: 'protobuf' } });
    expect(await deliver(sink, sampleBatch('logs', 1, Array(65).fill(1_000)))).toMatchObject({ kind: 'too_large' });
    expect(idsOf()).toEqual([]);
  });

  it('is known by what the server says before it hangs up', async () => {
    server.failOnce('XADD', { error: 'ERR Protocol error: invalid bulk length' });
    expect(await deliver(makeSink(), sampleBatch('logs', 1, [1]))).toMatchObject({ kind: 'too_large' });
  });
});

describe('a stream', () => {
  const owner = { code: 'SPILLWAY_CONFIG_OWNER' };

  it.each([
    ['buffer', { uuid: 'another' }],
    ['cursor', { cursor: 'another' }],
  ])('of another %s is left alone', async (_, origin) => {
    await deliver(makeSink(), sampleBatch('logs', 1, [2]));
    const records = [{ ...sampleRecord('logs', 9, 1), origin: `${'uuid' in origin ? origin.uuid : uuid}/9` }];
    await expect(deliver(makeSink({ origin }), sampleBatchOf('logs', records))).rejects.toMatchObject(owner);
    expect(idsOf()).toEqual(range(1, 2));
  });

  it('with entries that nobody owns is left alone', async () => {
    server.run('XADD', 'events', '*', 'a', 'b');
    await expect(deliver(makeSink(), sampleBatch('logs', 1, [2]))).rejects.toMatchObject(owner);
    expect(server.hash('{events}:spillway')).toBeUndefined();
  });

  it('that somebody else writes into, too, ends the sink before anything is taken for a repeat', async () => {
    const sink = makeSink();
    await deliver(sink, sampleBatch('logs', 1, [2]));
    server.run('XADD', 'events', '*', 'a', 'b');
    const outcomes: unknown[] = [];
    for (let tries = 0; tries < 2; tries += 1) {
      outcomes.push(await deliver(sink, sampleBatch('logs', 3, [2])).catch((error: unknown) => error));
    }
    expect(outcomes).toEqual([expect.objectContaining({ kind: 'retryable' }), expect.objectContaining(owner)]);
    await expect(deliver(makeSink(), sampleBatch('logs', 3, [2]))).rejects.toMatchObject(owner);
  });

  it('that another claims at the same time belongs to one of them', async () => {
    const other = { uuid: 'another' };
    const theirs = sampleBatchOf('logs', [{ ...sampleRecord('logs', 1, 1), origin: 'another/1' }]);
    let once = true;
    server.fault = ([name]) => {
      if (name === 'XADD' && once) {
        once = false;
        server.run('HSET', '{events}:spillway', 'buffer', 'another', 'cursor', 'archive', 'last_id', '0-0');
      }
      return undefined;
    };
    await expect(deliver(makeSink(), sampleBatch('logs', 1, [2]))).rejects.toMatchObject(owner);
    expect(await deliver(makeSink({ origin: other }), theirs)).toEqual(deliveredAnswer);
  });

  it('takes no events of another buffer than its own', async () => {
    const strange = sampleBatchOf('logs', [{ ...sampleRecord('logs', 1, 1), origin: 'another/1' }]);
    await expect(deliver(makeSink(), strange)).rejects.toThrow(/should come from buffer/);
  });
});

describe('ids: auto', () => {
  const options = { ids: 'auto' };

  it('needs no key, and writes what comes again once more', async () => {
    const sink = makeSink({ options, origin: { uuid: undefined } });
    await deliver(sink, sampleBatch('logs', 1, [2]));
    await deliver(sink, sampleBatch('logs', 2, [2]));
    expect(markers()).toEqual([...markersOf(1, 2), ...markersOf(2, 2)]);
    expect(server.entries('events')[0]?.fields['key']).toBeUndefined();
    expect(server.hash('{events}:spillway')).toBeUndefined();
  });

  it('gives the key as a field where it means something', async () => {
    await deliver(makeSink({ options }), sampleBatch('logs', 4, [2]));
    expect(server.entries('events').map(({ fields }) => fields['key'])).toEqual([`${uuid}/1-4`, `${uuid}/1-5`]);
  });

  it('is all or nothing for a batch', async () => {
    const sink = makeSink({ options });
    server.failOnce('XADD', { error: 'OOM command not allowed' });
    expect(await deliver(sink, sampleBatch('logs', 1, [3]))).toMatchObject({ kind: 'retryable' });
    expect(idsOf()).toEqual([]);
    expect(await deliver(sink, sampleBatch('logs', 1, [3]))).toEqual(deliveredAnswer);
    expect(idsOf()).toHaveLength(3);
  });

  it('is what a buffer without keys needs', () => {
    expect(() => makeSink({ origin: { uuid: undefined } })).toThrow(
      expect.objectContaining({ code: 'SPILLWAY_CONFIG_INVALID' }),
    );
  });
});

it('closes while it waits, and never tells the password', async () => {
  server.password = 'right';
  server.fault = ([name]) => (name === 'EXEC' ? 'hang' : undefined);
  const sink = makeSink({ options: { url: server.url.replace('//', '//user:pa%24%24word@') } });
  const refused = await deliver(sink, sampleBatch('logs', 1, [1]));
  expect(refused).toMatchObject({ kind: 'blocked' });
  expect(JSON.stringify(refused)).not.toMatch(/pa(?:%24|\$)/);
  const waiting = makeSink({ options: { password: 'right' } });
  const answer = deliver(waiting, sampleBatch('logs', 1, [1]));
  await expect.poll(() => server.commands.some(([name]) => name === 'EXEC')).toBe(true);
  await waiting.close?.();
  expect(await answer).toMatchObject({ kind: 'retryable' });
});
