// Small rules of the house: names, leftovers, output, dead files.
import {
  type Finding,
  importsOf,
  isCode,
  isProof,
  lineAt,
  productFiles,
  resolveImport,
  type SourceFile,
} from './source.ts';

function each(file: SourceFile, pattern: RegExp, rule: string, remedy: (found: string) => string): Finding[] {
  return [...file.text.matchAll(pattern)].map((match) => ({
    path: file.path,
    line: lineAt(file.text, match.index),
    rule,
    remedy: remedy(match[0]),
  }));
}

const refusedNames = /(?:^|-)(?:utils?|helpers?|common|manager|misc|stuff)(?:-|$)/;

export function nameRule(files: readonly SourceFile[]): Finding[] {
  return files
    .filter(({ path }) => isCode(path))
    .flatMap(({ path }) => {
      const refused = path
        .split('/')
        .map((part) => part.replace(/\..*$/, ''))
        .find((part) => refusedNames.test(part));
      if (refused === undefined) return [];
      const remedy = `"${refused}" says nothing: name the file after the thing it owns`;
      return [{ path, line: 1, rule: 'file name', remedy }];
    });
}

// Put together from parts, or the rule would find itself.
const leftovers = new RegExp(`\\b(?:${['TO', 'DO', '|FIX', 'ME', '|XX', 'X\\b|HA', 'CK'].join('')})\\b`, 'g');

export function leftoverRule(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) =>
    each(file, leftovers, 'leftover', (found) => `${found}: do it now, or open an issue and say here what holds today`),
  );
}

const foreign = new RegExp(
  [
    `/wo${''}rk/`,
    `/fa${''}rm/`,
    `/ro${''}ot/`,
    `registry\\.npm${''}js`,
    `deb\\.deb${''}ian\\.org`,
    `"resolved": "ht${''}tp`,
  ].join('|'),
  'g',
);

/** One machine's paths and one registry's address mean nothing anywhere else. */
export function machineRule(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) =>
    each(
      file,
      foreign,
      'this machine',
      (found) => `"${found}" exists in one place only: use a relative path or a name`,
    ),
  );
}

const outputAllowed = [/^src\/cli\//, /^src\/testing\/bench/, /^src\/platform\/output-stream\.ts$/];

/** Expects comments and literals to be blanked. */
export function outputRule(blanked: readonly SourceFile[]): Finding[] {
  return productFiles(blanked)
    .filter(({ path }) => !outputAllowed.some((allowed) => allowed.test(path)))
    .flatMap((file) =>
      each(
        file,
        /(?<![\w.#])(?:console\s*\.|process\s*\.\s*(?:stdout|stderr)\b|debugger\b)/g,
        'output',
        (found) => `${found.trim()}: a library does not print; raise an event or return it`,
      ),
    );
}

/** Files that something outside src/ starts from: what the package exports, programs, examples, integration tests. */
function isEntry(file: SourceFile, exported: readonly string[]): boolean {
  if (!isCode(file.path)) return false;
  if (exported.includes(file.path)) return true;
  if (/^(?:scripts|examples|integration|plugins)\//.test(file.path)) return true;
  return file.path.startsWith('src/cli/main');
}

/**
 * Source that nothing reaches. Tests keep only src/testing/ alive: what is there exists for them, while a part of the
 * product that only its own test uses is dead.
 */
export function deadFileRule(files: readonly SourceFile[], exported: readonly string[]): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const alive = new Set<string>();
  const visit = (path: string): void => {
    const file = byPath.get(path);
    if (file === undefined || alive.has(path)) return;
    alive.add(path);
    for (const { specifier } of importsOf(file)) {
      const target = resolveImport(path, specifier);
      if (target !== undefined && (!isProof(path) || target.startsWith('src/testing/'))) visit(target);
    }
  };
  for (const file of files) if (isEntry(file, exported) || isProof(file.path)) visit(file.path);
  return productFiles(files)
    .filter(({ path }) => !alive.has(path))
    .map(({ path }) => ({ path, line: 1, rule: 'dead file', remedy: 'nothing reaches it: use it or delete it' }));
}
