// A Redis Cluster: the node with the key is found, followed and found again, and every event is in its stream once.
import { type MemoryLog, markersIn, markersOf, sampleBatch } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClusterDouble } from '../test/cluster-double.ts';
import type { RedisDouble } from '../test/redis-double.ts';
import { type BenchSink, SinkBench, type SinkGiven } from '../test/sink-bench.ts';

const bench = new SinkBench();
let cluster: ClusterDouble;
let first: RedisDouble;
let second: RedisDouble;

beforeEach(async () => {
  cluster = await ClusterDouble.start(3);
  [first, second] = cluster.nodes as [RedisDouble, RedisDouble];
});

afterEach(async () => {
  await bench.close();
  await cluster.stop();
});

function makeSink(options: SinkGiven['options'] = {}, given: Omit<SinkGiven, 'options'> = {}): BenchSink {
  return bench.make({ options: { url: first.url, cluster: true, stream: 'events', ...options }, ...given });
}

const markersOn = (node: RedisDouble, stream = 'events'): string[] =>
  node.entries(stream).flatMap(({ fields }) => markersIn(fields['data'] ?? ''));
const openConnections = (): number[] => cluster.nodes.map((node) => node.openConnections);
const warnings = (log: MemoryLog): string[] =>
  log.lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
const deliveredAnswer = { kind: 'delivered' };
const signals = ['logs', 'traces', 'metrics'] as const;

describe('the node of a stream', () => {
  it('is found, also where it is not the one in the url', async () => {
    cluster.assign('events', second);
    const { deliver } = makeSink();
    for (const id of [1, 3]) expect(await deliver(sampleBatch('logs', id, [2]))).toEqual(deliveredAnswer);
    expect(markersOn(second)).toEqual(markersOf(1, 4));
    expect(first.commands.map(([name]) => name)).toEqual(['CLUSTER', 'CLUSTER']);
    expect(second.hash('{events}:spillway')).toMatchObject({ last_id: '1-4' });
  });

  it('is another one for each signal, with a connection each', async () => {
    for (const [at, signal] of signals.entries()) cluster.assign(`to-${signal}`, cluster.nodes[at] as RedisDouble);
    const { deliver, sink } = makeSink({ stream: 'to-{signal}' });
    for (const id of [1, 3]) {
      for (const signal of signals) expect(await deliver(sampleBatch(signal, id, [2]))).toEqual(deliveredAnswer);
    }
    for (const [at, signal] of signals.entries()) {
      expect(markersOn(cluster.nodes[at] as RedisDouble, `to-${signal}`)).toEqual(markersOf(1, 4));
    }
    await expect.poll(openConnections).toEqual([1, 1, 1]);
    await sink.close?.();
    await expect.poll(openConnections).toEqual([0, 0, 0]);
  });

  it('is asked of another one while that in the url is away', async () => {
    cluster.assign('events', second);
    await first.stop();
    const url = 'redis://127.0.0.1:1';
    const { deliver } = makeSink({ url, nodes: ['127.0.0.1:2', `127.0.0.1:${cluster.nodes[2]?.port}`] });
    expect(await deliver(sampleBatch('logs', 1, [2]))).toEqual(deliveredAnswer);
    expect(markersOn(second)).toEqual(markersOf(1, 2));
  });

  it('is asked of the next one when one does not answer, which is not asked first again', async () => {
    first.fault = () => 'hang';
    cluster.assign('events', second);
    const { deliver } = makeSink({ nodes: [`127.0.0.1:${second.port}`], connect_timeout_secs: 0.5 });
    expect(await deliver(sampleBatch('logs', 1, [2]))).toEqual(deliveredAnswer);
    second.breakConnections();
    await expect.poll(() => second.openConnections).toBe(0);
    const { connections } = first;
    for (let tries = 0; tries < 2; tries += 1) await deliver(sampleBatch('logs', 3, [2]));
    expect(first.connections).toBe(connections);
    expect(markersOn(second)).toEqual(markersOf(1, 4));
  });

  it('takes lists, too', async () => {
    cluster.assign('queue', second);
    const { deliver } = makeSink({ stream: undefined, key: 'queue', data_type: 'list' });
    expect(await deliver(sampleBatch('logs', 1, [3]))).toEqual(deliveredAnswer);
    expect(second.list('queue').flatMap(markersIn)).toEqual(markersOf(1, 3));
  });

  it('is asked for its health', async () => {
    cluster.assign('events', second);
    const { sink } = makeSink();
    const never = new AbortController().signal;
    expect(await sink.checkHealth?.({ signal: never })).toEqual({ kind: 'healthy' });
    expect(second.commands).toEqual([['PING']]);
  });
});

