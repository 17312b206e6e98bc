// Benchmarks that nobody runs rot: each one runs here at its smallest, for its exit code and not for its figures.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from './tidy/source.ts';

const files = globSync(['src/**/*.bench.ts', 'plugins/*/src/**/*.bench.ts'], { cwd: root }).sort();

it('finds the benchmarks', () => {
  expect(files).not.toHaveLength(0);
});

it.each(files)('%s still runs', (file) => {
  const program = join(root, 'scripts/bench.ts');
  const run = spawnSync(process.execPath, [program, file, '--smoke'], { cwd: root, encoding: 'utf8' });
  expect(run.status, run.stdout + run.stderr).toBe(0);
});
