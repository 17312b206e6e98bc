// Memory grows neither with the backlog nor with what has passed: while half a gigabyte builds up on the disk and
// drains, again and again, the heap and the memory outside it stay where they were once the slots were filled.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { byScale } from '../test/sweep.ts';
import type { Sample } from './programs/soak.ts';

const MiB = 1024 * 1024;
const backlogMiB = byScale({ sample: 64, full: 512 });
const rounds = byScale({ sample: 1, full: 4 });
/** Slots for 16 MiB unsynced and two more, a window of 16 MiB unsettled, chunks being read: by design, and no more. */
const externalBytesMax = 64 * MiB;
const heapBytesMax = 48 * MiB;
/** What is in use may differ by what a few deliveries hold. */
const driftBytesMax = 8 * MiB;

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-soak-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

async function soak(): Promise<readonly Sample[]> {
  const program = join(import.meta.dirname, 'programs', 'soak.ts');
  const flags = ['--expose-gc', '--conditions=spillway-source'];
  const child = spawn(process.execPath, [...flags, program, join(folder, 'buffer'), `${backlogMiB}`, `${rounds}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  await once(child, 'close');
  expect({ code: child.exitCode, errors }).toEqual({ code: 0, errors: '' });
  return output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Sample);
}

test('memory stays flat while a backlog builds up and drains', { timeout: 10 * 60_000 }, async () => {
  const samples = await soak();
  expect(samples.filter(({ phase }) => phase === 'drained')).toHaveLength(rounds);
  expect(Math.max(...samples.map(({ backlogBytes }) => backlogBytes))).toBeGreaterThan(0.9 * backlogMiB * MiB);
  expect(samples.at(-1)?.backlogBytes).toBeLessThan(2 * MiB);
  expect(Math.max(...samples.map(({ externalBytes }) => externalBytes))).toBeLessThan(externalBytesMax);
  expect(Math.max(...samples.map(({ heapBytes }) => heapBytes))).toBeLessThan(heapBytesMax);
  for (const phase of ['filling', 'draining', 'drained'] as const) {
    const inUse = samples
      .filter((sample) => sample.phase === phase)
      .map((sample) => sample.heapBytes + sample.externalBytes);
    // Code that is compiled and slots that are made for the first time are no growth.
    const settled = inUse.slice(phase === 'drained' ? 0 : 2);
    expect(Math.max(...settled) - (settled[0] ?? 0)).toBeLessThan(driftBytesMax);
  }
});