describe('a stream that moves', () => {
  /** As a finished migration leaves it: the slot and what is in it on another node. */
  function move(from: RedisDouble, to: RedisDouble): void {
    to.data = from.data;
    cluster.assign('events', to);
  }

  it.each(['MULTI', 'XADD', 'HSET', 'EXEC', 'WATCH'])('before a %s is followed at once', async (command) => {
    const { deliver } = makeSink();
    await deliver(sampleBatch('logs', 1, [2]));
    let isMoved = false;
    first.fault = ([name]) => {
      if (name === command && !isMoved) {
        isMoved = true;
        move(first, second);
      }
      return undefined;
    };
    for (const id of [3, 5]) expect(await deliver(sampleBatch('logs', id, [2]))).toEqual(deliveredAnswer);
    expect(isMoved).toBe(true);
    expect(markersOn(second)).toEqual(markersOf(1, 6));
    await expect.poll(openConnections).toEqual([0, 1, 0]);
  });

  it('is waited for while it is on its way', async () => {
    const { deliver } = makeSink();
    await deliver(sampleBatch('logs', 1, [2]));
    const { connections } = first;
    for (const error of [`ASK 1 127.0.0.1:${second.port}`, 'TRYAGAIN Multiple keys request during rehashing of slot']) {
      first.failOnce('XADD', { error });
      expect(await deliver(sampleBatch('logs', 3, [2]))).toMatchObject({ kind: 'retryable', reason: error });
    }
    expect(second.connections).toBe(0);
    expect(await deliver(sampleBatch('logs', 3, [2]))).toEqual(deliveredAnswer);
    expect(first.connections).toBe(connections);
    expect(markersOn(first)).toEqual(markersOf(1, 4));
  });

  it('in a circle is given up, for now', async () => {
    const moved = (node: RedisDouble) => (): string => `MOVED 1 127.0.0.1:${node.port}`;
    first.redirect = moved(second);
    second.redirect = moved(first);
    const { deliver } = makeSink();
    expect(await deliver(sampleBatch('logs', 1, [1]))).toMatchObject({
      kind: 'retryable',
      reason: /from node to node/,
    });
    expect(first.connections + second.connections).toBeLessThan(10);
  });

  it('is no secret to a sink that knows of no cluster', async () => {
    cluster.assign('events', second);
    const { deliver } = makeSink({ cluster: false });
    expect(await deliver(sampleBatch('logs', 1, [1]))).toMatchObject({ kind: 'blocked', reason: /set cluster: true/ });
  });
});

describe('a fail-over', () => {
  /** The master goes, and a replica with what it had takes over; the other nodes know. */
  async function failOver(replica = first.data): Promise<void> {
    second.data = replica;
    cluster.assign('events', second);
    await first.stop();
  }

  it('to a replica that has everything loses and repeats nothing', async () => {
    const { deliver, context } = makeSink();
    await deliver(sampleBatch('logs', 1, [2]));
    // Written and never answered.
    first.failOnce('EXEC', 'lose');
    expect(await deliver(sampleBatch('logs', 3, [2]))).toMatchObject({ kind: 'retryable' });
    await failOver();
    for (const id of [3, 5]) expect(await deliver(sampleBatch('logs', id, [2]))).toEqual(deliveredAnswer);
    expect(markersOn(second)).toEqual(markersOf(1, 6));
    expect(warnings(context.log)).toEqual([]);
  });

  it('to a replica that was behind goes on, and says what is lost', async () => {
    const { deliver, context } = makeSink();
    await deliver(sampleBatch('logs', 1, [2]));
    const behind = first.data.copy();
    await deliver(sampleBatch('logs', 3, [2]));
    await failOver(behind);
    // The connection's end may be noticed by this batch only.
    await deliver(sampleBatch('logs', 5, [2]));
    expect(await deliver(sampleBatch('logs', 5, [2]))).toEqual(deliveredAnswer);
    expect(markersOn(second)).toEqual([...markersOf(1, 2), ...markersOf(5, 2)]);
    expect(context.log.lines).toContainEqual({
      level: 'warn',
      message: 'the stream has lost entries that the server had confirmed',
      fields: { stream: 'events', confirmed: '1-4', found: '1-2' },
    });
    expect(warnings(context.log)).toHaveLength(1);
  });

  it.each([
    'CLUSTERDOWN The cluster is down',
    'READONLY You can not write against a read only replica.',
    'MASTERDOWN Link with MASTER is down',
  ])('that is not over yet says "%s": another node is asked then', async (error) => {
    const { deliver } = makeSink();
    await deliver(sampleBatch('logs', 1, [2]));
    first.fault = ([name]) => (name === 'XADD' ? { error } : undefined);
    expect(await deliver(sampleBatch('logs', 3, [2]))).toMatchObject({ kind: 'retryable', reason: error });
    second.data = first.data;
    cluster.assign('events', second);
    const { connections } = first;
    expect(await deliver(sampleBatch('logs', 3, [2]))).toEqual(deliveredAnswer);
    expect(markersOn(second)).toEqual(markersOf(1, 4));
    expect(first.connections).toBe(connections);
  });
});

