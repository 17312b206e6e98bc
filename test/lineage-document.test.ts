// docs/decisions/0003-lineage.md says which test holds which behaviour. The tests are there, or this one fails.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './tidy/source.ts';

const page = readFileSync(join(root, 'docs/decisions/0003-lineage.md'), 'utf8');

interface Row {
  readonly numbers: readonly string[];
  readonly heldBy: string;
}

/** The rows of all tables, without their heads. */
const rows: readonly Row[] = page
  .split('\n')
  .filter((line) => /^\| [SFLV][0-9]/.test(line))
  .map((line) => {
    const [numbers = '', , heldBy = ''] = line.slice(2, -2).split(' | ');
    return { numbers: numbers.split(', '), heldBy };
  });

/** Each file that a row names, with the parts of test names behind it. */
function citationsOf(heldBy: string): { readonly file: string; readonly names: readonly string[] }[] {
  return heldBy.split(/; (?=`)/).flatMap((part) => {
    const file = /^`([^`]+)`: /.exec(part)?.[1];
    return file === undefined ? [] : [{ file, names: [...part.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? '') }];
  });
}

function range(letter: string, from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, place) => `${letter}${from + place}`);
}

describe('the table of behaviours', () => {
  it('has every number that was asked for, once', () => {
    const expected = [
      ...range('S', 24, 33),
      ...range('F', 6, 13),
      ...range('F', 20, 23),
      ...range('F', 26, 28),
      ...range('L', 9, 12),
      ...range('L', 21, 22),
      ...range('L', 25, 34),
      ...range('V', 11, 33),
    ];
    expect(rows.flatMap(({ numbers }) => numbers).sort()).toEqual(expected.sort());
  });

  it.each(rows.map((row) => [row.numbers.join(', '), row] as const))(
    '%s is held by tests that exist, or by a rule',
    (_numbers, { heldBy }) => {
      const citations = citationsOf(heldBy);
      if (citations.length === 0) expect(heldBy).toBe('rule');
      for (const { file, names } of citations) {
        expect(existsSync(join(root, file)), `${file} exists`).toBe(true);
        expect(names.length, `tests named in ${file}`).toBeGreaterThan(0);
        const text = readFileSync(join(root, file), 'utf8').replaceAll('\\`', '`');
        for (const name of names) expect(text.includes(name), `"${name}" in ${file}`).toBe(true);
      }
    },
  );
});
