import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Tally } from '../../examples/quickstart/tally.ts';
import { root } from '../tidy/source.ts';

/** Three starts of a pipeline and its whole play, five times as fast: seconds on an idle machine. */
const timeoutMs = 120_000;
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-quickstart-test-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function run(...args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const program = join(root, 'examples/quickstart/quickstart.ts');
  const child = spawn(process.execPath, ['--conditions=spillway-source', program, '--in', folder, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
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

test('plays by itself: sink away, killed, back, killed, drained, counted', { timeout: timeoutMs }, async () => {
  const { code, output } = await run('--pace', '5', '--rate', '1000');
  expect(code, output).toBe(0);
  const last = /sent (\d+) {2}received (\d+) {2}lost 0 {2}repeated (\d+) {2}outages 1 {2}kills 2\n$/.exec(output);
  expect(last, output).not.toBeNull();
  expect(Number(last?.[1])).toBeGreaterThan(0);
  expect(last?.[2]).toBe(last?.[1]);
  expect(output).not.toContain('\u001b'); // No terminal: no colours, nothing rewritten in place.
  expect(output.split('\n').filter((line) => line.startsWith('in ')).length).toBeGreaterThan(3);
  expect(readdirSync(folder)).toEqual([]);
});

test('refuses options that make no sense, with its usage', async () => {
  const { code, output } = await run('--rate', 'many');
  expect(code).toBe(2);
  expect(output).toMatch(/--rate many: expected a number above 0[\s\S]*usage: npm start/);
});

test('tells events of different runs, and repeats, apart', () => {
  const tally = new Tally();
  const attribute = (key: string, value: readonly number[]): Buffer =>
    Buffer.concat([Buffer.from(key), Buffer.from([0x12, value.length, ...value])]);
  const run = (name: string): Buffer => attribute('spillway.generate.run', [0x0a, name.length, ...Buffer.from(name)]);
  const event = (...varint: readonly number[]): Buffer => attribute('spillway.generate.sequence', [0x18, ...varint]);
  tally.take(Buffer.concat([run('a'), event(1), event(0xac, 0x02), run('b'), event(1)]));
  expect([tally.received, tally.repeated]).toEqual([3, 0]);
  tally.take(Buffer.concat([run('a'), event(0xac, 0x02), event(2)]));
  expect([tally.received, tally.repeated]).toEqual([4, 1]);
});