describe('an announced address', () => {
  it('without a host is that of whoever says it', async () => {
    cluster.announce = (node) => [null, node.port];
    cluster.assign('events', second);
    const { deliver } = makeSink();
    expect(await deliver(sampleBatch('logs', 1, [1]))).toEqual(deliveredAnswer);
    cluster.assign('events', first);
    expect(await deliver(sampleBatch('logs', 2, [1]))).toEqual(deliveredAnswer);
    expect(markersOn(first)).toEqual(markersOf(2, 1));
  });

  it('that cannot be reached says so, and where to put another one', async () => {
    cluster.announce = () => ['127.0.0.1', 1];
    const { deliver } = makeSink();
    expect(await deliver(sampleBatch('logs', 1, [1]))).toMatchObject({
      kind: 'retryable',
      reason: /127\.0\.0\.1:1: nothing listens there .*node_address_map/,
    });
  });

  it('is replaced by the one in the map', async () => {
    cluster.announce = (node) => ['redis.internal', 7000 + cluster.nodes.indexOf(node)];
    cluster.assign('events', second);
    const entries = cluster.nodes.map((node, at) => [`redis.internal:${7000 + at}`, `127.0.0.1:${node.port}`]);
    const { deliver } = makeSink({ node_address_map: Object.fromEntries(entries) });
    expect(await deliver(sampleBatch('logs', 1, [1]))).toEqual(deliveredAnswer);
    cluster.assign('events', cluster.nodes[2] as RedisDouble);
    expect(await deliver(sampleBatch('logs', 2, [1]))).toEqual(deliveredAnswer);
    expect(markersOn(cluster.nodes[2] as RedisDouble)).toEqual(markersOf(2, 1));
  });

  it('that a node does not know is told', async () => {
    cluster.announce = (node) => ['?', node.port];
    const reason = /announces no address/;
    expect(await makeSink().deliver(sampleBatch('logs', 1, [1]))).toMatchObject({ kind: 'retryable', reason });
  });
});

describe('a node that answers', () => {
  it.each([
    ['nothing', null],
    ['a text', 'x'],
    ['no list', []],
    ['lists of something else', [['a', 'b'], 1, null, [[[]]]]],
    ['ranges without nodes', [[0, 16_383]]],
    ['a node without a port', [[0, 16_383, ['127.0.0.1']]]],
    ['a port that is none', [[0, 16_383, ['127.0.0.1', 70_000, 'id']]]],
    ['a host that is none', [[0, 16_383, ['a b\r\n', 6379, 'id']]]],
    ['an error', { error: 'CLUSTERDOWN Hash slot not served' }],
  ])('%s about its slots is an answer with a reason', async (_, slots) => {
    for (const node of cluster.nodes) node.describeSlots = ([question]) => (question === 'KEYSLOT' ? 7 : slots);
    const answer = await makeSink().deliver(sampleBatch('logs', 1, [1]));
    expect(answer).toMatchObject({ kind: 'retryable', reason: expect.stringMatching(/.../) });
    await expect.poll(openConnections).toEqual([0, 0, 0]);
  });

  it('that it is no cluster is blocked', async () => {
    first.describeSlots = () => ({ error: 'ERR This instance has cluster support disabled' });
    const reason = /leave out cluster: true/;
    expect(await makeSink().deliver(sampleBatch('logs', 1, [1]))).toMatchObject({ kind: 'blocked', reason });
  });

  it('that the password is wrong is blocked, whatever the others do, and tells no password', async () => {
    for (const node of cluster.nodes) node.password = 'right';
    const url = first.url.replace('//', '//:wr%24ng@');
    const { deliver, context } = makeSink({ url, nodes: ['127.0.0.1:1'] });
    const answer = await deliver(sampleBatch('logs', 1, [1]));
    expect(answer).toMatchObject({ kind: 'blocked', reason: /WRONGPASS/ });
    expect(JSON.stringify([answer, context.log.lines])).not.toMatch(/wr(?:%24|\$)ng/);
  });

  it('to a user and password uses them on every node', async () => {
    for (const node of cluster.nodes) node.password = 'right';
    cluster.assign('events', second);
    const { deliver } = makeSink({ password: 'right' });
    expect(await deliver(sampleBatch('logs', 1, [1]))).toEqual(deliveredAnswer);
  });
});

it('gives up soon when it is told to, and leaves no connection behind', async () => {
  for (const node of cluster.nodes) node.fault = () => 'hang';
  const { sink } = makeSink();
  const stop = new AbortController();
  const answer = sink.deliver(sampleBatch('logs', 1, [1]), { signal: stop.signal });
  await expect.poll(() => first.commands.length).toBeGreaterThan(0);
  stop.abort();
  expect(await answer).toMatchObject({ kind: 'retryable', reason: /given up/ });
  await expect.poll(openConnections).toEqual([0, 0, 0]);
});
