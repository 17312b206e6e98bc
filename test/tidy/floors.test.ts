import { describe, expect, it } from 'vitest';
import { ambientRule, floorRule, floors } from './floors.ts';
import { blank, describeFindings, productFiles, repositoryFiles, type SourceFile } from './source.ts';

function file(path: string, text: string): SourceFile {
  return { path, text };
}

function remediesOf(path: string, text: string): string[] {
  return floorRule([file(path, text)]).map(({ remedy }) => remedy);
}

describe('floors, on made-up files', () => {
  it.each([
    ['src/base/a.ts', './b.ts'],
    ['src/base/checksum.ts', 'crc-32'],
    ['src/base/checksum.ts', 'node:zlib'],
    ['src/platform/a.ts', 'node:fs'],
    ['src/platform/a.ts', 'node:fs/promises'],
    ['src/engine/a.ts', '../platform/file-system.ts'],
    ['src/stage/a.ts', 'rxjs'],
    ['src/stage/a.ts', '../engine/disk-buffer.ts'],
    ['src/telemetry/a.ts', '@opentelemetry/api'],
    ['src/cli/a.ts', '../pipeline/a.ts'],
    ['src/testing/a.ts', '../engine/frame.ts'],
    ['src/index.ts', './engine/disk-buffer.ts'],
    ['src/engine/a.test.ts', 'node:fs'],
  ])('%s may import %s', (path, specifier) => {
    expect(remediesOf(path, `import { x } from '${specifier}';`)).toEqual([]);
  });

  it.each([
    ['src/base/a.ts', '../platform/clock.ts'],
    ['src/base/a.ts', 'crc-32'],
    ['src/base/a.ts', 'node:zlib'],
    ['src/base/checksum.ts', 'node:fs'],
    ['src/platform/a.ts', '../engine/frame.ts'],
    ['src/engine/a.ts', 'node:zlib'],
    ['src/engine/a.ts', 'node:fs'],
    ['src/engine/a.ts', 'rxjs'],
    ['src/engine/a.ts', '@opentelemetry/api'],
    ['src/engine/a.ts', '../testing/sim.ts'],
    ['src/engine/a.ts', '../index.ts'],
    ['src/stage/a.ts', '../otlp/a.ts'],
    ['src/telemetry/a.ts', 'rxjs'],
    ['src/cli/a.ts', 'node:fs'],
    ['src/testing/a.ts', 'fast-check'],
    ['src/engine/a.ts', '../../scripts/build.ts'],
    ['src/index.ts', './testing/index.ts'],
    ['src/index.ts', 'rxjs'],
  ])('%s may not import %s', (path, specifier) => {
    expect(remediesOf(path, `import type { X } from '${specifier}';`)).toHaveLength(1);
  });

  it('refuses a folder without a floor', () => {
    expect(remediesOf('src/misc/a.ts', '')).toHaveLength(1);
  });
});

describe('no ambient world, on made-up files', () => {
  it.each([
    'setTimeout(f, 1);',
    'queueMicrotask(f);',
    'const t = Date.now();',
    'const t = new Date();',
    'const r = Math.random();',
    'performance.now();',
    "process.on('exit', f);",
    'crypto.getRandomValues(a);',
  ])('refuses %s in the engine', (text) => {
    expect(ambientRule([file('src/engine/a.ts', text)])).toHaveLength(1);
    expect(ambientRule([file('src/platform/a.ts', text)])).toEqual([]);
  });

  it.each(['clock.setTimeout(f)', 'this.#performance()', 'const processed = 1;', '{ process: 1 }'])(
    'allows %s',
    (text) => {
      expect(ambientRule([file('src/engine/a.ts', text)])).toEqual([]);
    },
  );
});

describe('floors, in this repository', () => {
  const files = productFiles(repositoryFiles());

  it('has files on the floors it speaks about', () => {
    for (const folder of ['base', 'platform', 'engine', 'testing']) {
      expect(
        files.filter(({ path }) => path.startsWith(`src/${folder}/`)),
        folder,
      ).not.toHaveLength(0);
    }
    expect(floors['engine']).toBe(2);
  });

  it('holds the floors', () => {
    expect(describeFindings(floorRule(files))).toBe('');
  });

  it('keeps time, chance and the process out of what a simulation must be able to repeat', () => {
    const blanked = files.map(({ path, text }) => ({ path, text: blank(text, 'comments and literals') }));
    expect(describeFindings(ambientRule(blanked))).toBe('');
  });
});
