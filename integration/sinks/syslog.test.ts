// A real rsyslog under all that can happen to it, and killed with its buffers full.

import { expect, test } from 'vitest';
import definition from '../../plugins/syslog/src/index.ts';
import { realWorld, sampleBatch, testSinkContext } from '../../src/testing/index.ts';
import { needs } from '../requirements.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { syslogTcp } from './syslog.ts';
import { earlyEnd } from './syslog-early-end.ts';
import { lossOfUnread } from './syslog-loss.ts';
import { measurePace } from './syslog-pace.ts';

sinkFaultTests(syslogTcp);

const reason = needs('linux', 'docker', 'rsyslog-image');

test('a receiver that stands still and is killed loses nothing', { timeout: 120_000 }, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  expect(await lossOfUnread(syslogTcp)).toBe(0);
});

test('everything that is confirmed is written, at a pace', { timeout: 60_000 }, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  await measurePace(syslogTcp);
});

test('the end of a receiver that died before everything had arrived is no confirmation', {
  timeout: 60_000,
}, async (context) => {
  const wanting = needs('linux', 'docker', 'rsyslog-image', 'wire');
  if (wanting !== undefined) return context.skip(wanting);
  await using started = await syslogTcp.start();
  const { type: _, ...options } = started.sink;
  const sinkContext = testSinkContext({ timeoutMs: 5_000, world: realWorld() });
  const sink = await definition.create(definition.schema.parse(options) as never, sinkContext);
  const { signal } = new AbortController();
  const deliver = (firstId: number) => sink.deliver(sampleBatch('logs', firstId, [10]), { signal });
  expect(await deliver(1)).toEqual({ kind: 'delivered' });
  const { answer, seen } = await earlyEnd(started.server, () => deliver(11));
  await sink.close?.();
  expect(seen).toBe('a clean end');
  expect(answer).toMatchObject({ kind: 'retryable' });
  expect(new Set(await started.numbers()).size).toBe(10);
});
