// Lists: one element an event, all of a batch or none, and nothing that drops repeats.
import { markersIn, markersOf, sampleBatch, sampleOriginUuid } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RedisDouble } from '../test/redis-double.ts';
import { type BenchSink, SinkBench, type SinkGiven } from '../test/sink-bench.ts';

const bench = new SinkBench();
let server: RedisDouble;

beforeEach(async () => {
  server = await RedisDouble.start();
});

afterEach(async () => {
  await bench.close();
  await server.stop();
});

function makeSink(options: SinkGiven['options'] = {}, origin: SinkGiven['origin'] = {}): BenchSink {
  return bench.make({ options: { url: server.url, key: 'events', data_type: 'list', ...options }, origin });
}

const elements = (key = 'events'): unknown[] => server.list(key).map((element) => JSON.parse(element));
const markers = (): string[] => server.list('events').flatMap(markersIn);
const keys = (first: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${sampleOriginUuid}/1-${first + index}`);
const deliveredAnswer = { kind: 'delivered' };

describe('an element', () => {
  it('holds one event with its key and its signal', async () => {
    expect(await makeSink().deliver(sampleBatch('logs', 1, [3, 2]))).toEqual(deliveredAnswer);
    expect(markers()).toEqual(markersOf(1, 5));
    expect(elements()).toEqual(
      keys(1, 5).map((key) => ({ key, signal: 'logs', data: { resourceLogs: [expect.anything()] } })),
    );
  });

  it('has no key where a key means nothing beyond this process', async () => {
    await makeSink({}, { uuid: undefined }).deliver(sampleBatch('traces', 1, [1]));
    expect(elements()).toEqual([{ signal: 'traces', data: { resourceSpans: [expect.anything()] } }]);
  });

  it('is the request alone where that is asked for', async () => {
    await makeSink({ list: { element: 'request' } }).deliver(sampleBatch('logs', 1, [2]));
    expect(elements()).toEqual(Array(2).fill({ resourceLogs: [expect.anything()] }));
    await makeSink({ key: 'binary', list: { element: 'request' }, payload: 'protobuf' }).deliver(
      sampleBatch('logs', 1, [2]),
    );
    expect(server.list('binary').flatMap(markersIn)).toEqual(markersOf(1, 2));
    expect(server.list('binary')[0]).not.toContain('resourceLogs');
  });

  it.each(['\u0000', '"\\\n', '\ud800', '漢字'])('can hold %j', async (text) => {
    expect(await makeSink().deliver(sampleBatch('logs', 1, [2], text))).toEqual(deliveredAnswer);
    expect(elements()).toHaveLength(2);
  });

  it('stands in a list of its signal where the name says so', async () => {
    const { deliver } = makeSink({ key: 'events-{signal}' });
    await deliver(sampleBatch('metrics', 1, [2]));
    expect(server.list('events-metrics')).toHaveLength(2);
  });
});

describe('a batch', () => {
  it('is one transaction with one push', async () => {
    const { deliver } = makeSink({ max_length: 100 });
    await deliver(sampleBatch('logs', 1, [2, 2]));
    const proof = ['MULTI', 'EXEC'];
    expect(server.commands.map(([name]) => name)).toEqual([...proof, 'MULTI', 'RPUSH', 'LTRIM', 'EXEC']);
    await deliver(sampleBatch('logs', 5, [1]));
    expect(server.commands.slice(6).map(([name]) => name)).toEqual(['MULTI', 'RPUSH', 'LTRIM', 'EXEC']);
  });

  it('is appended at the tail, and the oldest are gone', async () => {
    const { deliver } = makeSink({ max_length: 3 });
    for (const first of [1, 3]) await deliver(sampleBatch('logs', first, [2]));
    expect(markers()).toEqual(markersOf(2, 3));
  });

  it('is pushed at the head for readers at the tail, and the oldest are gone', async () => {
    const { deliver } = makeSink({ max_length: 3, list: { method: 'lpush' } });
    for (const first of [1, 3]) await deliver(sampleBatch('logs', first, [2]));
    expect(markers().reverse()).toEqual(markersOf(2, 3));
  });

  it('that comes again is there again, under the same keys', async () => {
    const { deliver } = makeSink();
    for (let times = 0; times < 2; times += 1) await deliver(sampleBatch('logs', 1, [2]));
    expect(elements()).toMatchObject([...keys(1, 2), ...keys(1, 2)].map((key) => ({ key })));
  });

  it.each(['MULTI', 'RPUSH', 'EXEC'])(
    'whose answer to %s is lost is there as a whole or not at all',
    async (command) => {
      const { deliver } = makeSink();
      await deliver(sampleBatch('logs', 1, [1]));
      server.failOnce(command, 'lose');
      expect(await deliver(sampleBatch('logs', 2, [3]))).toMatchObject({ kind: 'retryable' });
      const first = command === 'EXEC' ? markersOf(1, 4) : markersOf(1, 1);
      expect(markers()).toEqual(first);
      expect(await deliver(sampleBatch('logs', 2, [3]))).toEqual(deliveredAnswer);
      expect(markers()).toEqual([...first, ...markersOf(2, 3)]);
    },
  );

  it.each(['MULTI', 'EXEC'])('is not pushed at all, however often it comes, where %s is forbidden', async (command) => {
    const error = `NOPERM this user has no permissions to run the '${command.toLowerCase()}' command`;
    server.fault = ([name]) => (name === command ? { error } : undefined);
    const { deliver } = makeSink();
    for (let times = 0; times < 2; times += 1) {
      expect(await deliver(sampleBatch('logs', 1, [3]))).toEqual({ kind: 'blocked', reason: error });
    }
    expect(markers()).toEqual([]);
  });

  it.each([
    ["OOM command not allowed when used memory > 'maxmemory'.", 'retryable'],
    ["NOPERM this user has no permissions to run the 'rpush' command", 'blocked'],
  ])('that is refused with "%s" is %s', async (error, kind) => {
    server.failOnce('RPUSH', { error });
    const { deliver } = makeSink();
    expect(await deliver(sampleBatch('logs', 1, [3]))).toMatchObject({ kind, reason: error });
    expect(markers()).toEqual([]);
  });

  it('for a key of another kind is blocked', async () => {
    server.run('XADD', 'events', '*', 'a', 'b');
    expect(await makeSink().deliver(sampleBatch('logs', 1, [3]))).toMatchObject({
      kind: 'blocked',
      reason: /WRONGTYPE/,
    });
  });

  it('with an event that is longer than the server takes is too large', async () => {
    server.bulkBytesMax = 2 * 1024 * 1024;
    const { deliver } = makeSink();
    const large = sampleBatch('logs', 1, [1], 'x'.repeat(3 * 1024 * 1024));
    expect(await deliver(large)).toMatchObject({ kind: 'too_large' });
  });
});
