import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { errorCodes } from '../../src/base/errors.ts';
import {
  constantRule,
  constantsOf,
  errorCodeRule,
  exportRule,
  readManifest,
  readTable,
  sameValue,
} from './agreements.ts';
import { describeFindings, isProof, root } from './source.ts';

function remediesFor(target: Readonly<Record<string, string>>): string[] {
  return exportRule({ exports: { './a': target } }, (path) => path === './src/a.ts').map(({ remedy }) => remedy);
}

const page = ['# Format', '', '## Constants', '', '| name | value | meaning |', '| --- | --- | --- |'];

describe('agreements, on made-up files', () => {
  it('holds the exports map to the files and to the order of conditions', () => {
    expect(remediesFor({ 'spillway-source': './src/a.ts', types: './dist/a.d.ts', default: './dist/a.js' })).toEqual(
      [],
    );
    expect(
      remediesFor({ types: './dist/a.d.ts', 'spillway-source': './src/a.ts', default: './dist/a.js' }),
    ).toHaveLength(1);
    expect(
      remediesFor({ 'spillway-source': './src/b.ts', types: './dist/b.d.ts', default: './dist/b.js' }),
    ).toHaveLength(1);
    expect(
      remediesFor({ 'spillway-source': './src/a.ts', types: './dist/b.d.ts', default: './dist/c.js' }),
    ).toHaveLength(2);
    expect(exportRule({ exports: { './x.json': './x.json' } }, () => false)).toHaveLength(1);
  });

  it('reads a table below its heading only', () => {
    const text = [...page, '| `a` | `1` | one |', '', '## Other', '| b | 2 | two |'].join('\n');
    expect([...readTable(text, 'Constants')]).toEqual([['a', '1']]);
  });

  it('compares constants both ways, numbers as numbers', () => {
    const constants = constantsOf({ magic: 'SPILLWAY', block: 4096, at: { marker: 0, crc: 4 }, encode: () => 1 });
    const rows = [
      '| `magic` | `SPILLWAY` | |',
      '| `block` | 0x1000 | |',
      '| `at.marker` | 0 | |',
      '| `at.crc` | 4 | |',
    ];
    expect(constantRule([...page, ...rows].join('\n'), constants)).toEqual([]);
    expect(constantRule([...page, ...rows.slice(1)].join('\n'), constants)).toHaveLength(1);
    expect(constantRule([...page, ...rows, '| `gone` | 1 | |'].join('\n'), constants)).toHaveLength(1);
    const wrong = rows.map((row) => row.replace('0x1000', '4,095'));
    expect(constantRule([...page, ...wrong].join('\n'), constants)).toHaveLength(1);
    expect(constantRule([...page, ...rows.map((row) => row.replace('0x1000', '4,096'))].join('\n'), constants)).toEqual(
      [],
    );
  });

  it.each([
    ['16,777,216', 16_777_216],
    ['16 384', 16_384],
    ['0x4c57_5053', 0x4c57_5053],
    ['0b1_0000', 16],
    ['2^32 - 1', 2 ** 32 - 1],
  ])('reads %s as a number', (written, value) => {
    expect(sameValue(written, String(value))).toBe(true);
    expect(sameValue(written, String(value + 1))).toBe(false);
    expect(sameValue('', '0')).toBe(false);
  });

  it('compares error codes both ways', () => {
    const codes = ['SPILLWAY_USAGE_CLOSED', 'SPILLWAY_STORAGE_IO'];
    const text =
      '## SPILLWAY_USAGE_CLOSED\n\n| `SPILLWAY_STORAGE_IO` | x |\n\nSee SPILLWAY_USAGE_CLOSED and SPILLWAY_CONFIG_*.';
    expect(errorCodeRule(text, codes)).toEqual([]);
    expect(errorCodeRule(text.replace('| `SPILLWAY_STORAGE_IO`', '| x'), codes)).toHaveLength(1);
    expect(errorCodeRule(`${text}\nSPILLWAY_USAGE_GONE`, codes)).toMatchObject([{ line: 6 }]);
    expect(errorCodeRule(`${text}\n## SPILLWAY_USAGE_CLOSED`, codes)).toHaveLength(1);
  });
});

function readPage(path: string): string {
  expect(existsSync(join(root, path)), `${path} exists`).toBe(true);
  return readFileSync(join(root, path), 'utf8');
}

describe('agreements, in this repository', () => {
  it('exports what exists', () => {
    const manifest = readManifest();
    expect(Object.keys(manifest.exports)).not.toHaveLength(0);
    expect(describeFindings(exportRule(manifest, (path) => existsSync(join(root, path))))).toBe('');
  });

  it('writes on disk what docs/format.md says', async () => {
    const files = globSync('src/engine/{frame,segment,ledger}*.ts', { cwd: root }).filter((path) => !isProof(path));
    for (const chapter of ['frame', 'segment', 'ledger']) {
      expect(
        files.some((path) => path.startsWith(`src/engine/${chapter}`)),
        `chapter ${chapter} has a file`,
      ).toBe(true);
    }
    const constants = new Map<string, string>();
    for (const path of files) {
      const module = (await import(pathToFileURL(join(root, path)).href)) as Record<string, unknown>;
      for (const [name, value] of constantsOf(module)) constants.set(name, value);
    }
    expect(constants.size).toBeGreaterThan(10);
    expect(describeFindings(constantRule(readPage('docs/format.md'), constants))).toBe('');
  });

  it('raises the errors that docs/errors.md explains', () => {
    const codes = Object.keys(errorCodes);
    expect(codes).not.toHaveLength(0);
    expect(describeFindings(errorCodeRule(readPage('docs/errors.md'), codes))).toBe('');
  });
});
