// What a confirmation costs: batches that one sink delivers to a real receiver, one after the other.

import { expect } from 'vitest';
import definition from '../../plugins/syslog/src/index.ts';
import { realWorld, sampleBatch, testSinkContext } from '../../src/testing/index.ts';
import { recordFigure } from './sink-results.ts';
import type { SinkSubject } from './sink-subject.ts';

const events = 1_000;
const batches = 20;

export async function measurePace(subject: SinkSubject): Promise<void> {
  await using started = await subject.start();
  const { type: _, ...options } = started.sink;
  const context = testSinkContext({ timeoutMs: 20_000, world: realWorld() });
  const sink = await definition.create(definition.schema.parse(options) as never, context);
  const { signal } = new AbortController();
  const deliver = async (at: number): Promise<void> => {
    const answer = await sink.deliver(sampleBatch('logs', 1 + at * events, [events], 'x'.repeat(200)), { signal });
    expect(answer).toEqual({ kind: 'delivered' });
  };
  await deliver(0);
  const startedMs = performance.now();
  for (let at = 1; at <= batches; at += 1) await deliver(at);
  const seconds = (performance.now() - startedMs) / 1000;
  await sink.close?.();
  // A receipt comes before its messages are written.
  const found = async (): Promise<number> => new Set(await started.numbers()).size;
  await expect.poll(found, { timeout: 20_000 }).toBe((batches + 1) * events);
  const pace = `${Math.round(batches / seconds)} batches, ${Math.round((batches * events) / seconds)} events`;
  recordFigure(subject, started.version, 'In a second, one batch of 1000 events after the other', pace);
}
