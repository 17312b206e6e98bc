import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import ratchet from './ratchet.json' with { type: 'json' };
import { type Ratchet, sizeRule } from './sizes.ts';
import { describeFindings, isCode, repositoryFiles, root } from './source.ts';

function remedies(path: string, lines: number, allowed: Ratchet = {}): string[] {
  return sizeRule([{ path, text: 'x\n'.repeat(lines) }], allowed).map(({ remedy }) => remedy);
}

/** What Biome says about source of that text, by the configuration of this repository in a folder of its own. */
function lint(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-lint-'));
  try {
    const configuration = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8')) as Record<string, unknown>;
    writeFileSync(join(folder, 'biome.json'), JSON.stringify({ ...configuration, vcs: { enabled: false } }));
    mkdirSync(join(folder, 'src'));
    writeFileSync(join(folder, 'src', 'made-up.ts'), text);
    const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
    const run = spawnSync(process.execPath, [biome, 'lint', '--colors=off'], { cwd: folder, encoding: 'utf8' });
    return run.stdout + run.stderr;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function functionOf(lines: number): string {
  const body = Array.from({ length: lines }, (_, index) => `  console.info(${index});`).join('\n');
  return `export function long(): void {\n${body}\n}\n`;
}

describe('lengths, on made-up files', () => {
  it('accepts the aim and refuses one line more', () => {
    expect(remedies('src/a.ts', 400)).toEqual([]);
    expect(remedies('src/a.ts', 401)).toEqual(['401 lines, aim 400: split it']);
  });

  it('lets a listed file shrink and never grow', () => {
    expect(remedies('src/a.ts', 450, { 'src/a.ts': 450 })).toEqual([]);
    expect(remedies('src/a.ts', 451, { 'src/a.ts': 450 })[0]).toContain('may only shrink');
    expect(remedies('src/a.ts', 449, { 'src/a.ts': 450 })[0]).toContain('lower its entry');
    expect(remedies('src/a.ts', 400, { 'src/a.ts': 450 })[0]).toContain('take it out');
    expect(remedies('src/a.ts', 10, { 'src/b.ts': 450 })[0]).toContain('is gone');
  });

  it('has a hard end for everything, listed or a test', () => {
    expect(remedies('src/a.ts', 601, { 'src/a.ts': 601 })).toEqual(['601 lines, at most 600: split it']);
    expect(remedies('src/a.test.ts', 600)).toEqual([]);
    expect(remedies('src/a.test.ts', 601)).toHaveLength(1);
  });

  it('refuses a line of 121 columns', () => {
    expect(sizeRule([{ path: 'src/a.ts', text: 'x'.repeat(120) }], {})).toEqual([]);
    expect(sizeRule([{ path: 'src/a.ts', text: `\n${'x'.repeat(121)}` }], {})).toMatchObject([{ line: 2 }]);
  });

  it('has Biome count the lines of a function', () => {
    expect(lint(functionOf(66))).not.toContain('noExcessiveLinesPerFunction');
    expect(lint(functionOf(72))).toContain('noExcessiveLinesPerFunction');
  });

  it('has Biome refuse what the style refuses', () => {
    const floating = 'async function f(): Promise<void> {}\nexport function g(): void {\n  f();\n}\n';
    const found = lint(
      `${functionOf(1)}${floating}export const a: any = 1;\nexport * from './frame.ts';\nexport default 1;\n`,
    );
    for (const rule of ['noConsole', 'noExplicitAny', 'noReExportAll', 'noDefaultExport', 'noFloatingPromises']) {
      expect(found).toContain(rule);
    }
  });
});

it('holds the lengths of this repository', () => {
  const files = repositoryFiles();
  expect(files.filter(({ path }) => isCode(path)).length).toBeGreaterThan(10);
  expect(describeFindings(sizeRule(files, ratchet))).toBe('');
});
