import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseRuns, runJournalName } from './run-journal.ts';

const kills = 2;
const batchEventsMax = 100;

it('knows after every SIGKILL what it had sent, but for one batch', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-generate-kill-'));
  try {
    const told: number[] = [];
    for (let kill = 0; kill < kills; kill++) told.push(await runUntilKilled(folder, 500 + kill * 1_733));
    const runs = parseRuns(readFileSync(join(folder, runJournalName), 'utf8'));
    expect(new Set(runs.map(({ run }) => run)).size).toBe(kills);
    for (const [at, { last }] of runs.entries()) {
      expect(last).toBeLessThanOrEqual(told[at] as number);
      expect(last).toBeGreaterThanOrEqual((told[at] as number) - batchEventsMax);
      expect(last).toBeGreaterThan(0);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Resolves with how many events the process had accepted when it died. */
async function runUntilKilled(folder: string, events: number): Promise<number> {
  const program = join(import.meta.dirname, 'fixtures/accepting-process.ts');
  const child = spawn(process.execPath, ['--conditions=spillway-source', program, folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (sumOf(output) >= events) child.kill('SIGKILL');
  });
  await once(child, 'close');
  expect(child.signalCode, errors).toBe('SIGKILL');
  return sumOf(output);
}

function sumOf(output: string): number {
  const whole = output.slice(0, output.lastIndexOf('\n') + 1);
  return whole.split('\n').reduce((sum, line) => sum + Number(line), 0);
}
