// npm run sim -- --seed N --steps M: long simulations of the disk buffer, seed after seed, until M actions are done.
// A failure prints the one command that repeats it. In the end: how many steps, how fast, and which marks were reached.
import { parseArgs } from 'node:util';
import { countMarks, reachableMarks } from '../src/testing/simulation/reached.ts';
import { simulate } from '../src/testing/simulation/simulation.ts';

/** Actions of one seed: many short lives of many kinds find more than a long one of one kind. */
const stepsPerSeed = 2_000;

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, steps: { type: 'string', default: '100000' } },
});
const first = wholeNumber('seed', values.seed);
const wanted = wholeNumber('steps', values.steps);
const marks = countMarks();
const startedMs = performance.now();
const sums = { seeds: 0, steps: 0, lives: 0, calls: 0, records: 0, failures: 0 };

let seed = first;
process.on('unhandledRejection', (cause) => {
  console.error(`a promise was rejected and nobody listened: ${String(cause)}`);
  console.error(`repeat with: npm run sim -- --seed ${seed} --steps ${stepsPerSeed}`);
  process.exitCode = 1;
});
let stopped = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stopped = true; // After the seed under way, with the table of what was done.
  });
}
for (; sums.steps < wanted && !stopped; seed++) {
  const steps = Math.min(stepsPerSeed, wanted - sums.steps);
  sums.seeds += 1;
  sums.steps += steps;
  try {
    const { lives, calls, records } = await simulate({ seed, steps });
    sums.lives += lives;
    sums.calls += calls;
    sums.records += records;
  } catch (cause) {
    sums.failures += 1;
    console.error(cause instanceof Error ? cause.message : String(cause));
    console.error(`repeat with: npm run sim -- --seed ${seed} --steps ${steps}\n`);
    process.exitCode = 1;
  }
}
marks.stop();
report();

function report(): void {
  const seconds = (performance.now() - startedMs) / 1_000;
  const names = [...new Set([...marks.counts.keys(), ...reachableMarks])].sort();
  for (const name of names) console.log(`${name.padEnd(34)} ${String(marks.counts.get(name) ?? 'never').padStart(10)}`);
  const { seeds, steps, lives, calls, records, failures } = sums;
  console.log(`${seeds} seeds, ${steps} steps, ${lives} lives, ${records} records, ${calls} file calls`);
  console.log(`${seconds.toFixed(1)} s, ${Math.round(steps / seconds)} steps/s, ${failures} failures`);
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new Error(`--${name} is a whole number from 1, found ${text}`);
}
