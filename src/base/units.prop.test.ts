import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alignDown, alignUp, GiB, KiB, MiB } from './units.ts';

describe('units', () => {
  it('are powers of 1024', () => {
    expect([KiB, MiB, GiB]).toEqual([1024, 1_048_576, 1_073_741_824]);
  });

  it('align to the nearest multiple, beyond 32 bits too', () => {
    const alignment = fc.constantFrom(1, 4, 8, 512, 4096, 5000);
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 31 - 1 }), fc.nat({ max: 2 ** 20 }), alignment, (low, high, step) => {
        const value = high * 2 ** 31 + low;
        const up = alignUp(value, step);
        const down = alignDown(value, step);
        expect([up % step, down % step]).toEqual([0, 0]);
        expect(up - value).toBeGreaterThanOrEqual(0);
        expect(up - value).toBeLessThan(step);
        expect(value - down).toBeGreaterThanOrEqual(0);
        expect(value - down).toBeLessThan(step);
      }),
    );
  });
});
