// A real NATS server under all that can happen to it, and who may write into a stream.
import { expect, test } from 'vitest';
import { NatsClient } from '../nats-client.ts';
import { needs } from '../requirements.ts';
import { natsJetStream, numbersStream, start } from './nats.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { SinkRig } from './sink-rig.ts';

const some = 500;

sinkFaultTests(natsJetStream);

test('NATS JetStream, somebody else writes into the stream: the pipeline ends, and nothing is out of order or lost', {
  timeout: 120_000,
}, async (context) => {
  const reason = needs('linux', 'docker', 'nats-image');
  if (reason !== undefined) return context.skip(reason);
  const started = await start();
  await using rig = await SinkRig.start(started);
  await rig.accepts(some);
  await NatsClient.publish(started.place, `${numbersStream}.alien`, 'not ours');
  expect(await rig.pipeline.exited()).toBe(2);
  expect(rig.pipeline.log).toContain('SPILLWAY_CONFIG_OWNER');
  const found = await started.numbers();
  // What was written is the beginning of what was accepted, without a hole; the rest is in the buffer still.
  expect(found).toEqual(rig.load.accepted.slice(0, found.length));
  expect(await rig.storedEvents()).toBeGreaterThanOrEqual(rig.load.accepted.length - found.length);
});
