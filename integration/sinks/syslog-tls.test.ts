// The same with TLS, an authority of its own included.

import { expect, test } from 'vitest';
import { needs } from '../requirements.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { syslogTls } from './syslog.ts';
import { lossOfUnread } from './syslog-loss.ts';

sinkFaultTests(syslogTls);

test('a receiver that stands still and is killed loses nothing over TLS either', {
  timeout: 120_000,
}, async (context) => {
  const reason = needs('linux', 'docker', 'rsyslog-image');
  if (reason !== undefined) return context.skip(reason);
  expect(await lossOfUnread(syslogTls)).toBe(0);
});
