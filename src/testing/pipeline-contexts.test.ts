import { expect, it } from 'vitest';
import type { TelemetryBatch } from '../otlp/signal.ts';
import { NodeClock } from '../platform/node-clock.ts';
import { realWorld, testSinkContext, testSourceContext } from './pipeline-contexts.ts';

const batch: TelemetryBatch = { signal: 'logs', events: 1, bytes: Uint8Array.of(10, 0) };

it('keeps what was emitted, and apart from it what was accepted', async () => {
  const context = testSourceContext();
  context.answerWith((_batch, { maxWaitMs }) => ({ kind: 'full', retryAfterMs: maxWaitMs ?? 0 }));
  expect(await context.emit(batch, { maxWaitMs: 7 })).toEqual({ kind: 'full', retryAfterMs: 7 });
  context.answerWith(() => ({ kind: 'accepted' }));
  await context.emit(batch);
  expect(context.emissions.map(({ result }) => result?.kind)).toEqual(['full', 'accepted']);
  expect(context.accepted).toEqual([batch]);
});

it('shows an emission that is not answered', async () => {
  const context = testSourceContext();
  const { sim, clock } = context.world;
  context.answerWith(() => new Promise((resolve) => clock.setTimer(50, () => resolve({ kind: 'accepted' }))));
  const emitted = context.emit(batch);
  await sim.advance(49);
  expect(context.emissions[0]?.result).toBeUndefined();
  expect(await sim.run(emitted)).toEqual({ kind: 'accepted' });
});

it('stops when told', () => {
  const context = testSourceContext({ id: 'tail' });
  expect(context.stopping.aborted).toBe(false);
  context.stop();
  expect(context.stopping.aborted).toBe(true);
});

it('collects the lines of a log and of its children', () => {
  const { log } = testSinkContext();
  log.info('one');
  log.child({ peer: 'a' }).child({ port: 1 }).error('two', { port: 2 });
  expect(log.lines).toEqual([
    { level: 'info', message: 'one', fields: {} },
    { level: 'error', message: 'two', fields: { peer: 'a', port: 2 } },
  ]);
});

it('names the cursor like the sink, and takes another world', () => {
  expect(testSinkContext({ id: 'archive' }).origin).toMatchObject({ cursor: 'archive', buffer: 'buffer' });
  const context = testSinkContext({ world: realWorld(), origin: { uuid: undefined } });
  expect(context.world.clock).toBeInstanceOf(NodeClock);
  expect(context.origin.uuid).toBeUndefined();
});
