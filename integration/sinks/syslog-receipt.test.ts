// A real rsyslog on a connection that is kept: what a network does loses nothing, a kill of the receiver does.

import { expect, test } from 'vitest';
import { needs } from '../requirements.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { syslogReceipt } from './syslog.ts';
import { lossOfUnread } from './syslog-loss.ts';
import { measurePace } from './syslog-pace.ts';

sinkFaultTests(syslogReceipt);

const reason = needs('linux', 'docker', 'rsyslog-image');

test('with receipts, what the process of a receiver had not read when it is killed is lost', {
  timeout: 120_000,
}, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  const missing = await lossOfUnread(syslogReceipt);
  expect(missing).toBeGreaterThan(0);
  expect(missing).toBeLessThanOrEqual(3_500);
});

test('what has a receipt is written in the end, at a pace', { timeout: 60_000 }, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  await measurePace(syslogReceipt);
});
