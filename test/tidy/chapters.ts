// The engine is a book: src/engine/README.md gives the reading order, and a file imports only files before it.
//
// The list has one home, the section `## Reading order` of that page: one numbered item a chapter, with the chapter's
// name in bold and its files in backticks, in reading order, for example
//   4. **segment** - `segment-header.ts`, `segment.ts`: ...
import { type Finding, importsOf, isProof, resolveImport, type SourceFile } from './source.ts';

export const engineFolder = 'src/engine/';
export const readingOrderPage = 'src/engine/README.md';

/** The order of the design; the page may not reorder the chapters, only say which files each one has. */
export const chapterNames: readonly string[] = [
  'limits',
  'events',
  'frame',
  'segment',
  'ledger',
  'log-buffer',
  'stability',
  'committer',
  'writer',
  'reader',
  'ordered-finalizer',
  'recovery',
  'disk-buffer',
];

export type Chapter = { readonly name: string; readonly files: readonly string[]; readonly line: number };

export function readChapters(page: string): Chapter[] {
  const lines = page.split('\n');
  const start = lines.findIndex((line) => /^##+ Reading order\s*$/i.test(line));
  if (start === -1) return [];
  const chapters: { name: string; files: string[]; line: number }[] = [];
  for (const [index, line] of lines.entries()) {
    if (index <= start) continue;
    if (line.startsWith('#')) break;
    const item = /^\s*\d+\.\s+\*\*`?([a-z-]+)`?\*\*/.exec(line);
    if (item !== null) chapters.push({ name: item[1] ?? '', files: [], line: index + 1 });
    const files = [...line.matchAll(/`([a-z0-9-]+\.ts)`/g)].map((match) => match[1] ?? '');
    // Only the item's own list counts; prose below it may mention a file again.
    chapters.at(-1)?.files.push(...files.filter((file) => !chapters.some((chapter) => chapter.files.includes(file))));
  }
  return chapters;
}

export function chapterRule(files: readonly SourceFile[]): Finding[] {
  const page = files.find(({ path }) => path === readingOrderPage);
  const chapters = page === undefined ? [] : readChapters(page.text);
  const engine = files.filter(
    ({ path }) =>
      path.startsWith(engineFolder) && path.endsWith('.ts') && !isProof(path) && !path.includes('/fixtures/'),
  );
  return [...checkPage(chapters, engine), ...checkImports(chapters, engine)];
}

function checkPage(chapters: readonly Chapter[], engine: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  const found = (line: number, remedy: string): void => {
    findings.push({ path: readingOrderPage, line, rule: 'chapters', remedy });
  };
  const names = chapters.map(({ name }) => name);
  if (names.join() !== chapterNames.join()) {
    found(
      1,
      `the section "Reading order" names ${names.join(', ') || 'no chapter'}; the order is ${chapterNames.join(', ')}`,
    );
  }
  const present = new Set(engine.map(({ path }) => path.slice(engineFolder.length)));
  for (const { name, files, line } of chapters) {
    if (files.length === 0) found(line, `chapter ${name} names no file: list its files in backticks`);
    for (const file of files) {
      if (!present.has(file)) found(line, `${file} does not exist: take it out of the list`);
      if (!file.startsWith(name))
        found(line, `${file} does not begin with the name of its chapter, ${name}: rename it`);
    }
  }
  const listed = new Set(chapters.flatMap(({ files }) => files));
  for (const file of engine) {
    if (listed.has(file.path.slice(engineFolder.length))) continue;
    const remedy = `stands in no chapter: list it in ${readingOrderPage}, section "Reading order"`;
    findings.push({ path: file.path, line: 1, rule: 'chapters', remedy });
  }
  return findings;
}

function checkImports(chapters: readonly Chapter[], engine: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  const order = chapters.flatMap(({ files }) => files.map((file) => engineFolder + file));
  const chapterOf = new Map(chapters.flatMap(({ name, files }) => files.map((file) => [engineFolder + file, name])));
  for (const file of engine) {
    const own = order.indexOf(file.path);
    for (const { specifier, line } of importsOf(file)) {
      const target = resolveImport(file.path, specifier);
      if (own === -1 || target === undefined || !target.startsWith(engineFolder)) continue;
      const other = order.indexOf(target);
      if (other >= own) {
        const remedy = `imports ${specifier}, which comes later: move what is shared to an earlier chapter`;
        findings.push({ path: file.path, line, rule: 'chapters', remedy });
      }
      if (chapterOf.get(file.path) === 'reader' && chapterOf.get(target) === 'writer') {
        const remedy = `imports ${specifier}: writer and reader know each other only through the chapters before them`;
        findings.push({ path: file.path, line, rule: 'chapters', remedy });
      }
    }
  }
  return findings;
}
