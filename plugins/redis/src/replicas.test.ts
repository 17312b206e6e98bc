// wait_replicas: nothing is delivered before replicas have it, and nothing is written twice for that.
import { sampleBatch } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RedisDouble } from '../test/redis-double.ts';
import { SinkBench } from '../test/sink-bench.ts';

const bench = new SinkBench();
let server: RedisDouble;

beforeEach(async () => {
  server = await RedisDouble.start();
});

afterEach(async () => {
  await bench.close();
  await server.stop();
});

const names = (): (string | undefined)[] => server.commands.map(([name]) => name);

describe('a batch that replicas do not have yet', () => {
  it('comes again, is not written again, and is delivered when they have it', async () => {
    const { deliver } = bench.make({ options: { url: server.url, stream: 'events', wait_replicas: 2 } });
    server.replicas = 1;
    for (let times = 0; times < 2; times += 1) {
      expect(await deliver(sampleBatch('logs', 1, [3]))).toMatchObject({
        kind: 'retryable',
        reason: /1 of 2 replicas/,
      });
    }
    server.replicas = 2;
    expect(await deliver(sampleBatch('logs', 1, [3]))).toEqual({ kind: 'delivered' });
    expect(server.entries('events')).toHaveLength(3);
    expect(server.commands.filter(([name]) => name === 'WAIT').map(([, count]) => count)).toEqual(['2', '2', '2']);
  });

  it('is written about once more by a new connection, whose WAIT would mean nothing without', async () => {
    server.replicas = 0;
    const options = { url: server.url, stream: 'events', wait_replicas: 1 };
    await bench.make({ options }).deliver(sampleBatch('logs', 1, [3]));
    const before = server.commands.length;
    server.replicas = 1;
    expect(await bench.make({ options }).deliver(sampleBatch('logs', 1, [3]))).toEqual({ kind: 'delivered' });
    const after = names().slice(before);
    expect(after.slice(-6)).toEqual(['MULTI', 'HSET', 'EXEC', 'WATCH', 'HMGET', 'WAIT']);
    expect(after).not.toContain('XADD');
    expect(server.hash('{events}:spillway')).toMatchObject({ last_id: '1-3' });
  });

  it('is answered within the time-out', async () => {
    const { deliver } = bench.make({
      options: { url: server.url, stream: 'events', wait_replicas: 1 },
      timeoutMs: 1_000,
    });
    server.fault = ([name]) => (name === 'WAIT' ? 'hang' : undefined);
    expect(await deliver(sampleBatch('logs', 1, [1]))).toMatchObject({ kind: 'retryable', reason: /in time/ });
    const [, , waitMs] = server.commands.find(([name]) => name === 'WAIT') ?? [];
    expect(Number(waitMs)).toBeGreaterThan(0);
    expect(Number(waitMs)).toBeLessThan(1_000);
  });

  it('is in a list a second time then', async () => {
    const options = { url: server.url, key: 'events', data_type: 'list', wait_replicas: 1 };
    const { deliver } = bench.make({ options });
    expect(await deliver(sampleBatch('logs', 1, [2]))).toMatchObject({ kind: 'retryable' });
    server.replicas = 1;
    expect(await deliver(sampleBatch('logs', 1, [2]))).toEqual({ kind: 'delivered' });
    expect(server.list('events')).toHaveLength(4);
  });

  it('is not asked about where nobody wants to know', async () => {
    await bench.make({ options: { url: server.url, stream: 'events' } }).deliver(sampleBatch('logs', 1, [1]));
    expect(names()).not.toContain('WAIT');
  });
});
