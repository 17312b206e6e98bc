import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksum, checksumPortable } from './checksum.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe('checksum', () => {
  it('is the CRC-32 that everybody else computes', () => {
    // The check value that catalogues of CRCs give for this polynomial, and two that any zlib prints.
    for (const compute of [checksum, checksumPortable]) {
      expect(compute(text('123456789'))).toBe(0xcbf4_3926);
      expect(compute(text(''))).toBe(0);
      expect(compute(new Uint8Array(32))).toBe(0x190a_55ad);
    }
  });

  it('is the same by zlib and in plain JavaScript, and never negative', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.nat({ max: 64 }), (bytes, skipped) => {
        const part = bytes.subarray(Math.min(skipped, bytes.length)); // Views into larger memory count as themselves.
        const value = checksum(part);
        expect(checksumPortable(part)).toBe(value);
        expect(value).toBe(value >>> 0);
      }),
    );
  });

  it('sees every single flipped bit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), (bytes, place) => {
        const bit = place % (8 * bytes.length);
        const flipped = bytes.slice();
        flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
        expect(checksum(flipped)).not.toBe(checksum(bytes));
      }),
    );
  });
});
