// Two real processes and one directory, as in a rolling update: the successor waits, learns who is in its way, and
// takes over when its predecessor ends, in good order or by SIGKILL.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const longMs = 180_000; // Only reached by a test that fails.
const shortMs = 300;
let folder = '';
const holders: Holder[] = [];

class Holder {
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #closed: Promise<unknown>;
  #heard: () => void = () => undefined;

  constructor(lockTimeoutMs: number) {
    const program = join(import.meta.dirname, 'programs', 'holder.ts');
    const args = ['--conditions=spillway-source', program, join(folder, 'buffer'), String(lockTimeoutMs)];
    this.child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#closed = once(this.child, 'close');
    let partial = '';
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (partial + text).split('\n');
      partial = lines.pop() ?? '';
      this.#lines.push(...lines);
      this.#heard();
    });
    holders.push(this);
  }

  /** The next line it says. */
  async hear(): Promise<string> {
    while (this.#lines.length === 0) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
    return this.#lines.shift() as string;
  }

  /** Lines that were heard and not yet asked for. */
  get unheard(): readonly string[] {
    return this.#lines;
  }

  async end(): Promise<void> {
    this.child.stdin?.end();
    await this.#closed;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#closed;
  }
}

async function holding(): Promise<Holder> {
  const holder = new Holder(0);
  expect(await holder.hear()).toBe('opening');
  expect(await holder.hear()).toMatch(/^held /);
  return holder;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-takeover-'));
});

afterEach(async () => {
  for (const holder of holders.splice(0)) await holder.kill();
  rmSync(folder, { recursive: true });
});

test('a second process waits as long as it was told to, and then names the holder', { timeout: longMs }, async () => {
  const first = await holding();
  const second = new Holder(shortMs);
  expect(await second.hear()).toBe('opening');
  const startedMs = performance.now();
  const refusal = await second.hear();
  // It began to wait before this clock did; how much longer it takes is the machine's affair.
  expect(performance.now() - startedMs).toBeGreaterThan(shortMs / 2);
  expect(refusal).toContain(`process ${first.child.pid} on host`);
  expect(refusal).toContain(`all of the ${shortMs} ms`);
  // The one that was refused has changed nothing for the one that holds.
  await first.end();
  expect(await first.hear()).toBe('closed');
});

test('a second process takes over when the first one closes', { timeout: longMs }, async () => {
  const first = await holding();
  const second = new Holder(longMs);
  expect(await second.hear()).toBe('opening');
  expect(second.unheard).toEqual([]);
  await first.end();
  expect(await second.hear()).toBe('held 1');
});

test('a second process takes over when the first one is killed, with what it had stored', {
  timeout: longMs,
}, async () => {
  const first = await holding();
  const second = new Holder(longMs);
  expect(await second.hear()).toBe('opening');
  await first.kill();
  expect(await second.hear()).toBe('held 1');
});

test('after many successors every record is there once', { timeout: longMs }, async () => {
  let predecessor = await holding();
  for (let stored = 1; stored <= 4; stored++) {
    const successor = new Holder(longMs);
    expect(await successor.hear()).toBe('opening');
    await (stored % 2 === 0 ? predecessor.end() : predecessor.kill());
    expect(await successor.hear()).toBe(`held ${stored}`);
    predecessor = successor;
  }
});
