// The invariants have two homes, the head of the file that owns each and the table in src/engine/README.md. This holds
// them together: a number names one invariant for good, in comments, in assertions and in the messages of a violation.
import { describe, expect, it } from 'vitest';
import { isProof, repositoryFiles } from './tidy/source.ts';

const files = repositoryFiles();
const engine = files.filter(
  ({ path }) =>
    path.startsWith('src/engine/') && path.endsWith('.ts') && !isProof(path) && !path.includes('/fixtures/'),
);
const page = files.find(({ path }) => path === 'src/engine/README.md')?.text ?? '';

/** Number -> the files at whose head it stands. */
function owners(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { path, text } of engine) {
    const head = text.slice(0, text.search(/^(?!\/\/)/m));
    for (const [, number = ''] of head.matchAll(/^\/\/\s+(I\d+\.\d+)\s/gm)) {
      found.set(number, [...(found.get(number) ?? []), path.replace('src/engine/', '')]);
    }
  }
  return found;
}

/** Number -> the last cell of its row. */
function rows(): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, number = '', place = ''] of page.matchAll(/^\| (I\d+\.\d+) \|.*\| ([^|]*) \|$/gm)) {
    expect(found.has(number), `${number} has one row`).toBe(false);
    found.set(number, place);
  }
  return found;
}

describe('invariants', () => {
  it('have one owner each, and a row that names it', () => {
    const table = rows();
    expect(table.size).toBeGreaterThan(40);
    expect([...table.keys()].sort()).toEqual([...owners().keys()].sort());
    for (const [number, paths] of owners()) {
      expect(paths, `${number} stands at the head of one file`).toHaveLength(1);
      expect(table.get(number), `the row of ${number}`).toContain(`\`${paths[0]}\``);
    }
  });

  it('are not spoken of unless they exist', () => {
    const known = owners();
    const unknown = engine.flatMap(({ path, text }) =>
      [...text.matchAll(/\bI\d+\.\d+\b/g)]
        .filter(([number]) => !known.has(number))
        .map(([number]) => `${path}: ${number}`),
    );
    expect(unknown).toEqual([]);
  });
});
