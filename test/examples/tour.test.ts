import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Account } from '../../examples/tour/account.ts';
import { encodeReport, ReportReader, reportKinds } from '../../examples/tour/reports.ts';
import { root } from '../tidy/source.ts';

let folder = '';

class Run {
  readonly child: ChildProcess;
  output = '';
  #heard: () => void = () => undefined;

  constructor(...args: readonly string[]) {
    const program = join(root, 'examples/tour/tour.ts');
    this.child = spawn(process.execPath, ['--conditions=spillway-source', program, '--in', folder, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        this.#heard();
      });
    }
  }

  async until(pattern: RegExp): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#heard = () => {
        if (pattern.test(this.output)) resolve();
      };
      this.#heard();
    });
  }

  async end(): Promise<number | null> {
    await once(this.child, 'close');
    return this.child.exitCode;
  }
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-tour-test-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('appends, kills, reopens, delivers, counts, and removes its directory', async () => {
  const run = new Run('--seconds', '0.5');
  expect(await run.end(), run.output).toBe(0);
  expect(run.output).toContain('Every promise was kept.');
  expect(run.output).toMatch(/^ {2}lost +0 /m);
  expect(Number(/promised \(accepted\) +([\d,]+)/.exec(run.output)?.[1]?.replaceAll(',', ''))).toBeGreaterThan(0);
  expect(run.output).not.toContain('\u001b'); // No terminal: no colours, nothing rewritten in place.
  expect(readdirSync(folder)).toEqual([]);
});

test('an interrupt ends the writer and removes the directory', async () => {
  const run = new Run('--seconds', '60');
  await run.until(/ durable /);
  run.child.kill('SIGINT');
  expect(await run.end()).toBe(130);
  expect(readdirSync(folder)).toEqual([]);
});

test('an option out of range is refused with the usage', async () => {
  const run = new Run('--seconds', 'many');
  expect(await run.end()).toBe(2);
  expect(run.output).toContain('--seconds many: expected a number above 0, at most 60');
  expect(run.output).toContain('usage: npm start');
});

test('the account finds what is lost, repeated, or came under another id', () => {
  const account = new Account();
  account.accepted(Uint32Array.of(0, 1, 500, 1, 2, 700, 2, 3, 900));
  account.deliveredBeforeKill(Uint32Array.of(0, 1));
  account.deliveredAfterKill(0, 1);
  account.deliveredAfterKill(2, 4);
  account.deliveredAfterKill(3, 5);
  expect(account.sums()).toEqual({
    accepted: 3,
    deliveredBefore: 1,
    deliveredAfter: 3,
    lost: 1,
    repeated: 1,
    unpromised: 1,
  });
  expect(account.complaints).toEqual(['record 2 was accepted as 3, came as 4']);
  expect(account.latencyMs(0.5)).toBe(0.7);
});

test('reports survive any cut of the pipe, and half a report counts for nothing', () => {
  const numbers = Uint32Array.of(7, 8, 9);
  const whole = encodeReport(reportKinds.accepted, new Uint8Array(numbers.buffer));
  const bytes = new Uint8Array([...whole, ...whole, ...whole.subarray(0, 9)]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = new ReportReader();
    const reports = [...reader.read(bytes.subarray(0, cut)), ...reader.read(bytes.subarray(cut))];
    expect(reports).toEqual([
      { kind: 'accepted', numbers },
      { kind: 'accepted', numbers },
    ]);
  }
});
