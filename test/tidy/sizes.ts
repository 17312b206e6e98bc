// Lengths, as a ratchet. A file aims at 400 lines and never passes 600; the few between stand in ratchet.json with
// their length, which may shrink and never grow. Lines end at 120 columns. Functions (70 lines) are Biome's to count.
import { type Finding, isCode, isProof, type SourceFile } from './source.ts';

export const fileLinesAim = 400;
export const fileLinesMax = 600;
export const lineColumnsMax = 120;

/** Path -> lines of a file that is longer than the aim. */
export type Ratchet = Readonly<Record<string, number>>;

export function lineCount(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

function checkLength(path: string, lines: number, allowed: number | undefined): string | undefined {
  if (lines > fileLinesMax) return `${lines} lines, at most ${fileLinesMax}: split it`;
  // A table of cases may be long; for tests the hard limit is the only one.
  if (isProof(path) || path.startsWith('test/')) return undefined;
  if (lines <= fileLinesAim) {
    return allowed === undefined ? undefined : `${lines} lines: take it out of test/tidy/ratchet.json`;
  }
  if (allowed === undefined) return `${lines} lines, aim ${fileLinesAim}: split it`;
  if (lines > allowed) return `${lines} lines, it had ${allowed}: it may only shrink`;
  return lines < allowed ? `${lines} lines: lower its entry in test/tidy/ratchet.json from ${allowed}` : undefined;
}

export function sizeRule(files: readonly SourceFile[], ratchet: Ratchet): Finding[] {
  const findings: Finding[] = [];
  for (const { path, text } of files.filter((file) => isCode(file.path))) {
    const problem = checkLength(path, lineCount(text), ratchet[path]);
    if (problem !== undefined) findings.push({ path, line: lineCount(text), rule: 'file length', remedy: problem });
    for (const [index, line] of text.split('\n').entries()) {
      if (line.length <= lineColumnsMax) continue;
      const remedy = `${line.length} columns, at most ${lineColumnsMax}: break the line`;
      findings.push({ path, line: index + 1, rule: 'line width', remedy });
    }
  }
  for (const path of Object.keys(ratchet)) {
    if (files.some((file) => file.path === path)) continue;
    const remedy = `${path} is gone: take it out`;
    findings.push({ path: 'test/tidy/ratchet.json', line: 1, rule: 'file length', remedy });
  }
  return findings;
}
