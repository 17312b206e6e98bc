// A real rsyslog under all that can happen to it, and killed with its buffers full.

import { expect, test } from 'vitest';
import { needs } from '../requirements.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { syslogTcp } from './syslog.ts';
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
