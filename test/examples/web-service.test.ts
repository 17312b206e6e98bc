import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Receiver } from '../../examples/web-service/receiver.ts';
import { root } from '../tidy/source.ts';

/** Two starts of a service and some seconds of play; much longer on a busy machine. */
const timeout = 120_000;
let folder = '';

interface Counts {
  readonly made: number;
  readonly arrived: number;
  readonly missing: number;
  readonly lost: number;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-web-service-test-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function play(...options: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const program = join(root, 'examples/web-service/demo.ts');
  const child = spawn(process.execPath, ['--conditions=spillway-source', program, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: folder },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  await once(child, 'close');
  return { code: child.exitCode, output };
}

function countsOf(signal: string, output: string): Counts {
  const pattern = `^${signal} {2}made (\\d+) {2}arrived (\\d+) {2}missing (\\d+) {2}lost although acknowledged (\\d+)$`;
  const found = new RegExp(pattern, 'm').exec(output);
  expect(found, output).not.toBeNull();
  const [made = 0, arrived = 0, missing = 0, lost = 0] = (found ?? []).slice(1).map(Number);
  expect(made).toBe(arrived + missing);
  return { made, arrived, missing, lost };
}

// Side by side: most of the time both of them wait.
test('what was acknowledged outlives outage and kill; the official exporters lose what they hold', {
  timeout,
}, async () => {
  const [ours, official] = await Promise.all([play(), play('--official')]);
  expect(ours.code, ours.output).toBe(0);
  for (const signal of ['spans', 'logs']) {
    const { arrived, lost } = countsOf(signal, ours.output);
    expect(lost).toBe(0);
    expect(arrived).toBeGreaterThan(20);
  }
  expect(ours.output).toMatch(/^missing {2}from \d+ ms before the kill {2}requests after it 0$/m);
  // The kill found some that the collector had not: they came from the disk.
  expect(Number(/^spans on disk only at the kill (\d+)$/m.exec(ours.output)?.[1])).toBeGreaterThan(0);
  expect(Number(/^metrics {2}requests (\d+)$/m.exec(ours.output)?.[1])).toBeGreaterThan(0);

  expect(official.code, official.output).toBe(0);
  // At least twenty requests were answered while the collector was away, and their spans were in memory only.
  expect(countsOf('spans', official.output).missing).toBeGreaterThan(20);
  expect(readdirSync(folder)).toEqual([]);
});

test('tells what arrived by its trace and span, and repeats apart', async () => {
  const mark = Buffer.from('c0ffee00c0ffee00', 'hex');
  const receiver = new Receiver(mark);
  await receiver.comeBack();
  try {
    const number = Buffer.from('0000000000000007', 'hex');
    const item = (...spanId: readonly number[]): Buffer =>
      Buffer.concat([Buffer.from([0x0a, 16]), mark, number, Buffer.from([0x12, 8, ...spanId])]);
    const send = async (path: string, body: Uint8Array, headers = {}): Promise<unknown> =>
      (await fetch(`${receiver.url}${path}`, { method: 'POST', body: Uint8Array.from(body), headers })).arrayBuffer();
    const [one, other] = [item(1, 2, 3, 4, 5, 6, 7, 8), item(8, 7, 6, 5, 4, 3, 2, 1)];
    await send('/v1/traces', Buffer.concat([one, other]));
    await send('/v1/traces', gzipSync(one), { 'content-encoding': 'gzip' });
    await send('/v1/logs', one);
    const trace = 'c0ffee00c0ffee000000000000000007';
    expect([...receiver.arrived.traces]).toEqual([`${trace}0102030405060708`, `${trace}0807060504030201`]);
    expect([...receiver.arrived.logs]).toEqual([`${trace}0102030405060708`]);
    expect(receiver.repeated).toBe(1);
  } finally {
    await receiver.goAway();
  }
});
