// A real Redis Cluster under all that can happen to it, and masters that are killed, so that replicas take over.
import { expect, test } from 'vitest';
import { needs } from '../requirements.ts';
import { until } from '../until.ts';
import { RedisNodes, redisCluster } from './redis-cluster.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { recordFigure } from './sink-results.ts';
import { SinkRig } from './sink-rig.ts';

const some = 500;
const failOvers = 2;
const failOverMsMax = 30_000;

sinkFaultTests(redisCluster);

async function promoted(nodes: RedisNodes, killed: number): Promise<number> {
  const ask = async () => {
    const port = await nodes.master();
    return port !== killed && port;
  };
  return await until(`another node has taken over from ${killed}`, ask, failOverMsMax);
}

test('Redis Cluster, a master killed: its replica goes on, and all that was accepted is there once, in order', {
  timeout: 180_000,
}, async (context) => {
  const reason = needs('linux', 'docker', 'redis-image');
  if (reason !== undefined) return context.skip(reason);
  const nodes = await RedisNodes.start();
  await using rig = await SinkRig.start(nodes);
  await rig.accepts(some);
  await rig.delivers();
  const outagesMs: number[] = [];
  for (let round = 0; round < failOvers; round += 1) {
    const killedMs = performance.now();
    const master = await nodes.master();
    await nodes.takeDown(master);
    await rig.accepts(some);
    await rig.killPipeline();
    expect(await promoted(nodes, master)).not.toBe(master);
    await rig.accepts(some);
    // The one that is left has no replica, so nothing is taken for delivered.
    await rig.reaches('retrying', /replicas/);
    expect(await rig.backlog()).toBeGreaterThan(0);
    await nodes.bringBack(master);
    await rig.delivers();
    outagesMs.push(performance.now() - killedMs);
  }
  await rig.accepts(some);
  expect(await rig.finishes(), rig.pipeline.log).toBe(0);
  expect(await rig.verdict()).toEqual({ missing: [], disorder: [], repeats: 0, invented: [] });
  expect(await rig.storedEvents()).toBe(0);
  const events = rig.load.accepted.length.toLocaleString('en');
  const seconds = Math.ceil(Math.max(...outagesMs) / 1_000);
  recordFigure(
    redisCluster,
    nodes.version,
    'The master of the stream is killed, and its replica takes over',
    `0 lost and 0 repeated of ${events} in ${failOvers} fail-overs, each over after ${seconds} s or less`,
  );
});
