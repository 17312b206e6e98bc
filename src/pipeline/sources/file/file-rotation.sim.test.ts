// Everything at once, many times: a log that is written, rotated by rename and by copy and truncate, while its reader
// is killed, stopped and kept waiting. Each line that was there when a copy was taken is in the output after repeats
// were removed by fingerprint and offset, in order; no fingerprint and offset ever names two lines. Rarely a copy
// cannot be known again, if the reader died just when it was made: then its lines come under a new fingerprint, and
// once more.

import { expect, it } from 'vitest';
import { byScale, onlyCase, repeatable, seedOr } from '../../../../test/sweep.ts';
import { TailLife, type TailLifeResult } from '../../../../test/tail-life.ts';

it('loses no line in any life of a log', async () => {
  const first = onlyCase() ?? seedOr(1);
  const count = onlyCase() === undefined ? byScale({ sample: 50, full: 3_000 }) : 1;
  const results: TailLifeResult[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const what = { file: import.meta.filename, name: 'loses no line in any life of a log', case: seed };
    results.push(await repeatable(what, () => new TailLife(seed).run(80)));
  }
  if (count === 1) return;
  const sum = (of: (result: TailLifeResult) => number): number => results.reduce((all, each) => all + of(each), 0);
  expect(sum(({ rotations }) => rotations.renamed)).toBeGreaterThan(count);
  expect(sum(({ rotations }) => rotations.copied)).toBeGreaterThan(count);
  expect(sum(({ rotations }) => rotations.away)).toBeGreaterThan(count / 2);
  expect(sum(({ kills }) => kills)).toBeGreaterThan(count);
  expect(sum(({ repeats }) => repeats)).toBeGreaterThan(count);
  expect(sum(({ doubled }) => doubled)).toBeLessThan(0.01 * sum(({ lines }) => lines));
}, 600_000);
