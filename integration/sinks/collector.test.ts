// A real Collector under all that can happen to it, and one that answers before it has written.
import { expect, test } from 'vitest';
import { faultOf } from '../faults.ts';
import { needs } from '../requirements.ts';
import { CollectorSubject, collector } from './collector.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { recordFigure } from './sink-results.ts';
import { SinkRig } from './sink-rig.ts';
import { judge, rangesOf } from './sink-verdict.ts';

const some = 500;

sinkFaultTests(collector);

test('OpenTelemetry Collector, killed, where it answers before it writes: nothing accepted later is missing', {
  timeout: 120_000,
}, async (context) => {
  const reason = needs('linux', 'docker', 'collector-image');
  if (reason !== undefined) return context.skip(reason);
  const subject = await CollectorSubject.start({ writes: 'buffered' });
  await using rig = await SinkRig.start(subject);
  await rig.accepts(some);
  const fault = await faultOf('killed', subject.server);
  await fault.begin();
  // What it had answered for was accepted before this, and is no longer the pipeline's.
  const exempt = rig.load.accepted.at(-1) ?? 0;
  await rig.accepts(some);
  await fault.end();
  await rig.accepts(some);
  expect(await rig.finishes(), rig.pipeline.log).toBe(0);
  // Asked to end, it writes the rest.
  await (await faultOf('restarted', subject.server)).begin();
  const { accepted, sent } = rig.load;
  const { missing, invented } = judge({ accepted, sent, found: await subject.numbers() });
  expect(rangesOf(missing.filter((number) => number > exempt))).toEqual([]);
  expect(invented).toEqual([]);
  expect(missing.length, 'lost with the memory of the Collector').toBeGreaterThan(0);
  expect(subject.collector.torn).toBeLessThanOrEqual(1);
  const figure = `${missing.length} of ${exempt} that were accepted before`;
  recordFigure(collector, subject.version, 'Lost when it is killed, where it answers before it writes', figure);
});
