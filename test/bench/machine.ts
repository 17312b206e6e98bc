// What the figures were measured on. Models and versions only: names of hosts and folders mean nothing to a reader.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { GiB } from '../../src/base/units.ts';
import { root } from '../tidy/source.ts';

/** Rows of a table: what, and which. */
export function describeMachine(directory: string): readonly (readonly [string, string])[] {
  const processors = cpus();
  return [
    ['processor', `${processors[0]?.model.trim() || 'unknown'}, ${processors.length} logical`],
    ['memory', `${(totalmem() / GiB).toFixed(0)} GiB`],
    ['system', `${type()} ${release()}`],
    ['file system', fileSystemOf(directory)],
    ['Node', process.version],
    ['commit', commit()],
  ];
}

/** Type and options that matter, of the mount that holds the directory. */
function fileSystemOf(directory: string): string {
  try {
    const mounts = readFileSync('/proc/self/mounts', 'utf8').trim().split('\n');
    let best: readonly string[] = [];
    for (const line of mounts) {
      const fields = line.split(' ');
      const point = fields[1] ?? '';
      const holds = directory === point || directory.startsWith(point.endsWith('/') ? point : `${point}/`);
      if (holds && point.length >= (best[1]?.length ?? 0)) best = fields;
    }
    const options = (best[3] ?? '')
      .split(',')
      .filter((option) => /^(?:discard|sync|data=|barrier|nobarrier)/.test(option));
    return [best[2] ?? 'unknown', ...options].join(', ');
  } catch {
    return 'unknown'; // No such list on this system.
  }
}

function commit(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', ['-c', `safe.directory=${root}`, ...args], { cwd: root, encoding: 'utf8' }).trim();
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'src') === '' ? '' : ', with changes';
    return git('rev-parse', '--short=10', 'HEAD') + changed;
  } catch {
    return 'unknown';
  }
}
