import { expect, it } from 'vitest';
import type { ZodType } from 'zod';
import type { Signal } from '../../../otlp/signal.ts';
import { testSinkContext } from '../../../testing/pipeline-contexts.ts';
import type { Sink, SinkBatch } from '../../contract/sink.ts';
import { blackholeSink } from './blackhole-sink.ts';

function batchOf(events: number, signal: Signal = 'logs'): SinkBatch {
  const bytes = new Uint8Array(events * 10);
  return { signal, events, byteLength: bytes.length, records: [], merged: () => bytes };
}

async function rig(given: object) {
  const context = testSinkContext();
  const options = (blackholeSink.schema as ZodType).parse(given);
  const sink: Sink = await blackholeSink.create(options as never, context);
  const stopping = new AbortController();
  const deliver = (batch: SinkBatch) => sink.deliver(batch, { signal: stopping.signal });
  return { context, sink, deliver, stopping, sim: context.world.sim };
}

it('takes everything, and says at intervals what it took', async () => {
  const { context, sink, deliver, sim } = await rig({ print_interval_secs: 10 });
  expect(await deliver(batchOf(3))).toEqual({ kind: 'delivered' });
  expect(await deliver(batchOf(2, 'metrics'))).toEqual({ kind: 'delivered' });
  await sim.advance(9_999);
  expect(context.log.lines).toEqual([]);
  await sim.advance(1);
  const fields = { events: 5, logs: 3, traces: 0, metrics: 2, batches: 2, bytes: 50 };
  expect(context.log.lines).toEqual([{ level: 'info', message: 'taken and dropped since start', fields }]);
  await sim.advance(20_000);
  expect(context.log.lines).toHaveLength(1); // Nothing new, nothing to say.
  await deliver(batchOf(1));
  await sink.close?.();
  expect(context.log.lines.at(-1)?.fields).toMatchObject({ events: 6 });
  expect(sim.pending()).toEqual([]);
});

it('says nothing unless asked', async () => {
  const { context, sink, deliver, sim } = await rig({});
  await deliver(batchOf(3));
  await sim.drain();
  await sink.close?.();
  expect(context.log.lines).toEqual([]);
});

it('takes no more than its rate, over all batches', async () => {
  const { deliver, sim } = await rig({ rate: 100 });
  const answers = [deliver(batchOf(50)), deliver(batchOf(150)), deliver(batchOf(100))];
  const endsMs = answers.map(async (answer) => {
    await answer;
    return sim.timeMs;
  });
  expect(await sim.run(Promise.all(endsMs))).toEqual([500, 2_000, 3_000]);
  await sim.advance(60_000); // What was not used is not saved up.
  await sim.run(deliver(batchOf(100)));
  expect(sim.timeMs).toBe(64_000);
});

it('gives up waiting when told, and counts nothing then', async () => {
  const { context, sink, deliver, stopping, sim } = await rig({ rate: 1, print_interval_secs: 1_000 });
  const answer = deliver(batchOf(500));
  await sim.advance(10);
  stopping.abort();
  expect(await answer).toMatchObject({ kind: 'retryable' });
  expect(await deliver(batchOf(1))).toMatchObject({ kind: 'retryable' });
  await sink.close?.();
  expect(context.log.lines).toEqual([]);
});
