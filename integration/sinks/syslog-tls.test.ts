// The same with TLS, an authority of its own included.

import { expect, test } from 'vitest';
import { needs } from '../requirements.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { syslogTls } from './syslog.ts';
import { lossOfUnread } from './syslog-loss.ts';
import { measurePace } from './syslog-pace.ts';

sinkFaultTests(syslogTls);

const reason = needs('linux', 'docker', 'rsyslog-image');

test('a receiver that stands still and is killed loses nothing over TLS either', {
  timeout: 120_000,
}, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  expect(await lossOfUnread(syslogTls)).toBe(0);
});

test('everything that is confirmed is written, at a pace', { timeout: 60_000 }, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  await measurePace(syslogTls);
});
