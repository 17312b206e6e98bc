// PRI, the first field of a message: facility times 8 plus severity (RFC 5424, 6.2.1).

import { z } from 'spillway/plugin';

/** In the order of their numbers, under the names that syslog daemons give them. */
export const facilityNames: readonly string[] = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'security',
  'console',
  'solaris-cron',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
];

/** A facility by name or number. Gives the number. */
export function facility(): z.ZodType<number, string | number> {
  return z.union([z.int().min(0).max(23), z.string()]).transform((value, context) => {
    if (typeof value === 'number') return value;
    const number = facilityNames.indexOf(value.toLowerCase());
    if (number >= 0) return number;
    context.addIssue({ code: 'custom', message: `expected 0 to 23 or one of ${facilityNames.join(', ')}` });
    return z.NEVER;
  });
}

const informational = 6;

/** The severity of syslog, 0 to 7, for a severity number of OpenTelemetry's, 1 to 24. 0 or none: informational. */
export function severityOf(severityNumber: number | undefined): number {
  const number = severityNumber ?? 0;
  if (number <= 0) return informational;
  if (number <= 8) return 7; // TRACE and DEBUG
  if (number === 9) return informational;
  if (number <= 12) return 5; // INFO2 to INFO4 are what syslog calls a notice.
  if (number <= 16) return 4;
  if (number === 17) return 3;
  if (number === 18) return 2;
  return number <= 20 ? 1 : 0; // ERROR3 and ERROR4, then FATAL.
}
