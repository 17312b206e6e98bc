// Runs benchmarks: npm run bench [-- name ...] [--flag ...]
// A name selects every `*.bench.ts` whose path contains it; without one all run. Flags go to the benchmark itself;
// every one of them knows --smoke, its smallest parameters, with which npm test runs it.
// Each file runs in a process of its own, one after the other: a shared heap or a busy neighbour would be measured too.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { dirname } from 'node:path';

const root = dirname(import.meta.dirname);
const args = process.argv.slice(2);
const firstFlag = args.findIndex((arg) => arg.startsWith('--'));
const names = firstFlag === -1 ? args : args.slice(0, firstFlag);
const flags = firstFlag === -1 ? [] : args.slice(firstFlag);

const all = globSync(['src/**/*.bench.ts', 'plugins/*/src/**/*.bench.ts'], { cwd: root }).sort();
const chosen = names.length === 0 ? all : all.filter((file) => names.some((name) => file.includes(name)));

if (chosen.length === 0) {
  console.error(`no benchmark matches ${names.join(', ') || '*.bench.ts'}; there are: ${all.join(', ') || 'none'}`);
  process.exitCode = 1;
}
for (const file of chosen) {
  console.log(`# ${file}`);
  const run = spawnSync(process.execPath, ['--expose-gc', '--conditions=spillway-source', file, ...flags], {
    cwd: root,
    stdio: 'inherit',
  });
  if (run.status !== 0) process.exitCode = 1;
}
