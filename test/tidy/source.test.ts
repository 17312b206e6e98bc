import { describe, expect, it } from 'vitest';
import { blank, describeFindings, importsOf, lineAt, repositoryFiles, resolveImport } from './source.ts';

describe('what the house rules read', () => {
  it('sees every form of import with its line, and none in a comment', () => {
    const text = [
      "import { a } from './a.ts';",
      "import type { B } from '../b/b.ts';",
      "import './effect.ts';",
      "// import { no } from './no.ts';",
      "/* export { no } from './no.ts'; */",
      "export { c } from './c.ts';",
      "export * as d from './d.ts';",
      'import {',
      '  e,',
      '  f,',
      "} from 'node:fs';",
      "const g = await import('./g.ts');",
    ].join('\n');
    expect(importsOf({ path: 'src/x.ts', text })).toEqual([
      { specifier: './a.ts', line: 1 },
      { specifier: '../b/b.ts', line: 2 },
      { specifier: './effect.ts', line: 3 },
      { specifier: './c.ts', line: 6 },
      { specifier: './d.ts', line: 7 },
      { specifier: 'node:fs', line: 8 },
      { specifier: './g.ts', line: 12 },
    ]);
  });

  it('blanks comments and literals and leaves code, offsets and lines alone', () => {
    const text = "a('Date') // Date\n/* Date\n*/ b(`x ${Date} Date ${'}'} y`); /Da'te[/]/.test(c) / Date; d(\"it's\")";
    const code = blank(text, 'comments and literals');
    expect(code).toHaveLength(text.length);
    expect(code.split('\n')).toHaveLength(3);
    expect(code.match(/Date/g)).toHaveLength(2);
    expect(code).toContain('.test(c) / Date; d(');
  });

  it('keeps literals when only comments are to go', () => {
    expect(blank("import 'x'; // y", 'comments')).toBe("import 'x';     ");
  });

  it('counts lines from one', () => {
    expect([lineAt('a\nb\nc', 0), lineAt('a\nb\nc', 2), lineAt('a\nb\nc', 4)]).toEqual([1, 2, 3]);
  });

  it('resolves relative imports only', () => {
    expect(resolveImport('src/engine/frame.ts', '../base/assert.ts')).toBe('src/base/assert.ts');
    expect(resolveImport('src/engine/frame.ts', 'crc-32')).toBeUndefined();
  });

  it('finds the files of this repository', () => {
    const paths = repositoryFiles().map(({ path }) => path);
    expect(paths).toContain('package.json');
    expect(paths).toContain('test/tidy/source.test.ts');
    expect(paths.some((path) => path.startsWith('node_modules/'))).toBe(false);
  });

  it('reports place, rule and remedy in one line', () => {
    expect(describeFindings([{ path: 'a.ts', line: 3, rule: 'r', remedy: 'do this' }])).toBe('a.ts:3: r: do this');
  });
});
