// Two words against BigInt, which is slower and right.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decimalOfSigned, decimalOfUnsigned, nanosecondsOf, parseInteger } from './integers.ts';

const words = { low: 0, high: 0 };

const unsigned = fc.oneof(
  fc.bigInt(0n, 2n ** 64n - 1n),
  fc
    .integer({ min: 0, max: 63 })
    .chain((bits) => fc.bigInt(-3n, 3n).map((near) => BigInt.asUintN(64, 2n ** BigInt(bits) + near))),
  fc.integer({ min: 0, max: 19 }).map((digits) => 10n ** BigInt(digits) - 1n),
);

function bigintOf({ low, high }: { low: number; high: number }): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

it('parses and prints what has no sign', () => {
  fc.assert(
    fc.property(unsigned, fc.nat({ max: 5 }), (value, zeros) => {
      for (const given of [value, String(value), `${'0'.repeat(zeros)}${value}`]) {
        expect(parseInteger(given, false, words)).toBe(true);
        expect(bigintOf(words)).toBe(value);
      }
      expect(decimalOfUnsigned(words.low, words.high)).toBe(String(value));
    }),
    { numRuns: 1_000 },
  );
});

it('parses and prints what has a sign', () => {
  fc.assert(
    fc.property(unsigned, (bits) => {
      const value = BigInt.asIntN(64, bits);
      expect(parseInteger(String(value), true, words)).toBe(true);
      expect(bigintOf(words)).toBe(bits);
      expect(decimalOfSigned(words.low, words.high)).toBe(String(value));
    }),
    { numRuns: 1_000 },
  );
});

it('takes numbers as far as they are exact, and larger ones for what they are', () => {
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeInteger(), fc.constantFrom(2 ** 53, 2 ** 62, -(2 ** 63), 1.5e18)), (value) => {
      expect(parseInteger(value, true, words)).toBe(true);
      expect(BigInt.asIntN(64, bigintOf(words))).toBe(BigInt(value));
      expect(parseInteger(value, false, words)).toBe(value >= 0);
    }),
  );
});

it('refuses what takes more than 64 bits, with sign and without', () => {
  fc.assert(
    fc.property(fc.bigInt(1n, 10n ** 25n), (over) => {
      expect(parseInteger(String(2n ** 64n - 1n + over), false, words)).toBe(false);
      expect(parseInteger(String(-over), false, words)).toBe(false);
      expect(parseInteger(String(2n ** 63n - 1n + over), true, words)).toBe(false);
      expect(parseInteger(String(-(2n ** 63n) - over), true, words)).toBe(false);
    }),
  );
});

it.each([
  '',
  '-',
  '+1',
  '1_0',
  '1 ',
  '٣',
  'Infinity',
  '-',
  '--1',
  '1-',
  null,
  undefined,
  {},
  [],
  true,
  Number.NaN,
  0.5,
  2 ** 64,
])('refuses %j', (given) => {
  expect(parseInteger(given, false, words)).toBe(false);
});

it('takes a negative zero as zero', () => {
  expect([parseInteger('-0', false, words), bigintOf(words)]).toEqual([true, 0n]);
  expect([parseInteger(-0, false, words), bigintOf(words)]).toEqual([true, 0n]);
});

it('makes nanoseconds of milliseconds, to the microsecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1.79e13 }), fc.nat({ max: 999 }), (whole, micros) => {
      nanosecondsOf(whole, words);
      expect(bigintOf(words)).toBe(BigInt(whole) * 1_000_000n);
      fc.pre(whole < 4e12); // From there on a number has no room for microseconds.
      nanosecondsOf(whole + micros / 1_000, words);
      expect(bigintOf(words)).toBe(BigInt(whole) * 1_000_000n + BigInt(micros) * 1_000n);
    }),
    { numRuns: 500 },
  );
});

it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 1.8e13])('has no nanoseconds for %d', (timeMs) => {
  nanosecondsOf(timeMs, words);
  expect(bigintOf(words)).toBe(0n);
});
