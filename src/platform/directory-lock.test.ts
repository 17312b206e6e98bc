import { describe, expect, test } from 'vitest';
import { SimDisk, type SimProcess, SimWorld } from '../testing/index.ts';
import { acquireDirectoryLock, type DirectoryLock } from './directory-lock.ts';

const directory = '/data';
const holder = { pid: 41, host: 'sim', started: '2025-01-01T00:00:00.000Z', title: 'first' };

function acquire(process: SimProcess, timeoutMs: number, title = 'first'): Promise<DirectoryLock> {
  const { fileSystem, clock } = process;
  return acquireDirectoryLock({ fileSystem, clock, directory, timeoutMs, holder: { ...holder, title } });
}

function makeMachine(seed = 1): { readonly world: SimWorld; readonly disk: SimDisk } {
  const world = new SimWorld({ seed });
  return { world, disk: new SimDisk(world) };
}

describe('waiting', () => {
  test.each([0, 30, 131, 555, 30_000])(
    'of %i ms ends when the time is up, not before and hardly after',
    async (timeoutMs) => {
      const { world, disk } = makeMachine();
      await world.run(acquire(disk.start(), 0));
      const startMs = world.timeMs;
      await expect(world.run(acquire(disk.start(), timeoutMs))).rejects.toThrow(
        `process 41 on host sim ("first", started 2025-01-01T00:00:00.000Z) held it for all of the ${timeoutMs} ms`,
      );
      expect(world.timeMs - startMs).toBeGreaterThanOrEqual(timeoutMs);
      expect(world.timeMs - startMs).toBeLessThan(timeoutMs + 3);
    },
  );

  test('ends at most 100 ms and one attempt after the predecessor', async () => {
    const { world, disk } = makeMachine();
    const lock = await world.run(acquire(disk.start(), 0));
    const waiting = acquire(disk.start(), 30_000, 'second');
    await world.advance(7_000);
    await world.run(lock.release());
    const freeMs = world.timeMs;
    await world.run(waiting);
    expect(world.timeMs - freeMs).toBeLessThan(105);
    expect(new TextDecoder().decode(disk.bytesOf('/data/holder'))).toContain('"title":"second"');
  });

  test('ends with the death of the predecessor', async () => {
    const { world, disk } = makeMachine();
    const first = disk.start();
    await world.run(acquire(first, 0));
    const waiting = acquire(disk.start(), 30_000);
    await world.advance(50);
    disk.killProcess(first);
    expect((await world.run(waiting)).directory).toBe(directory);
  });

  test('of many who wait, one at a time gets it', async () => {
    const { world, disk } = makeMachine();
    let holders = 0;
    const turns = Array.from({ length: 5 }, async () => {
      const lock = await acquire(disk.start(), 30_000);
      holders += 1;
      expect(holders).toBe(1);
      await lock.release().finally(() => {
        holders -= 1;
      });
    });
    await world.run(Promise.all(turns));
  });
});

describe('one process', () => {
  test('is refused a second time at once, also while it waits', async () => {
    const { world, disk } = makeMachine();
    const process = disk.start();
    const lock = await world.run(acquire(process, 0));
    await expect(world.run(acquire(process, 30_000))).rejects.toThrow('this process itself');
    await world.run(lock.release());
    await world.run(lock.release());
    const other = await world.run(acquire(disk.start(), 0));
    const waiting = acquire(process, 30_000);
    await world.advance(20);
    await expect(world.run(acquire(process, 30_000))).rejects.toThrow('this process itself');
    await world.run(other.release());
    await world.run(waiting);
  });

  test('may try again after a failure', async () => {
    const { world, disk } = makeMachine();
    const process = disk.start();
    const lift = disk.faults.inject({ operation: 'lock', fault: 'EIO' });
    await expect(world.run(acquire(process, 30_000))).rejects.toMatchObject({ kind: 'io' });
    lift();
    await world.run(acquire(process, 0));
  });
});

describe('the holder file', () => {
  test.each(['create', 'write', 'truncate', 'close', 'inspect'] as const)(
    'is best effort: a failing %s keeps nobody from the directory',
    async (operation) => {
      const { world, disk } = makeMachine();
      disk.faults.inject({ operation, path: '/holder', fault: 'ENOSPC' });
      expect((await world.run(acquire(disk.start(), 0))).directory).toBe(directory);
    },
  );

  test.each(['', 'null', '[]', '{"pid":"1"}', '{"pid":', '"x"'])('may hold anything: %s', async (text) => {
    const { world, disk } = makeMachine();
    await world.run(acquire(disk.start(), 0));
    disk.plantFile('/data/holder', new TextEncoder().encode(text));
    await expect(world.run(acquire(disk.start(), 0))).rejects.toThrow('another process held it');
  });

  test('brings no control characters and no novels into a message', async () => {
    const { world, disk } = makeMachine();
    await world.run(acquire(disk.start(), 0));
    const text = JSON.stringify({ pid: 7, host: '\u001b[31m\n', title: 'x'.repeat(1000) });
    disk.plantFile('/data/holder', new TextEncoder().encode(text));
    const error = await world.run(acquire(disk.start(), 0)).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ kind: 'locked' });
    expect(String(error)).toContain('process 7 on host ?[31m? ("xxx');
    expect(String(error).length).toBeLessThan(500);
  });

  test('is replaced whole by a shorter one', async () => {
    const { world, disk } = makeMachine();
    const lock = await world.run(acquire(disk.start(), 0, 'a rather long title'));
    await world.run(lock.release());
    await world.run(acquire(disk.start(), 0, 'b'));
    expect(JSON.parse(new TextDecoder().decode(disk.bytesOf('/data/holder')))).toEqual({ ...holder, title: 'b' });
  });
});
