// A real Redis under all that can happen to it, and who may write into a stream.
import { expect, test } from 'vitest';
import { needs } from '../requirements.ts';
import { redisStreams } from './redis.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { SinkRig } from './sink-rig.ts';

const some = 500;

sinkFaultTests(redisStreams);

test("Redis Streams, another pipeline's stream: the pipeline ends, and has written nothing", {
  timeout: 120_000,
}, async (context) => {
  const reason = needs('linux', 'docker', 'redis-image');
  if (reason !== undefined) return context.skip(reason);
  const started = await redisStreams.start();
  await using rig = await SinkRig.start(started);
  await rig.accepts(some);
  expect(await rig.finishes(), rig.pipeline.log).toBe(0);
  const before = await started.numbers();
  expect(before.length).toBeGreaterThanOrEqual(some);
  await using other = await SinkRig.start({ ...started, [Symbol.asyncDispose]: async () => undefined });
  expect(await other.pipeline.exited()).toBe(2);
  expect(other.pipeline.log).toContain('SPILLWAY_CONFIG_OWNER');
  expect(await started.numbers()).toEqual(before);
});
