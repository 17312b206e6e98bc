// A real rsyslog under all that can happen to it, and killed with its buffers full.

import { expect, test } from 'vitest';
import { needs } from '../requirements.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { syslogTcp } from './syslog.ts';
import { lossOfUnread } from './syslog-loss.ts';

sinkFaultTests(syslogTcp);

test('a receiver that stands still and is killed loses nothing', { timeout: 120_000 }, async (context) => {
  const reason = needs('linux', 'docker', 'rsyslog-image');
  if (reason !== undefined) return context.skip(reason);
  expect(await lossOfUnread(syslogTcp)).toBe(0);
});
