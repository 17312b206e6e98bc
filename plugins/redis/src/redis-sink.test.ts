// What is written, and what is answered when it cannot be, against a server in this process. The real server plays its
// part in integration/sinks/redis.test.ts.
import type { SinkBatch } from 'spillway/plugin';
import { markersOf, sampleBatch, sampleBatchOf, sampleOriginUuid } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deliverAll, idsFrom, StreamRig } from '../test/stream-rig.ts';

const uuid = sampleOriginUuid;
const never = new AbortController().signal;
let rig: StreamRig;
const deliveredAnswer = { kind: 'delivered' };

beforeEach(async () => {
  rig = await StreamRig.start();
});

afterEach(async () => {
  await rig.stop();
});

describe('entries', () => {
  it.each(['json', 'protobuf'] as const)('hold one event each under its key, as %s', async (payload) => {
    const sink = rig.make({ options: { payload } });
    expect(await sink.deliver(sampleBatch('logs', 1, [3, 2]))).toEqual(deliveredAnswer);
    expect(await sink.deliver(sampleBatch('logs', 6, [1]))).toEqual(deliveredAnswer);
    expect(rig.ids()).toEqual(idsFrom(1, 6));
    expect(rig.markers()).toEqual(markersOf(1, 6));
    expect(rig.server.entries('events')[0]?.fields['signal']).toBe('logs');
    expect(rig.server.hash('{events}:spillway')).toEqual({ buffer: uuid, cursor: 'archive', last_id: '1-6' });
  });

  it('of each signal have a stream of their own where the name says so', async () => {
    const sink = rig.make({ options: { stream: '{app}:{signal}' } });
    for (const signal of ['logs', 'traces', 'metrics'] as const) {
      expect(await sink.deliver(sampleBatch(signal, 1, [2]))).toEqual(deliveredAnswer);
      expect(rig.markers(`{app}:${signal}`)).toEqual(markersOf(1, 2));
      expect(rig.server.hash(`{app}:${signal}:spillway`)).toMatchObject({ last_id: '1-2' });
    }
  });

  it('that cannot be decoded have no JSON, and are refused for that; as protobuf they go through', async () => {
    // A log record with a body that says it is longer than it is: counted like any other, for its own length is right.
    const bytes = Uint8Array.from([0x0a, 8, 0x12, 6, 0x12, 4, 0x2a, 2, 0x0a, 5]);
    const batch = sampleBatchOf('logs', [{ signal: 'logs', bytes, events: 1, id: 1, origin: `${uuid}/1` }]);
    expect(await rig.make().deliver(batch)).toMatchObject({ kind: 'rejected' });
    expect(await rig.make({ options: { payload: 'protobuf' } }).deliver(batch)).toEqual(deliveredAnswer);
  });

  it('are one transaction a batch', async () => {
    const sink = rig.make();
    await sink.deliver(sampleBatch('logs', 1, [2, 2]));
    const names = rig.server.commands.map(([name]) => name);
    const sent = names.slice(names.lastIndexOf('MULTI'), names.lastIndexOf('EXEC') + 1);
    expect(sent).toEqual(['MULTI', 'XADD', 'XADD', 'XADD', 'XADD', 'HSET', 'EXEC']);
  });

  it('are trimmed to about the length asked for', async () => {
    const sink = rig.make({ options: { max_length: 3 } });
    await sink.deliver(sampleBatch('logs', 1, [5]));
    expect(rig.server.commands).toContainEqual(['XTRIM', 'events', 'MAXLEN', '~', '3']);
    expect(rig.ids()).toEqual(idsFrom(3, 3));
  });
});

describe('a fault', () => {
  const batches = [sampleBatch('logs', 1, [2]), sampleBatch('logs', 3, [3]), sampleBatch('logs', 6, [1])];

  it('that nobody ends is over after the time-out', async () => {
    rig.server.fault = ([name]) => (name === 'EXEC' ? 'hang' : undefined);
    const sink = rig.make({ timeoutMs: 100 });
    expect(await sink.deliver(batches[0] as SinkBatch)).toMatchObject({ kind: 'retryable', reason: /in time/ });
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
    rig.server.failOnce('XADD', { error });
    const sink = rig.make();
    expect(await sink.deliver(batches[0] as SinkBatch)).toMatchObject({
      kind,
      reason: expect.stringContaining(error),
    });
    await deliverAll(sink, batches);
    expect(rig.ids()).toEqual(idsFrom(1, 6));
  });

  it('of a key of another kind is blocked, and moves nothing', async () => {
    const sink = rig.make();
    await sink.deliver(batches[0] as SinkBatch);
    rig.server.run('DEL', 'events');
    rig.server.run('HSET', 'events', 'a', 'b');
    expect(await sink.deliver(batches[1] as SinkBatch)).toMatchObject({ kind: 'blocked' });
    rig.server.run('DEL', 'events');
    expect(await sink.deliver(batches[1] as SinkBatch)).toEqual(deliveredAnswer);
    expect(rig.ids()).toEqual(idsFrom(3, 3));
  });

  it('of the connection is told with its cause', async () => {
    const sink = rig.make();
    await sink.deliver(batches[0] as SinkBatch);
    rig.server.failOnce('EXEC', 'drop');
    const reason = expect.stringMatching(/^connection lost while waiting for MULTI: 127.0.0.1:\d+: .*(?:closed|reset)/);
    expect(await sink.deliver(batches[1] as SinkBatch)).toEqual({ kind: 'retryable', reason });
    // One that breaks while nobody waits is noticed by nobody: the next batch takes another.
    expect(await sink.deliver(batches[1] as SinkBatch)).toEqual(deliveredAnswer);
    rig.server.breakConnections();
    await expect.poll(() => rig.server.openConnections).toBe(0);
    await new Promise((resolve) => setImmediate(resolve));
    expect((await sink.deliver(batches[2] as SinkBatch)).kind).toMatch(/delivered|retryable/);
    expect(await sink.deliver(batches[2] as SinkBatch)).toEqual(deliveredAnswer);
    expect(rig.ids()).toEqual(idsFrom(1, 6));
  });

  it('of an address where nobody listens is retryable', async () => {
    const sink = rig.make({ options: { url: 'redis://127.0.0.1:1' } });
    expect(await sink.deliver(batches[0] as SinkBatch)).toMatchObject({ kind: 'retryable' });
    expect(await sink.sink.checkHealth?.({ signal: never })).toMatchObject({ kind: 'retryable' });
  });

  it('of a password is blocked', async () => {
    rig.server.password = 'right';
    const wrong = rig.make({ options: { password: 'wrong' } });
    expect(await wrong.deliver(batches[0] as SinkBatch)).toMatchObject({ kind: 'blocked', reason: /WRONGPASS/ });
    const none = rig.make();
    expect(await none.deliver(batches[0] as SinkBatch)).toMatchObject({ kind: 'blocked', reason: /NOAUTH/ });
    expect(await none.sink.checkHealth?.({ signal: never })).toMatchObject({ kind: 'blocked' });
    const right = rig.make({ options: { password: 'right' } });
    expect(await right.sink.checkHealth?.({ signal: never })).toEqual({ kind: 'healthy' });
    expect(await right.deliver(batches[0] as SinkBatch)).toEqual(deliveredAnswer);
  });
});

