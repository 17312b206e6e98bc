import { describe, expect, it } from 'vitest';
import { chapterNames, chapterRule, engineFolder, readChapters, readingOrderPage } from './chapters.ts';
import { describeFindings, repositoryFiles, type SourceFile } from './source.ts';

function item(name: string, files: readonly string[]): string {
  return `1. **${name}** - ${files.map((file) => `\`${file}\``).join(', ')}: what it owns`;
}

function page(chapters: readonly (readonly [string, readonly string[]])[]): SourceFile {
  const items = chapters.map(([name, files]) => item(name, files));
  return { path: readingOrderPage, text: ['# The engine', '', '## Reading order', ...items, '', '## Next'].join('\n') };
}

function book(
  changes: Readonly<Record<string, readonly string[]>>,
  texts: Readonly<Record<string, string>>,
): SourceFile[] {
  const chapters = chapterNames.map((name) => [name, changes[name] ?? [`${name}.ts`]] as const);
  const files = chapters.flatMap(([, names]) => names);
  return [page(chapters), ...files.map((name) => ({ path: engineFolder + name, text: texts[name] ?? '' }))];
}

describe('chapter order, on a made-up engine', () => {
  it('reads chapters and their files from the page', () => {
    const text = page([
      ['limits', ['limits.ts']],
      ['frame', ['frame.ts', 'frame-scan.ts']],
    ]).text;
    expect(readChapters(text)).toEqual([
      { name: 'limits', files: ['limits.ts'], line: 4 },
      { name: 'frame', files: ['frame.ts', 'frame-scan.ts'], line: 5 },
    ]);
    expect(readChapters('# Nothing here')).toEqual([]);
  });

  it('accepts a whole book in order, with chapters of several files', () => {
    const files = book(
      { segment: ['segment-header.ts', 'segment.ts'] },
      { 'segment.ts': "import { a } from './segment-header.ts';\nimport { b } from './frame.ts';" },
    );
    expect(chapterRule(files)).toEqual([]);
  });

  it('refuses an import of a later chapter, of a later file of the same chapter, and of the file itself', () => {
    const files = book(
      { segment: ['segment-header.ts', 'segment.ts'] },
      {
        'frame.ts': "import type { W } from './writer.ts';",
        'segment-header.ts': "\nimport { s } from './segment.ts';",
        'ledger.ts': "import { l } from './ledger.ts';",
      },
    );
    expect(chapterRule(files).map(({ path, line }) => [path, line])).toEqual([
      ['src/engine/frame.ts', 1],
      ['src/engine/segment-header.ts', 2],
      ['src/engine/ledger.ts', 1],
    ]);
  });

  it('refuses a reader that imports the writer, although it comes later', () => {
    const files = book({}, { 'reader.ts': "import { w } from './writer.ts';" });
    expect(chapterRule(files)).toHaveLength(1);
  });

  it('refuses a file in no chapter, a listed file that is missing, a foreign name and another order', () => {
    const complete = book({}, {});
    const stray = { path: `${engineFolder}stray.ts`, text: '' };
    expect(chapterRule([...complete, stray])).toHaveLength(1);
    expect(chapterRule(complete.filter(({ path }) => path !== `${engineFolder}frame.ts`))).toHaveLength(1);
    expect(chapterRule(book({ frame: ['codec.ts'] }, {}))).toHaveLength(1);
    expect(chapterRule(book({ frame: [] }, {}))).toHaveLength(1);
    const [first, ...rest] = complete;
    const swapped = (first?.text ?? '').replace('**limits**', '**later**');
    expect(chapterRule([{ path: readingOrderPage, text: swapped }, ...rest]).length).toBeGreaterThan(0);
  });

  it('does not look at tests', () => {
    const test = { path: `${engineFolder}frame.test.ts`, text: "import { w } from './writer.ts';" };
    expect(chapterRule([...book({}, {}), test])).toEqual([]);
  });
});

it('holds the chapter order of the engine', () => {
  expect(describeFindings(chapterRule(repositoryFiles()))).toBe('');
});
