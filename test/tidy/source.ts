// What every house rule needs: the files of the repository, their text with comments and literals blanked out, their
// imports, and one form for what a rule has found. Rules are plain functions over a list of files, so that each of them
// is tested on small made-up files first: a rule that cannot fail holds nothing.
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const root: string = dirname(dirname(import.meta.dirname));

export type SourceFile = {
  /** Relative to the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
};

export type Finding = {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly remedy: string;
};

export type Rule = (files: readonly SourceFile[]) => Finding[];

/** One line a finding, in the form that terminals and editors turn into a link. */
export function describeFindings(findings: readonly Finding[]): string {
  return findings.map(({ path, line, rule, remedy }) => `${path}:${line}: ${rule}: ${remedy}`).join('\n');
}

/** All files that git tracks or would track: what somebody could commit by mistake counts as well. */
export function repositoryFiles(): SourceFile[] {
  // Git refuses a work tree of another user; reading its file list is no risk, and CI runs as root on somebody's clone.
  const args = ['-c', `safe.directory=${root}`, 'ls-files', '--cached', '--others', '--exclude-standard', '-z'];
  const listed = execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  const paths = [...new Set(listed.split('\0'))].filter((path) => path !== '').sort();
  return paths.filter(isTextFile).map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

function isTextFile(path: string): boolean {
  if (!/(?:\.(?:ts|mts|mjs|js|json|md|ya?ml|sh|txt)|(?:^|\/)[^.]+|\/\.?[a-z]+rc|Dockerfile)$/.test(path)) return false;
  if (path.includes('/fixtures/')) return false;
  return statSync(join(root, path), { throwIfNoEntry: false })?.isFile() ?? false;
}

export function isCode(path: string): boolean {
  return /\.(?:ts|mjs)$/.test(path);
}

/** Tests and benchmarks stand outside the floors: they may import whatever they prove something about. */
export function isProof(path: string): boolean {
  return /\.(?:test|bench)\.ts$/.test(path);
}

/** The product: source that is built, published and held to the floors. */
export function productFiles(files: readonly SourceFile[]): SourceFile[] {
  return files.filter(({ path }) => path.startsWith('src/') && path.endsWith('.ts') && !isProof(path));
}

export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

export type ImportEdge = { readonly specifier: string; readonly line: number };

const importForms = [
  /\b(?:import|export)\s+(?:type\s+)?(?:[\w$*{}\s,]+?\s+from\s+)?'([^'\n]+)'/g,
  /\bimport\s*\(\s*'([^'\n]+)'/g,
];

/** Every module a file names: static and dynamic imports, types as well, and re-exports. */
export function importsOf(file: SourceFile): ImportEdge[] {
  const text = blank(file.text, 'comments');
  const edges = importForms.flatMap((form) =>
    [...text.matchAll(form)].map((match) => ({ specifier: match[1] ?? '', line: lineAt(text, match.index) })),
  );
  return edges.sort((a, b) => a.line - b.line);
}

/** The repository path that a relative specifier names, undefined for packages and built-in modules. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return join(dirname(from), specifier).replaceAll('\\', '/');
}

/**
 * The same text with comments, or comments and the inside of literals, replaced by blanks: offsets and lines stay.
 * A small scanner instead of a parser: it has to tell code from prose, not to understand the code.
 */
export function blank(text: string, what: 'comments' | 'comments and literals'): string {
  const out = text.split('');
  const erase = (from: number, to: number): void => {
    for (let at = from; at < to; at += 1) if (out[at] !== '\n') out[at] = ' ';
  };
  const literals = what === 'comments and literals';
  const resumeAt: number[] = []; // Brace depth at which each open template literal goes on.
  let depth = 0;
  let at = 0;
  const template = (start: number): number => {
    const end = endOfTemplate(text, start);
    if (literals) erase(start, end.at - (end.hole ? 2 : 1));
    if (end.hole) resumeAt.push(depth);
    return end.at;
  };
  while (at < text.length) {
    const end = endOfToken(text, at);
    if (end.kind === 'comment') erase(at, end.at);
    else if (end.kind === 'literal' && literals) erase(at + 1, end.at - 1);
    const char = text[at];
    if (char === '`') {
      at = template(at + 1);
      continue;
    }
    if (char === '{') depth += 1;
    if (char === '}') {
      if (resumeAt.at(-1) === depth) {
        resumeAt.pop();
        at = template(at + 1);
        continue;
      }
      depth -= 1;
    }
    at = end.at;
  }
  return out.join('');
}

type Token = { readonly kind: 'comment' | 'literal' | 'other'; readonly at: number };

function endOfToken(text: string, at: number): Token {
  const two = text.slice(at, at + 2);
  if (two === '//') return { kind: 'comment', at: endOr(text, text.indexOf('\n', at)) };
  if (two === '/*') return { kind: 'comment', at: endOr(text, text.indexOf('*/', at + 2), 2) };
  const char = text[at];
  if (char === "'" || char === '"') return { kind: 'literal', at: endOfString(text, at + 1, char) };
  if (char === '/' && startsExpression(text, at)) return { kind: 'literal', at: endOfPattern(text, at + 1) };
  return { kind: 'other', at: at + 1 };
}

function endOr(text: string, found: number, width = 0): number {
  return found === -1 ? text.length : found + width;
}

function endOfString(text: string, from: number, quote: string): number {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === quote || text[at] === '\n') return at + 1;
  }
  return text.length;
}

function endOfTemplate(text: string, from: number): { readonly at: number; readonly hole: boolean } {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '`') return { at: at + 1, hole: false };
    else if (text[at] === '$' && text[at + 1] === '{') return { at: at + 2, hole: true };
  }
  return { at: text.length, hole: false };
}

/** A slash begins a pattern where a value may begin; elsewhere it divides. */
function startsExpression(text: string, at: number): boolean {
  const before = text.slice(0, at).trimEnd();
  return before === '' || /[(,=:[!&|?{};+\-*%<>~^]$|\b(?:return|typeof|case|in|of|void|await|yield)$/.test(before);
}

function endOfPattern(text: string, from: number): number {
  let inClass = false;
  for (let at = from; at < text.length && text[at] !== '\n'; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '[') inClass = true;
    else if (text[at] === ']') inClass = false;
    else if (text[at] === '/' && !inClass) return at + 1;
  }
  return from; // No pattern after all: go on behind the slash.
}
