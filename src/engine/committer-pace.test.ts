// How far the log may run ahead of the ledger.
import { expect, test } from 'vitest';
import { MiB } from '../base/units.ts';
import { Pace } from './committer-pace.ts';

test('the ledger is asked to speak once for every 8 MiB', () => {
  const pace = new Pace();
  const asked: number[] = [];
  for (let written = 1; written <= 32; written++) {
    pace.wrote(1 * MiB);
    if (pace.publishDue()) asked.push(written);
    expect(pace.publishDue()).toBe(false);
  }
  expect(asked).toEqual([8, 16, 24, 32]);
});

test('writing waits when more than 32 MiB are not covered, and goes on when they are', () => {
  const pace = new Pace();
  pace.wrote(32 * MiB);
  expect(pace.mustHold).toBe(false);
  pace.wrote(1);
  expect(pace.mustHold).toBe(true);
  pace.synced(pace.bytesWritten);
  expect(pace.mustHold).toBe(true); // Durable is not enough: the next open does not know it.
  pace.published(1);
  expect(pace.mustHold).toBe(false);
  expect(pace.bytesDurable).toBe(32 * MiB + 1);
});

test('a ledger that cannot be published holds nothing up, and does so again once it can', () => {
  const pace = new Pace();
  pace.wrote(40 * MiB);
  pace.published('failed');
  expect(pace.mustHold).toBe(false);
  pace.published(0);
  expect(pace.mustHold).toBe(true);
});
