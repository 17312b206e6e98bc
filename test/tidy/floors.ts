// The floors of src/: a file imports from its own folder and from lower floors, and packages only where they belong.
import { type Finding, importsOf, productFiles, resolveImport, type SourceFile } from './source.ts';

/** Floor of each folder. Folders on one floor do not know each other. `testing` stands beside the house. */
export const floors: Readonly<Record<string, number>> = {
  base: 0,
  platform: 1,
  engine: 2,
  stage: 3,
  telemetry: 3,
  otlp: 3,
  pipeline: 4,
  sdk: 5,
  cli: 5,
};

/** Packages by the folder that may import them; `node:` stands for built-in modules other than node:fs. */
const packages: Readonly<Record<string, readonly string[]>> = {
  base: [],
  platform: ['node:', 'node:fs'],
  engine: [],
  stage: ['rxjs', 'node:'],
  telemetry: ['@opentelemetry/api'],
  otlp: ['node:'],
  sdk: ['@opentelemetry/', 'undici', 'node:'],
  pipeline: ['zod', 'yaml', 'undici', 'pino', '@grpc/grpc-js', '@opentelemetry/', 'node:'],
  cli: ['commander', 'pino', 'node:'],
  testing: ['node:'],
};

/** Single files that may import a package their folder may not. */
const exceptions: Readonly<Record<string, readonly string[]>> = {
  'src/base/checksum.ts': ['node:zlib', 'crc-32'],
};

function folderOf(path: string): string {
  return path.split('/').length > 2 ? (path.split('/')[1] ?? '') : '';
}

function packageAllowed(path: string, specifier: string): boolean {
  if (exceptions[path]?.includes(specifier)) return true;
  const folder = folderOf(path);
  if (folder === '') return false; // Entry points re-export; they have no business with packages.
  const allowed = packages[folder] ?? [];
  if (/^node:fs(?:\/|$)/.test(specifier)) return allowed.includes('node:fs');
  if (specifier.startsWith('node:')) return allowed.includes('node:');
  return allowed.some((name) => specifier === name || specifier.startsWith(name.endsWith('/') ? name : `${name}/`));
}

function importAllowed(from: string, to: string): boolean {
  if (!to.startsWith('src/')) return false;
  const importer = folderOf(from);
  const imported = folderOf(to);
  if (importer === imported) return true;
  if (imported === 'testing') return false; // Only tests and the users of spillway/testing reach for it.
  if (importer === '' || importer === 'testing') return true;
  const importerFloor = floors[importer];
  const importedFloor = floors[imported];
  return importerFloor !== undefined && importedFloor !== undefined && importedFloor < importerFloor;
}

export function floorRule(files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of productFiles(files)) {
    const folder = folderOf(file.path);
    if (folder !== '' && folder !== 'testing' && floors[folder] === undefined) {
      const remedy = `src/${folder} stands on no floor: move the file or give the folder a floor`;
      findings.push({ path: file.path, line: 1, rule: 'floors', remedy });
    }
    for (const { specifier, line } of importsOf(file)) {
      const target = resolveImport(file.path, specifier);
      const allowed = target === undefined ? packageAllowed(file.path, specifier) : importAllowed(file.path, target);
      if (allowed) continue;
      const remedy =
        target === undefined
          ? `${specifier} may not be imported here: put what needs it behind an interface on the floor that may`
          : `${specifier} stands on the same or a higher floor: move what is shared down, or pass it in`;
      findings.push({ path: file.path, line, rule: 'floors', remedy });
    }
  }
  return findings;
}

const ambient: readonly { readonly pattern: RegExp; readonly name: string; readonly instead: string }[] = [
  {
    pattern: /(?<![\w.$#])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/g,
    name: 'a timer',
    instead: 'the clock of the platform',
  },
  { pattern: /(?<![\w.$#])Date\b(?!\s*:)/g, name: 'Date', instead: 'the clock of the platform' },
  { pattern: /\bMath\.random\b/g, name: 'Math.random', instead: 'the random source of the platform' },
  { pattern: /(?<![\w.$#])performance\b(?!\s*:)/g, name: 'performance', instead: 'the clock of the platform' },
  { pattern: /(?<![\w.$#])process\b(?!\s*:)/g, name: 'process', instead: 'an option or an interface of the platform' },
  { pattern: /(?<![\w.$#])crypto\b(?!\s*:)/g, name: 'crypto', instead: 'the random source of the platform' },
];

/** Folders whose behaviour must be a function of their inputs, or no simulation could repeat a failure. */
const repeatable = ['src/base/', 'src/engine/', 'src/stage/', 'src/telemetry/', 'src/otlp/'];

export function ambientRule(blanked: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of productFiles(blanked)) {
    if (!repeatable.some((folder) => file.path.startsWith(folder))) continue;
    for (const { pattern, name, instead } of ambient) {
      for (const match of file.text.matchAll(pattern)) {
        const line = file.text.slice(0, match.index).split('\n').length;
        findings.push({ path: file.path, line, rule: 'no ambient world', remedy: `uses ${name}: take ${instead}` });
      }
    }
  }
  return findings;
}
