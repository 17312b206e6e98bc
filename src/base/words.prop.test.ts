import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { highWord, lowWord, readWords, writeWords } from './words.ts';

describe('words', () => {
  it('hold every integer below 2^53 as the u64 it is', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat({ max: 9 }), (value, offset) => {
        const view = new DataView(new ArrayBuffer(20));
        writeWords(view, offset, value);
        expect(view.getBigUint64(offset, true)).toBe(BigInt(value));
        expect(readWords(view, offset)).toBe(value);
        expect(highWord(value) * 2 ** 32 + lowWord(value)).toBe(value);
      }),
      {
        examples: [
          [0, 0],
          [2 ** 32 - 1, 0],
          [2 ** 32, 3],
          [Number.MAX_SAFE_INTEGER, 8],
        ],
      },
    );
  });

  it('never read a u64 from 2^53 on as something smaller', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }), (value) => {
        const view = new DataView(new ArrayBuffer(8));
        view.setBigUint64(0, value, true);
        expect(readWords(view, 0)).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
      }),
      { examples: [[2n ** 53n], [2n ** 64n - 1n]] },
    );
  });
});
