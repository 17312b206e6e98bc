import { expect, it } from 'vitest';
import { facility, severityOf } from './priority.ts';

it('gives the severities of the OpenTelemetry data model', () => {
  const severities = Array.from({ length: 25 }, (_, number) => severityOf(number));
  expect(severities).toEqual([6, 7, 7, 7, 7, 7, 7, 7, 7, 6, 5, 5, 5, 4, 4, 4, 4, 3, 2, 1, 1, 0, 0, 0, 0]);
  expect(severityOf(undefined)).toBe(6);
});

it.each([
  [0, 0],
  [23, 23],
  ['kern', 0],
  ['USER', 1],
  ['local7', 23],
])('takes %j for facility %i', (given, number) => {
  expect(facility().parse(given)).toBe(number);
});

it.each([-1, 24, 1.5, 'local8', '1', null])('refuses %j as a facility', (given) => {
  expect(facility().safeParse(given).success).toBe(false);
});
