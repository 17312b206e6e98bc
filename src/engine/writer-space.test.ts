// Every byte of the directory stays within maxBytes, whatever is appended (V12, V23, V25).
import { describe, expect, test } from 'vitest';
import { bufferDirectory, WritingSide } from '../../test/writing-side.ts';
import { KiB, MiB } from '../base/units.ts';
import { SeededRandom } from '../testing/index.ts';
import { ledgerBytes } from './ledger-slot.ts';
import type { Durability } from './limits.ts';

const full = { maxBytes: 1 * MiB, whenFull: 'reject' } as const;

/** Looks at the disk after every event of the world until nothing is left to happen. */
async function watchBytes(side: WritingSide, check: () => void): Promise<void> {
  do check();
  while (await side.world.step());
}

function checkBytes(side: WritingSide, otherBytes = 0): void {
  const { maxBytes, admissionBytes } = side.limits;
  expect(side.disk.bytesBelow(bufferDirectory) + otherBytes + ledgerBytes).toBeLessThanOrEqual(maxBytes);
  expect(side.space.usedBytes).toBeLessThanOrEqual(admissionBytes);
  expect(side.disk.bytesBelow(bufferDirectory)).toBeLessThanOrEqual(side.space.usedBytes);
}

describe('1 MiB is never passed, and used to the last frame', () => {
  const sizes = [
    0, 1, 4, 5, 11, 12, 100, 255, 1000, 4083, 4096, 10_007, 16_384, 49_999, 65_300, 65_536, 90_001, 118_772,
  ];
  test.each(sizes)('with records of %i bytes', async (byteLength) => {
    const side = new WritingSide({ limits: full });
    for (let freed = 0; freed < 3; freed++) {
      for (;;) {
        const result = side.writer.tryAppend(new Uint8Array(byteLength), 1, 0);
        if (result === 'full') break;
        if (result === 'wait') await watchBytes(side, () => checkBytes(side));
      }
      await watchBytes(side, () => checkBytes(side));
      // What is left is less than one more of these records needs in the worst case: a segment of its own.
      expect(side.space.headroom).toBeLessThan(byteLength + 4096 + 48 + 48 + 12 + 8);
      await side.freeFirst();
    }
  });

  test.each<Durability>(['memory', 'os', 'interval', 'sync'])(
    'with mixed records and batches in `%s`',
    async (durability) => {
      for (let seed = 1; seed <= 5; seed++) {
        const side = new WritingSide({ seed, limits: { ...full, durability } });
        const random = new SeededRandom(`${durability} ${seed}`);
        for (let step = 0; step < 150; step++) {
          const size = random.chance(0.2) ? random.int(118_000) : random.int(3000);
          if (random.chance(0.2)) {
            const batch = Array.from({ length: random.between(1, 9) }, () => ({ payload: new Uint8Array(size >> 4) }));
            side.writer.appendBatch(batch).catch(() => undefined);
          } else {
            side.writer.append({ payload: new Uint8Array(size) }).catch(() => undefined);
          }
          if (random.chance(0.3)) await side.world.step();
          checkBytes(side);
          if (random.chance(0.03) && side.catalog.first?.complete === true) await side.freeFirst();
        }
        await watchBytes(side, () => checkBytes(side));
      }
    },
  );
});

test('I9.1: at rest used is what lies on the disk and one seal to come', async () => {
  const side = new WritingSide({ limits: full });
  for (const size of [1, 100_000, 50_000, 3, 60_000, 7]) {
    await side.append(size);
    await side.world.drain();
    expect(side.space.usedBytes).toBe(side.disk.bytesBelow(bufferDirectory) + 48);
    expect(side.space.diskBytes).toBe(side.disk.bytesBelow(bufferDirectory) + ledgerBytes);
  }
  await side.freeFirst();
  expect(side.space.usedBytes).toBe(side.disk.bytesBelow(bufferDirectory) + 48);
});

test('a directory that is over its limit is full until it has drained', async () => {
  const side = new WritingSide({ limits: full, otherBytes: 2 * MiB });
  expect(side.space.headroom).toBeLessThan(0);
  expect(side.writer.tryAppend(new Uint8Array(1), 1, 0)).toBe('full');
});

test('copies of damaged bytes take room from records, and never more than there is', async () => {
  const side = new WritingSide({ limits: full });
  side.disk.plantFile('/data/evidence', new Uint8Array(300 * KiB));
  for (let step = 0; step < 200; step++) {
    const result = side.writer.tryAppend(new Uint8Array(9000), 1, 0);
    if (step % 3 === 0) void side.quarantine.keep('/data/evidence', step * 1000, step * 1000 + 20_000);
    await watchBytes(side, () => {
      expect(side.disk.bytesBelow(bufferDirectory) + ledgerBytes).toBeLessThanOrEqual(side.limits.maxBytes);
    });
    if (result === 'full' && step % 20 === 0) await side.freeFirst();
  }
  expect(side.quarantine.byteLength).toBeGreaterThan(0);
  expect(side.quarantine.byteLength).toBeLessThanOrEqual(side.limits.quarantineBytesMax);
});
