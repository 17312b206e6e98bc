import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byScale } from '../../test/sweep.ts';
import { decodeLedgerSlot, encodeLedgerSlot, type LedgerContent, ledgerSlotBytes } from './ledger-slot.ts';

const numRuns = byScale({ sample: 200, full: 5000 });
const count = fc.maxSafeNat();
const amount = fc.record({ events: count, bytes: count });
const names = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/);

const contents: fc.Arbitrary<LedgerContent> = fc.record({
  uuid: fc.uuid(),
  formatVersion: fc.constant(1),
  epoch: fc.nat({ max: 2 ** 32 - 1 }),
  clean: fc.boolean(),
  writer: fc.record({ segment: count, offset: count, nextId: count, newestSegment: count }),
  cursors: fc.uniqueArray(
    fc.record({ name: names, nextId: count, segment: count, offset: count, payloadBytes: count }),
    { maxLength: 32, selector: (cursor) => cursor.name },
  ),
  totals: fc.record({
    appended: amount,
    acknowledged: amount,
    removed: fc.record({
      rejected: amount,
      dropped_oldest: amount,
      dropped_newest: amount,
      disk_full: amount,
      unconfirmed: amount,
    }),
    damaged: amount,
  }),
  unconfirmed: fc.array(
    fc.tuple(count, count).map(([one, other]) => ({ from: Math.min(one, other), to: Math.max(one, other) })),
    { maxLength: 16 },
  ),
});

describe('ledger slots', () => {
  it('give back what went in', () => {
    fc.assert(
      fc.property(count, contents, (generation, content) => {
        const slot = encodeLedgerSlot(generation, content);
        expect(slot.length).toBe(ledgerSlotBytes);
        expect(decodeLedgerSlot(slot)).toEqual({ kind: 'valid', generation, content });
      }),
      { numRuns },
    );
  });

  it('are never half one write and half another', () => {
    // A torn write: some 512-byte sectors of the new slot, the others of the old one.
    fc.assert(
      fc.property(contents, contents, fc.array(fc.boolean(), { minLength: 16, maxLength: 16 }), (...drawn) => {
        const [before, after, sectors] = drawn;
        const older = encodeLedgerSlot(7, before);
        const newer = encodeLedgerSlot(9, after);
        const torn = older.slice();
        for (const [sector, kept] of sectors.entries()) {
          if (kept) torn.set(newer.subarray(512 * sector, 512 * (sector + 1)), 512 * sector);
        }
        const reading = decodeLedgerSlot(torn);
        if (reading.kind === 'valid') expect([before, after]).toContainEqual(reading.content);
        else expect(reading).toEqual({ kind: 'bad' });
      }),
      { numRuns },
    );
  });

  it('are not seen in random bytes, and nothing is thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeLedgerSlot(bytes)).toEqual({ kind: 'bad' });
      }),
      { numRuns },
    );
  });
});