describe('an event that is too large for the server', () => {
  it('is told before it is sent', async () => {
    rig.server.bulkBytesMax = 2 * 1024 * 1024;
    const sink = rig.make();
    const large = sampleBatch('logs', 1, [1], 'x'.repeat(3 * 1024 * 1024));
    expect(await sink.deliver(large)).toMatchObject({ kind: 'too_large' });
    expect(await sink.deliver(sampleBatch('logs', 1, [1], 'x'.repeat(1.5 * 1024 * 1024)))).toEqual(deliveredAnswer);
  });

  it('has company that makes it so: a batch whose entries would fill the memory is halved', async () => {
    const sink = rig.make({ options: { payload: 'protobuf' } });
    const text = 'x'.repeat(1024 * 1024);
    expect(await sink.deliver(sampleBatch('logs', 1, [40, 40], text))).toMatchObject({ kind: 'too_large' });
    expect(rig.ids()).toEqual([]);
  });

  it('has company that is small but many: each entry is a command that waits for its answer', async () => {
    const sink = rig.make({ options: { payload: 'protobuf' } });
    expect(await sink.deliver(sampleBatch('logs', 1, Array(65).fill(1_000)))).toMatchObject({ kind: 'too_large' });
    expect(rig.ids()).toEqual([]);
  });

  it('is known by what the server says before it hangs up', async () => {
    rig.server.failOnce('XADD', { error: 'ERR Protocol error: invalid bulk length' });
    expect(await rig.make().deliver(sampleBatch('logs', 1, [1]))).toMatchObject({ kind: 'too_large' });
  });
});

describe('ids: auto', () => {
  const options = { ids: 'auto' };

  it('needs no key, and writes what comes again once more', async () => {
    const sink = rig.make({ options, origin: { uuid: undefined } });
    await sink.deliver(sampleBatch('logs', 1, [2]));
    await sink.deliver(sampleBatch('logs', 2, [2]));
    expect(rig.markers()).toEqual([...markersOf(1, 2), ...markersOf(2, 2)]);
    expect(rig.server.entries('events')[0]?.fields['key']).toBeUndefined();
    expect(rig.server.hash('{events}:spillway')).toBeUndefined();
  });

  it('gives the key as a field where it means something', async () => {
    await rig.make({ options }).deliver(sampleBatch('logs', 4, [2]));
    expect(rig.server.entries('events').map(({ fields }) => fields['key'])).toEqual([`${uuid}/1-4`, `${uuid}/1-5`]);
  });

  it('is all or nothing for a batch', async () => {
    const sink = rig.make({ options });
    rig.server.failOnce('XADD', { error: 'OOM command not allowed' });
    expect(await sink.deliver(sampleBatch('logs', 1, [3]))).toMatchObject({ kind: 'retryable' });
    expect(rig.ids()).toEqual([]);
    expect(await sink.deliver(sampleBatch('logs', 1, [3]))).toEqual(deliveredAnswer);
    expect(rig.ids()).toHaveLength(3);
  });

  it('is what a buffer without keys needs', () => {
    expect(() => rig.make({ origin: { uuid: undefined } })).toThrow(
      expect.objectContaining({ code: 'SPILLWAY_CONFIG_INVALID' }),
    );
  });
});

it('closes while it waits, and never tells the password', async () => {
  rig.server.password = 'right';
  rig.server.fault = ([name]) => (name === 'EXEC' ? 'hang' : undefined);
  const sink = rig.make({ options: { url: rig.server.url.replace('//', '//user:pa%24%24word@') } });
  const refused = await sink.deliver(sampleBatch('logs', 1, [1]));
  expect(refused).toMatchObject({ kind: 'blocked' });
  expect(JSON.stringify(refused)).not.toMatch(/pa(?:%24|\$)/);
  const waiting = rig.make({ options: { password: 'right' } });
  const answer = waiting.deliver(sampleBatch('logs', 1, [1]));
  await expect.poll(() => rig.server.commands.some(([name]) => name === 'EXEC')).toBe(true);
  await waiting.sink.close?.();
  expect(await answer).toMatchObject({ kind: 'retryable' });
});
