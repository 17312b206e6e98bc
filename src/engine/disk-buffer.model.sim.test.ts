// Random lives of a disk buffer against the naive model: users of all kinds, kills and power cuts, and on three of four
// seeds a disk that fails and rots. What is checked after every action: src/testing/simulation/life.ts.
import { describe, expect, test } from 'vitest';
import { byScale, onlyCase, repeatable, seedOr } from '../../test/sweep.ts';
import { simulate } from '../testing/simulation/simulation.ts';

const file = import.meta.filename;

describe('a buffer against the naive model', () => {
  const name = 'lives as the model says';
  test(name, async () => {
    const first = seedOr(1);
    const seeds = byScale({ sample: 24, full: 2_000 });
    const only = onlyCase();
    let lives = 0;
    for (let index = 0; index < seeds; index++) {
      if (only !== undefined && index !== only) continue;
      const run = (): Promise<{ lives: number }> => simulate({ seed: first + index, steps: 500 });
      lives += (await repeatable({ file, name, seed: first, case: index }, run)).lives;
    }
    expect(lives).toBeGreaterThan(0);
  });

  test('is the same run for the same seed, and another for another', async () => {
    const [one, again, other] = [
      await simulate({ seed: 5, steps: 300 }),
      await simulate({ seed: 5, steps: 300 }),
      await simulate({ seed: 6, steps: 300 }),
    ];
    expect(again).toEqual(one);
    expect(other.hash).not.toBe(one.hash);
  });
});
