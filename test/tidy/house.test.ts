import { describe, expect, it } from 'vitest';
import { exportedSources } from './agreements.ts';
import { deadFileRule, leftoverRule, machineRule, nameRule, outputRule } from './house.ts';
import { blank, describeFindings, productFiles, repositoryFiles, type SourceFile } from './source.ts';

function file(path: string, text = ''): SourceFile {
  return { path, text };
}

describe('rules of the house, on made-up files', () => {
  it('refuses names that say nothing', () => {
    const refused = [
      'src/base/utils.ts',
      'src/a/string-util.ts',
      'src/helpers/x.ts',
      'src/buffer-manager.ts',
      'src/common.ts',
    ];
    const allowed = ['src/base/units.ts', 'src/a/uncommon.ts', 'src/engine/frame-scan.test.ts', 'docs/utils.md'];
    expect(nameRule(refused.map((path) => file(path))).map(({ path }) => path)).toEqual(refused);
    expect(nameRule(allowed.map((path) => file(path)))).toEqual([]);
  });

  it('refuses leftovers', () => {
    const words = [
      ['TO', 'DO'],
      ['FIX', 'ME'],
      ['XX', 'X'],
      ['HA', 'CK'],
    ].map((parts) => parts.join(''));
    for (const word of words)
      expect(leftoverRule([file('a.md', `one\ntwo ${word}: three`)])).toMatchObject([{ line: 2 }]);
    expect(leftoverRule([file('a.md', 'todo list, hacked, mastodon')])).toEqual([]);
  });

  it('refuses paths and addresses of one machine', () => {
    const texts = [
      `/wo${''}rk/main`,
      `/fa${''}rm/x`,
      `https://registry.npm${''}js.org`,
      `"resolved": "ht${''}tps://x"`,
    ];
    for (const text of texts) expect(machineRule([file('a.json', text)])).toHaveLength(1);
    expect(machineRule([file('a.json', '"resolved": "integration", "the work/life balance"')])).toEqual([]);
  });

  it('refuses output from the product, not from the command line or a benchmark', () => {
    for (const text of ['console.log(1)', 'process.stdout.write(s)', 'debugger;']) {
      expect(outputRule([file('src/engine/a.ts', text)])).toHaveLength(1);
      expect(outputRule([file('src/cli/a.ts', text), file('src/engine/a.bench.ts', text)])).toEqual([]);
    }
    expect(outputRule([file('src/engine/a.ts', 'this.#console.log(1)')])).toEqual([]);
  });

  it('finds files that nothing reaches', () => {
    const files = [
      file('src/index.ts', "export { a } from './a.ts';"),
      file('src/a.ts', "import { b } from './b.ts';"),
      file('src/b.ts'),
      file('src/only-tested.ts'),
      file('src/only-tested.test.ts', "import './only-tested.ts';\nimport './testing/draw.ts';"),
      file('src/testing/draw.ts'),
      file('src/testing/forgotten.ts'),
      file('scripts/run.ts', "import '../src/started.ts';"),
      file('src/started.ts'),
    ];
    const dead = deadFileRule(files, ['src/index.ts']).map(({ path }) => path);
    expect(dead).toEqual(['src/only-tested.ts', 'src/testing/forgotten.ts']);
  });
});

describe('rules of the house, in this repository', () => {
  const files = repositoryFiles();

  it('has names that say something', () => {
    expect(describeFindings(nameRule(files))).toBe('');
  });

  it('has no leftovers', () => {
    expect(describeFindings(leftoverRule(files))).toBe('');
  });

  it('knows nothing of one machine', () => {
    expect(describeFindings(machineRule(files))).toBe('');
  });

  it('does not print', () => {
    const blanked = productFiles(files).map(({ path, text }) => file(path, blank(text, 'comments and literals')));
    expect(blanked).not.toHaveLength(0);
    expect(describeFindings(outputRule(blanked))).toBe('');
  });

  it('has no dead files', () => {
    expect(exportedSources()).not.toHaveLength(0);
    expect(describeFindings(deadFileRule(files, exportedSources()))).toBe('');
  });
});
