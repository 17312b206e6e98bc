// A real NATS cluster whose leaders are killed under load, so that others take over.
import { expect, test } from 'vitest';
import { needs } from '../requirements.ts';
import { NatsNodes } from './nats-cluster.ts';
import { SinkRig } from './sink-rig.ts';

const some = 500;
const kills = 2;

test('NATS JetStream in a cluster, its leader killed: another goes on, and all accepted is there once, in order', {
  timeout: 180_000,
}, async (context) => {
  const reason = needs('linux', 'docker', 'nats-image');
  if (reason !== undefined) return context.skip(reason);
  const nodes = await NatsNodes.start();
  await using rig = await SinkRig.start(nodes);
  await rig.accepts(some);
  await rig.delivers();
  for (let round = 0; round < kills; round += 1) {
    const { leader } = await nodes.ready();
    await nodes.takeDown(leader);
    await rig.accepts(some);
    await rig.killPipeline();
    await rig.accepts(some);
    await rig.delivers();
    expect((await nodes.ready(2)).leader).not.toBe(leader);
    await nodes.bringBack(leader);
  }
  await rig.accepts(some);
  expect(await rig.finishes(), rig.pipeline.log).toBe(0);
  expect(await rig.verdict()).toEqual({ missing: [], disorder: [], repeats: 0, invented: [] });
  expect(await rig.storedEvents()).toBe(0);
});
