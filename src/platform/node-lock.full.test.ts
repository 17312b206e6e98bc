// The lock on a file system without a free block. It needs the right to mount one.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { acquireDirectoryLock } from './directory-lock.ts';
import { nodePlatform } from './node-platform.ts';

function mountSmall(directory: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function fillUp(path: string): void {
  const descriptor = openSync(path, 'w');
  const block = new Uint8Array(4096);
  try {
    for (;;) writeSync(descriptor, block);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  } finally {
    closeSync(descriptor);
  }
}

test('a full disk keeps nobody from a directory that has its lock file', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-full-'));
  if (!mountSmall(directory)) {
    rmSync(directory, { recursive: true });
    context.skip('mounting a file system needs root');
  }
  try {
    await (await acquireDirectoryLock({ ...nodePlatform(), directory, timeoutMs: 0 })).release();
    fillUp(join(directory, 'filler'));
    const lock = await acquireDirectoryLock({ ...nodePlatform(), directory, timeoutMs: 0 });
    await lock.release();
  } finally {
    execFileSync('umount', [directory], { stdio: 'ignore' });
    rmSync(directory, { recursive: true });
  }
});
