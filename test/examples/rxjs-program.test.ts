import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { root } from '../tidy/source.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-rxjs-test-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('loses nothing and keeps order while its sink is away, and says so', async () => {
  const program = join(root, 'examples/rxjs-program/program.ts');
  const child = spawn(process.execPath, ['--conditions=spillway-source', program], {
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
  expect(child.exitCode, output).toBe(0);
  const last = /^sent (\d+) {2}received (\d+) {2}lost 0 {2}repeated (\d+) {2}outages 1 {2}in order$/m.exec(output);
  expect(last, output).not.toBeNull();
  const [sent, received, repeated] = (last ?? []).slice(1).map(Number);
  expect(received).toBe(sent);
  expect(sent).toBeGreaterThan(0);
  expect(repeated).toBeGreaterThan(0); // The answer that was lost on purpose.
  expect(output).toContain('store is away');
  expect(readdirSync(folder)).toEqual([]);
});
