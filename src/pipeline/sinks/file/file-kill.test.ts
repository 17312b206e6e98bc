import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { markersIn, markersOf } from '../../../testing/otlp-samples.ts';

const kills = 3;

it('has every delivered line after any SIGKILL, in order, none torn', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-file-kill-'));
  try {
    let told = 0;
    // What the killed one had written and not told comes again, as a buffer would have it.
    for (let kill = 0; kill < kills; kill++) told = await runUntilKilled(folder, told + 1, told + 150 + 37 * kill);
    const names = readdirSync(folder).filter((name) => !name.endsWith('.new'));
    const lines = names.sort(byAge).flatMap((name) => linesIn(folder, name));
    const found = [...new Set(lines.map(markerIn))];
    const promised = markersOf(1, told);
    expect(found.slice(0, promised.length)).toEqual(promised);
    expect(names.some((name) => name.endsWith('.gz'))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const byAge = (a: string, b: string): number => (a === 'lines' ? 1 : b === 'lines' ? -1 : a < b ? -1 : 1);

/** Of a number that is there plain and packed, the packed one: the crash came before the plain one was removed. */
function linesIn(folder: string, name: string): string[] {
  if (readdirSync(folder).includes(`${name}.gz`)) return [];
  const bytes = readFileSync(join(folder, name));
  const lines = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString().split('\n');
  const rest = lines.pop();
  // Where the last one was killed, and nobody has started after it, a torn line may stand. It was promised to nobody.
  if (name !== 'lines') expect(rest).toBe('');
  return lines;
}

function markerIn(line: string): string {
  const [marker] = markersIn(line);
  if (marker === undefined || !line.startsWith(marker)) throw new Error(`a torn line: ${line}`);
  return marker;
}

/** Resolves with the last number that the process told before it died. */
async function runUntilKilled(folder: string, first: number, until: number): Promise<number> {
  const program = join(import.meta.dirname, 'fixtures/writing-process.ts');
  const args = ['--conditions=spillway-source', program, join(folder, 'lines'), String(first)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (lastIn(output) >= until) child.kill('SIGKILL');
  });
  await once(child, 'close');
  expect(child.signalCode, errors).toBe('SIGKILL');
  return lastIn(output);
}

function lastIn(output: string): number {
  return Number(output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1) ?? 0);
}
