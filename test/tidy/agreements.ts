// What is written down twice has to agree: the exports map and the files, the constants on disk and docs/format.md, the
// error codes and docs/errors.md. Each comparison goes both ways: a row too many is as wrong as one too few.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Finding, root } from './source.ts';

export type Manifest = { readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>> };

export function readManifest(): Manifest {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
}

/** The source files that the package exports. */
export function exportedSources(): string[] {
  return Object.values(readManifest().exports).flatMap((target) => {
    const source = typeof target === 'string' ? undefined : target['spillway-source'];
    return source === undefined ? [] : [source.replace(/^\.\//, '')];
  });
}

export function exportRule(manifest: Manifest, exists: (path: string) => boolean): Finding[] {
  const findings: Finding[] = [];
  for (const [name, target] of Object.entries(manifest.exports)) {
    const found = (remedy: string): void => {
      findings.push({ path: 'package.json', line: 1, rule: 'exports', remedy: `${name}: ${remedy}` });
    };
    if (typeof target === 'string') {
      if (!exists(target)) found(`${target} does not exist`);
      continue;
    }
    const source = target['spillway-source'] ?? '';
    if (!exists(source))
      found(`${source || 'the condition spillway-source'} does not exist: write it or drop the export`);
    const built = source.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, '');
    const expected = ['spillway-source', 'types', 'default'];
    if (Object.keys(target).join() !== expected.join())
      found(`the conditions are ${expected.join(', ')}, in this order`);
    if (target['types'] !== `${built}.d.ts`) found(`types is not ${built}.d.ts`);
    if (target['default'] !== `${built}.js`) found(`default is not ${built}.js`);
  }
  return findings;
}

/** Rows `| name | value | ...` of the table below a heading, by name; names and values may stand in backticks. */
export function readTable(page: string, heading: string): Map<string, string> {
  const rows = new Map<string, string>();
  let inside = false;
  for (const line of page.split('\n')) {
    const title = /^#+\s+(.*?)\s*$/.exec(line);
    if (title !== null) inside = title[1] === heading;
    const cells = line.split('|').map((cell) => cell.trim().replace(/^`+|`+$/g, ''));
    if (!inside || cells.length < 4 || /^:?-+:?$/.test(cells[1] ?? '')) continue;
    rows.set(cells[1] ?? '', cells[2] ?? '');
  }
  const [header] = rows.keys(); // The first row of a table is its header.
  if (header !== undefined) rows.delete(header);
  return rows;
}

/** The primitive constants a module exports: `name`, and `name.member` for a table of them. */
export function constantsOf(module: Readonly<Record<string, unknown>>): Map<string, string> {
  const constants = new Map<string, string>();
  for (const [name, value] of Object.entries(module)) {
    if (typeof value === 'number' || typeof value === 'string') constants.set(name, String(value));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue;
    for (const [member, inner] of Object.entries(value)) {
      if (typeof inner === 'number' || typeof inner === 'string') constants.set(`${name}.${member}`, String(inner));
    }
  }
  return constants;
}

/** Numbers agree as numbers: 4096, 4,096, 0x1000 and 2^12 are one value. */
export function sameValue(written: string, constant: string): boolean {
  const plain = written.replaceAll(/(?<=[\da-f])[,_ ](?=[\da-f])/gi, '');
  const power = /^2\^(\d+)(?: - (\d+))?$/.exec(plain);
  const value = power === null ? Number(plain) : 2 ** Number(power[1]) - Number(power[2] ?? 0);
  return written === constant || (plain !== '' && value === Number(constant));
}

export function constantRule(page: string, constants: ReadonlyMap<string, string>): Finding[] {
  const findings: Finding[] = [];
  const rows = readTable(page, 'Constants');
  const found = (remedy: string): void => {
    findings.push({ path: 'docs/format.md', line: 1, rule: 'constants on disk', remedy });
  };
  for (const [name, value] of constants) {
    const written = rows.get(name);
    if (written === undefined) found(`${name} (${value}) has no row in the table under "Constants": add it`);
    else if (!sameValue(written, value))
      found(`${name} is ${value} in the source and ${written} here: a format change?`);
  }
  for (const name of rows.keys()) if (!constants.has(name)) found(`${name} is no exported constant: remove the row`);
  return findings;
}

const codePattern = /\bSPILLWAY_(?:CONFIG|USAGE|STORAGE|DAMAGE|FORMAT|PLUGIN)_[A-Z0-9_]*[A-Z0-9]\b/g;

/** A code is documented where it is the first thing of a heading or of a table row, not where prose mentions it. */
export function documentedCodes(page: string): string[] {
  return page.split('\n').flatMap((line) => {
    const first = /^(?:#+|\|)\s*`?(SPILLWAY_[A-Z0-9_]+)/.exec(line);
    return first === null ? [] : [first[1] ?? ''];
  });
}

export function errorCodeRule(page: string, codes: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const found = (line: number, remedy: string): void => {
    findings.push({ path: 'docs/errors.md', line, rule: 'error codes', remedy });
  };
  const documented = documentedCodes(page);
  for (const code of codes) {
    const times = documented.filter((each) => each === code).length;
    if (times === 0) found(1, `${code} is not explained: add a heading or a row that begins with it`);
    if (times > 1) found(1, `${code} is explained ${times} times: keep one`);
  }
  for (const [index, line] of page.split('\n').entries()) {
    for (const [code] of line.matchAll(codePattern)) {
      if (!codes.includes(code)) found(index + 1, `${code} does not exist in src/base/errors.ts: correct or remove it`);
    }
  }
  return findings;
}
