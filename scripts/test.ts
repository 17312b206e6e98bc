// npm test, npm run test:full, npm run test:integration: the checks, side by side where they can be, and one closing
// line with the numbers passed, failed and skipped. Arguments go to vitest: npm test -- src/engine -t 'torn tail'
//
// npm run test:full -- --beyond-sample leaves out the files that npm test has run in the same way (scaled-tests.ts).
//
// Static checks run in the short suite, and not when somebody asked for particular tests: they wait for one answer.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestCounts } from './count-reporter.ts';
import { scaledTests } from './scaled-tests.ts';

type Suite = 'sample' | 'full' | 'integration';
type Outcome = {
  readonly name: string;
  readonly seconds: number;
  readonly counts: TestCounts;
  readonly output: string;
};
type Step = { readonly name: string; readonly program: string; readonly args: readonly string[] };

const root = dirname(import.meta.dirname);
const interrupted = new AbortController();

const staticSteps: readonly Step[] = [
  {
    name: 'types',
    program: 'node_modules/typescript/bin/tsc',
    // Several threads would each look at the same declarations again, while the tests need the processors.
    args: ['--project', 'tsconfig.json', '--pretty', '--singleThreaded'],
  },
  {
    name: 'format and lint',
    program: 'node_modules/@biomejs/biome/bin/biome',
    args: ['check', '--error-on-warnings', '--colors=off'],
  },
];

function environmentFor(suite: Suite, folder: string, countsFile: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    // Every file is a process, and many start more, all with the same modules: compiling them once is a quarter less.
    NODE_COMPILE_CACHE: join(folder, 'compiled'),
    SPILLWAY_TEST_SUITE: suite === 'integration' ? 'integration' : 'unit',
    SPILLWAY_TEST_SCALE: suite === 'sample' ? (process.env['SPILLWAY_TEST_SCALE'] ?? 'sample') : 'full',
    SPILLWAY_TEST_COUNTS: countsFile,
  };
}

type Exit = { readonly code: number; readonly output: string; readonly seconds: number };

function execute(step: Step, env: NodeJS.ProcessEnv, show: boolean): Promise<Exit> {
  const started = performance.now();
  const child = spawn(process.execPath, [step.program, ...step.args], {
    cwd: root,
    env,
    stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  interrupted.signal.addEventListener('abort', () => child.kill('SIGTERM'));
  return new Promise((resolve) => {
    const finish = (code: number): void => resolve({ code, output, seconds: (performance.now() - started) / 1000 });
    child.on('error', (error) => {
      output += error.message;
      finish(1);
    });
    child.on('close', (code) => finish(code ?? 1));
  });
}

async function runStatic(step: Step): Promise<Outcome> {
  const { code, output, seconds } = await execute(step, process.env, false);
  const counts = { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: {} };
  return { name: step.name, seconds, counts, output: code === 0 ? '' : output };
}

async function runTests(suite: Suite, args: readonly string[]): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-test-'));
  const countsFile = join(folder, 'counts.json');
  try {
    const step = { name: 'tests', program: 'node_modules/vitest/vitest.mjs', args: ['run', ...args] };
    const { code, seconds } = await execute(step, environmentFor(suite, folder, countsFile), true);
    return { name: step.name, seconds, counts: readCounts(countsFile, code), output: '' };
  } finally {
    // A program that ends only now may still write what it compiled.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function readCounts(countsFile: string, code: number): TestCounts {
  let counts: TestCounts = { passed: 0, failed: 0, skipped: {} };
  try {
    counts = JSON.parse(readFileSync(countsFile, 'utf8')) as TestCounts;
  } catch {
    // The runner died before it counted, or found no test: the exit code says which, and neither is a pass.
  }
  const nothingRan = counts.passed + counts.failed + skippedCount(counts) === 0;
  // A runner that exits with an error has failed even where every test it counted passed.
  const failed = counts.failed === 0 && (code !== 0 || nothingRan) ? 1 : counts.failed;
  return { ...counts, failed };
}

function skippedCount(counts: TestCounts): number {
  return Object.values(counts.skipped).reduce((sum, count) => sum + count, 0);
}

function report(outcomes: readonly Outcome[]): number {
  for (const { name, output } of outcomes) {
    if (output !== '') console.log(`\n${name}:\n${output.trimEnd()}`);
  }
  console.log('');
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, seconds, counts } of outcomes) {
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += skippedCount(counts);
    const verdict = counts.failed === 0 ? 'ok' : 'FAILED';
    console.log(`${name.padEnd(16)} ${verdict.padEnd(7)} ${seconds.toFixed(1).padStart(7)} s`);
    for (const [reason, count] of Object.entries(counts.skipped)) console.log(`  skipped ${count}: ${reason}`);
  }
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  return total.failed;
}

function parse(args: readonly string[]): { readonly suite: Suite; readonly rest: readonly string[] } {
  const [first, ...rest] = args;
  if (first === '--full' && rest[0] === '--beyond-sample') {
    return { suite: 'full', rest: [...scaledTests(), ...rest.slice(1)] };
  }
  if (first === '--full') return { suite: 'full', rest };
  if (first === '--integration') return { suite: 'integration', rest };
  return { suite: 'sample', rest: args };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

const { suite, rest } = parse(process.argv.slice(2));
const tests = runTests(suite, rest);
const checks = suite === 'sample' && rest.length === 0 ? staticSteps.map(runStatic) : [];
const failed = report(await Promise.all([...checks, tests]));
process.exitCode = failed === 0 ? 0 : 1;
