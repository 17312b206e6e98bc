// Which test files have a process of their own, and which share one with others.
//
// A process costs a start and every module once more: for most of some 300 files that is more than their tests. Files
// share one, unless they start programs, or change, watch or measure the process they run in. Locks, descriptors and
// signals belong to a process, so the tests of the platform are alone as well, and those of the command line, which
// takes a whole process for itself.
//
// Only the file itself is looked at. What a shared file leaves behind all the same is found by test/setup/no-leaks.ts.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folders = /^(?:src\/(?:cli|platform)|integration|test\/(?:examples|pack))\//;

const reasons: readonly RegExp[] = [
  // What drives containers listens to every signal from the moment it is loaded.
  /from '(?:\.\.\/)+integration\//,
  /\bprocess\.(?:on|once|off|emit|listeners|env|umask|chdir|kill|exit\w*|memoryUsage|cpuUsage|resourceUsage)\b/,
  /\bvi\.(?:mock|doMock|useFakeTimers|stubGlobal|setSystemTime)\(/,
  /\bglobalThis\b/,
  /'node:(?:child_process|worker_threads|cluster|v8|vm)'/,
];

export function needsOwnProcess(path: string, text: string): boolean {
  return folders.test(path) || reasons.some((reason) => reason.test(text));
}

/** Of the tests that these patterns name, those that run alone. Paths relative to the root. */
export function loneTests(root: string, patterns: readonly string[]): string[] {
  const paths = globSync([...patterns], { cwd: root, exclude: ['**/node_modules'] }).sort();
  return paths.filter((path) => needsOwnProcess(path, readFileSync(join(root, path), 'utf8')));
}
