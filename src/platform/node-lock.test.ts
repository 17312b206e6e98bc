import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { InvariantViolation } from '../base/assert.ts';
import { acquireDirectoryLock, type DirectoryLock } from './directory-lock.ts';
import type { Answer, Order } from './fixtures/lock-holder.ts';
import { NodeFileSystem } from './node-file-system.ts';
import { nodePlatform } from './node-platform.ts';

const longMs = 60_000; // Only reached by a test that fails.
let directory = '';
const others: OtherProcess[] = [];
const locks: DirectoryLock[] = [];

class OtherProcess {
  readonly child: ChildProcess;
  readonly #answers: Answer[] = [];
  #wake: (() => void) | undefined;

  constructor() {
    this.child = fork(join(import.meta.dirname, 'fixtures', 'lock-holder.ts'), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.child.on('message', (answer: Answer) => {
      this.#answers.push(answer);
      this.#wake?.();
    });
    others.push(this);
  }

  async ask(order: Order): Promise<Answer> {
    this.tell(order);
    return await this.hear();
  }

  tell(order: Order): void {
    this.child.send(order);
  }

  async hear(): Promise<Answer> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined && answer.said !== 'ready') return answer;
      if (answer !== undefined) continue;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async kill(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}

async function acquire(timeoutMs: number): Promise<DirectoryLock> {
  const lock = await acquireDirectoryLock({ ...nodePlatform(), directory, timeoutMs });
  locks.push(lock);
  return lock;
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spillway-lock-'));
});

afterEach(async () => {
  for (const lock of locks.splice(0)) await lock.release();
  for (const other of others.splice(0))
    if (other.child.exitCode === null && other.child.signalCode === null) await other.kill();
  rmSync(directory, { recursive: true });
});

test('another process is kept out, and the error names who holds the directory', async () => {
  const other = new OtherProcess();
  expect(await other.ask({ order: 'acquire', directory, timeoutMs: 0 })).toEqual({ said: 'held' });
  await expect(acquire(0)).rejects.toMatchObject({ code: 'SPILLWAY_STORAGE_LOCKED', kind: 'locked', path: directory });
  await expect(acquire(0)).rejects.toThrow(`process ${other.child.pid} on host`);
});

test('a killed process leaves nothing behind that has to be cleaned up', async () => {
  const other = new OtherProcess();
  await other.ask({ order: 'acquire', directory, timeoutMs: 0 });
  await other.kill();
  expect(readdirSync(directory).sort()).toEqual(['holder', 'lock']);
  expect(statSync(join(directory, 'lock')).size).toBe(0);
  await acquire(0);
});

test('a successor that waits gets the directory when its predecessor gives it back', async () => {
  const lock = await acquire(0);
  const other = new OtherProcess();
  expect(await other.ask({ order: 'acquire', directory, timeoutMs: longMs })).toEqual({ said: 'waiting' });
  await lock.release();
  let answer = await other.hear();
  while (answer.said === 'waiting') answer = await other.hear();
  expect(answer).toEqual({ said: 'held' });
});

test('a successor that waits gets the directory when its predecessor is killed', async () => {
  const predecessor = new OtherProcess();
  await predecessor.ask({ order: 'acquire', directory, timeoutMs: 0 });
  const successor = new OtherProcess();
  expect(await successor.ask({ order: 'acquire', directory, timeoutMs: longMs })).toEqual({ said: 'waiting' });
  await predecessor.kill();
  let answer = await successor.hear();
  while (answer.said === 'waiting') answer = await successor.hear();
  expect(answer).toEqual({ said: 'held' });
});

test('a second holder in this process is refused at once, by any path, and the lock stays', async () => {
  const lock = await acquire(0);
  const link = `${directory}-link`;
  symlinkSync(directory, link);
  const second = acquireDirectoryLock({ ...nodePlatform(), directory: link, timeoutMs: longMs });
  await expect(second).rejects.toMatchObject({ kind: 'locked', path: directory });
  await expect(second).rejects.toThrow('this process itself');
  rmSync(link);
  const other = new OtherProcess();
  expect(await other.ask({ order: 'acquire', directory, timeoutMs: 0 })).toEqual({ said: 'waiting' });
  expect((await other.hear()).said).toBe('failed');
  await lock.release();
  await acquire(0);
});

test('also without the registry a second lock in this process is not given, and the first one stays', async () => {
  await acquire(0);
  expect(await new NodeFileSystem().tryLock(join(directory, 'lock'))).toBeUndefined();
  const other = new OtherProcess();
  expect(await other.ask({ order: 'acquire', directory, timeoutMs: 0 })).toEqual({ said: 'waiting' });
});

test('looking at the lock file does not drop the lock; opening it is a bug that is caught', async () => {
  const other = new OtherProcess();
  await other.ask({ order: 'acquire', directory, timeoutMs: 0 });
  await other.ask({ order: 'list', directory });
  await expect(acquire(0)).rejects.toMatchObject({ kind: 'locked' });
  await other.ask({ order: 'release' });
  await acquire(0);
  await expect(new NodeFileSystem().open(join(directory, 'lock'), 'read')).rejects.toThrow(InvariantViolation);
});

test('a lock that nobody refers to any more is held all the same', async () => {
  const other = new OtherProcess();
  await other.ask({ order: 'acquire', directory, timeoutMs: 0 });
  await other.ask({ order: 'forget and collect garbage' });
  await expect(acquire(0)).rejects.toMatchObject({ kind: 'locked' });
});

test('a link in the place of the lock file is refused', async () => {
  symlinkSync('/dev/null', join(directory, 'lock'));
  await expect(acquire(0)).rejects.toMatchObject({ kind: 'unsafe' });
});

test('the process says nothing about an experimental module', async () => {
  const warnings: unknown[] = [];
  const note = (warning: unknown): void => {
    warnings.push(warning);
  };
  process.on('warning', note);
  await (await acquire(0)).release();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', note);
  expect(warnings).toEqual([]);
});
