// A long simulation must have been everywhere: marks that no seed reaches are places that nothing proves.
import { expect, test } from 'vitest';
import { countMarks, reachableMarks } from '../testing/simulation/reached.ts';
import { simulate } from '../testing/simulation/simulation.ts';

test('reaches every rare branch of the engine', async () => {
  const marks = countMarks();
  for (let seed = 1; seed <= 400; seed++) await simulate({ seed, steps: 1_000 });
  marks.stop();
  expect(reachableMarks.filter((mark) => !marks.counts.has(mark))).toEqual([]);
});
