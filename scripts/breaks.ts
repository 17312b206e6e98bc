// npm run breaks: breaks the engine on purpose, one way at a time, and shows which test notices. A proof that cannot
// fail proves nothing; this is the alarm's own test.
//
// Each break is a textual change that must match exactly once, applied to a copy of the tree; then the tests that are
// meant to notice run there. A break that no test notices is a failure of this program. Arguments choose breaks by
// name.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

interface Break {
  readonly name: string;
  /** In src/engine. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Test files that may notice, relative to src/engine; the first to fail ends the run. */
  readonly tests: readonly string[];
}

const sweeps = ['disk-buffer.crash', 'disk-buffer.faults', 'disk-buffer.hard', 'disk-buffer.model'];

const breaks: readonly Break[] = [
  {
    name: 'ledger-before-data',
    file: 'disk-buffer-core.ts',
    from: 'const durable = this.committer.durable;',
    to: 'const durable = this.committer.written;',
    tests: sweeps,
  },
  {
    name: 'directory-sync-skipped',
    file: 'committer-files.ts',
    from: 'await this.#fileSystem.syncDirectory(this.#directory);',
    to: '',
    tests: [...sweeps, 'committer'],
  },
  {
    name: 'waiter-forgotten',
    file: 'stability.ts',
    from: 'const waiting = this.#open === undefined ? this.#closed : [...this.#closed, this.#open];',
    to: 'const waiting = this.#closed;',
    tests: ['stability', ...sweeps],
  },
  {
    name: 'settlements-out-of-order',
    file: 'ordered-finalizer.ts',
    from: 'this.#settlements[this.#head & this.#mask] !== open) this.#releaseRun(cuts);',
    to: 'this.#settlements[(this.#tail - 1) & this.#mask] !== open) this.#releaseRun(cuts);',
    tests: ['ordered-finalizer', ...sweeps],
  },
  {
    name: 'clean-flag-stale',
    file: 'disk-buffer-core.ts',
    from: 'clean: this.#clean,',
    to: 'clean: true,',
    tests: sweeps,
  },
  {
    name: 'epoch-not-durable',
    file: 'disk-buffer.ts',
    from: 'while (missing > 0 && (await publisher.attempt())) missing -= 1;',
    to: 'missing = 0;\n    publisher.changed();',
    tests: sweeps,
  },
  {
    name: 'scanned-bytes-trusted',
    file: 'recovery-repairs.ts',
    from: 'for (let at = start; at < end; ) {\n      const part = chunk',
    to: 'for (let at = end; at < end; ) {\n      const part = chunk',
    tests: ['recovery', ...sweeps],
  },
  {
    name: 'freed-after-one-publish',
    file: 'disk-buffer-reclaimer.ts',
    from: 'if (Math.min(...slots, now) < endId) {',
    to: 'if (Math.min(Math.max(...slots), now) < endId) {',
    tests: ['disk-buffer-reclaimer', ...sweeps],
  },
  {
    name: 'skipped-frame-counted-twice',
    file: 'ordered-finalizer-accounts.ts',
    from: 'add(this.#settled[run.settlement], to - from,',
    to: "add(this.#settled[run.settlement], (run.settlement === 'damaged' ? 2 : 1) * (to - from),",
    tests: ['ordered-finalizer', ...sweeps],
  },
];

const root = dirname(import.meta.dirname);
const copied = [
  'src',
  'test',
  'docs',
  '.gitignore',
  'package.json',
  'tsconfig.json',
  'vitest.config.ts',
  'scripts',
  'integration',
];

function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'spillway-breaks-'));
  for (const entry of copied) cpSync(join(root, entry), join(copy, entry), { recursive: true });
  mkdirSync(join(copy, 'examples'));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  execFileSync('git', ['init', '--quiet'], { cwd: copy }); // Tests draw their seeds from the files that git lists.
  return copy;
}

function apply(copy: string, { name, file, from, to }: Break): () => void {
  const path = join(copy, 'src/engine', file);
  const source = readFileSync(path, 'utf8');
  if (source.split(from).length !== 2) throw new Error(`${name}: expected its text exactly once in ${file}`);
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  return () => writeFileSync(path, source);
}

/** The name of the first test that failed, or undefined if all passed. */
async function runTests(copy: string, tests: readonly string[]): Promise<string | undefined> {
  for (const test of tests) {
    const { code, output } = await runVitest(copy, `src/engine/${test}`);
    if (code === 0) continue;
    const failed = output.match(/FAIL +(.+ > .+)/)?.[1];
    if (failed !== undefined) return failed;
    throw new Error(`${test}: the run failed without a failing test\n${output.slice(-2000)}`);
  }
  return undefined;
}

function runVitest(copy: string, filter: string): Promise<{ readonly code: number; readonly output: string }> {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--bail=1', '--passWithNoTests', '--no-color', filter];
  const env = { ...process.env, SPILLWAY_TEST_SUITE: 'unit', SPILLWAY_TEST_SCALE: 'sample', NO_COLOR: '1' };
  const child = spawn(process.execPath, args, { cwd: copy, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 180_000 });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

const wanted = process.argv.slice(2);
const copy = copyTree();
let unnoticed = 0;
try {
  const healthy = await runTests(copy, [...new Set(breaks.flatMap(({ tests }) => tests))]);
  if (healthy !== undefined) throw new Error(`unbroken, the copy fails already: ${healthy}`);
  for (const broken of breaks) {
    if (wanted.length > 0 && !wanted.includes(broken.name)) continue;
    const mend = apply(copy, broken);
    const noticed = await runTests(copy, broken.tests);
    mend();
    if (noticed === undefined) unnoticed += 1;
    console.log(`${broken.name.padEnd(28)} ${noticed === undefined ? 'NOT NOTICED' : `noticed by ${noticed}`}`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
const tried = wanted.length > 0 ? wanted.length : breaks.length;
console.log(`${tried - unnoticed} passed, ${unnoticed} failed`);
process.exitCode = unnoticed === 0 ? 0 : 1;
