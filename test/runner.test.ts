// The runner from outside, on made-up test files: a run must not look green when it was not, and must not hide a skip.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { root } from './tidy/source.ts';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

type Run = { readonly status: number | null; readonly output: string; readonly lastLine: string };

/** Runs one made-up test file, in a folder below the repository so that it finds vitest. */
function run(body: string, ...args: readonly string[]): Run {
  mkdirSync(join(root, '.cache'), { recursive: true });
  const folder = mkdtempSync(join(root, '.cache/runner-'));
  folders.push(folder);
  mkdirSync(join(folder, 'test'));
  writeFileSync(join(folder, 'test/made-up.test.ts'), `import { expect, it } from 'vitest';\n${body}\n`);
  const command = [
    join(root, 'scripts/test.ts'),
    '--root',
    folder,
    '--config',
    join(root, 'vitest.config.ts'),
    ...args,
  ];
  const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, SPILLWAY_TEST_COUNTS: undefined };
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: root, env, encoding: 'utf8' });
  const output = stdout + stderr;
  return { status, output, lastLine: stdout.trim().split('\n').at(-1) ?? '' };
}

const passes = "it('passes', () => expect(1).toBe(1));";

it('counts what passed and every reason for a skip', () => {
  const skips = "it('skips', (context) => context.skip('needs a moon')); it.skip('skips too', () => {});";
  const { status, output, lastLine } = run(`${passes}\n${skips}`);
  expect([status, lastLine]).toEqual([0, '1 passed, 0 failed, 2 skipped']);
  expect(output).toContain('skipped 1: needs a moon');
  expect(output).toContain('skipped 1: no reason given');
});

it('fails for a test that prints, and shows what it printed', () => {
  const { status, output, lastLine } = run(`${passes}\nit('prints', () => console.log('left behind'));`);
  expect([status, lastLine]).toEqual([1, '1 passed, 1 failed, 0 skipped']);
  expect(output).toContain('console.log: left behind');
});

it('fails for a rejection that nobody waits for, although every test passed', () => {
  const { status, lastLine } = run(`it('forgets', () => { void Promise.reject(new Error('unseen')); });`);
  expect([status, lastLine]).toEqual([1, '1 passed, 1 failed, 0 skipped']);
});

it('fails for a file that leaves something in the process that it shares', () => {
  const leaves = [
    "import { createServer } from 'node:net';",
    "it('listens', () => new Promise((resolve) => { createServer().listen(0, resolve); }));",
    "it('waits', () => { setTimeout(() => {}, 1e6); setInterval(() => {}, 1e6); });",
    "it('sets', () => { Object.assign(process['env'], { MADE_UP: '1' }); });",
    "it('hears', () => { process['on']('SIGUSR2', () => {}); });",
  ];
  const { status, output, lastLine } = run(leaves.join('\n'));
  expect([status, lastLine]).toEqual([1, '4 passed, 1 failed, 0 skipped']);
  for (const left of ['TCPServerWrap: 0 before, 1 now', 'environment MADE_UP=1', 'process.on SIGUSR2']) {
    expect(output).toContain(left);
  }
  expect(output).toMatch(/Timeout: \d before/);
});

it('fails for a file that does not load', () => {
  const { status, lastLine } = run(`${passes}\nthrow new Error('at load');`);
  expect([status, lastLine]).toEqual([1, '0 passed, 1 failed, 0 skipped']);
});

it('fails when no test ran at all', () => {
  const { status, lastLine } = run(passes, 'no/such/file');
  expect([status, lastLine]).toEqual([1, '0 passed, 1 failed, 0 skipped']);
});
