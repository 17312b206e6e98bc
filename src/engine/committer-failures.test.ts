// What the committer does when the disk says no: stalled, failed, never a second sync of the same bytes.
import { describe, expect, test } from 'vitest';
import { bufferDirectory, rejectionOf, WritingSide, type WritingSideOptions } from '../../test/writing-side.ts';
import { isStorageError, StorageError } from '../base/errors.ts';
import { KiB } from '../base/units.ts';
import type { Durability } from './limits.ts';

const segment = `${bufferDirectory}/0000000000000001.seg`;
const record = (byteLength = 100) => ({ payload: new Uint8Array(byteLength).fill(7) });
const kept = (side: WritingSide): Promise<unknown> =>
  side.run(side.committer.reachDurable(side.log.nextId) ?? Promise.resolve());

async function opened(options: WritingSideOptions = {}): Promise<WritingSide> {
  const side = new WritingSide(options);
  await side.append(1);
  await kept(side);
  return side;
}

describe('no room', () => {
  for (const fault of ['ENOSPC', 'EDQUOT'] as const) {
    test(`I8.6: ${fault} at a write stalls, and later the same bytes go to the same place`, async () => {
      const side = await opened();
      const lift = side.disk.faults.inject({ fault, operation: 'write' });
      const append = side.writer.append(record());
      await side.world.advance(1000);
      expect(side.committer.state).toMatchObject({ kind: 'stalled', cause: { kind: 'full' } });
      const tries = side.calls('write').filter((call) => call.outcome?.startsWith('failed'));
      expect(tries.length).toBeGreaterThan(2);
      lift();
      expect(await side.run(append)).toEqual({ status: 'stored', recordId: 2 });
      expect(side.committer.state.kind).toBe('open');
      const last = side.calls('write').at(-1);
      for (const call of tries) expect(call).toMatchObject({ offset: last?.offset, byteLength: last?.byteLength });
      expect(side.told.resumed).toHaveLength(1);
      expect(side.told.failed).toBeUndefined();
    });
  }

  test('tries again after 50 ms, then after twice as long each time, up to 5 s', async () => {
    const side = await opened();
    side.disk.faults.inject({ fault: 'ENOSPC', operation: 'write' });
    side.writer.append(record()).catch(() => undefined);
    await side.world.advance(60_000);
    const delays = side.told.stalled?.map(({ retryInMs }) => retryInMs) ?? [];
    expect(delays.slice(0, 10)).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  });

  test('begins with 50 ms again in the next stall', async () => {
    const side = await opened();
    for (let stall = 0; stall < 2; stall++) {
      side.disk.faults.inject({ fault: 'ENOSPC', operation: 'write', times: 3 });
      await side.append(10);
    }
    expect(side.told.stalled?.map(({ retryInMs }) => retryInMs)).toEqual([50, 100, 200, 50, 100, 200]);
    expect(side.told.resumed).toHaveLength(2);
  });

  test('tries at once when room was freed', async () => {
    const side = await opened();
    side.disk.faults.inject({ fault: 'ENOSPC', operation: 'write', times: 8 });
    const append = side.writer.append(record());
    await side.world.run(() => side.told.stalled?.length === 8);
    const at = side.world.timeMs;
    side.committer.roomFreed();
    await side.run(append);
    expect(side.world.timeMs - at).toBeLessThan(10);
  });

  for (const operation of ['create', 'write'] as const) {
    test(`at the ${operation} of a new segment stalls as well, and everything is there afterwards`, async () => {
      const side = new WritingSide();
      side.disk.faults.inject({ fault: 'ENOSPC', operation, times: 3 });
      await side.append(100);
      expect(side.told.stalled).toHaveLength(3);
      expect(side.disk.wouldSurvive(segment, 0, side.disk.bytesOf(segment).length)).toBe(true);
      expect(side.catalog.byteLength).toBe(side.disk.bytesOf(segment).length);
      expect(side.space.usedBytes).toBe(side.log.plannedBytes);
    });
  }

  test('a disk that fills in the middle of a write takes what fits and the rest later', async () => {
    const side = await opened({ disk: { capacityBytes: 32 * KiB } });
    const append = side.writer.append(record(100 * KiB));
    await side.world.advance(500);
    expect(side.committer.state.kind).toBe('stalled');
    expect(await side.isSettled(append)).toBe(false);
    side.disk.capacityBytes = 1024 * KiB;
    await side.run(append);
    expect(side.catalog.byteLength).toBe(side.disk.bytesOf(segment).length);
    expect(side.space.usedBytes).toBe(side.log.plannedBytes);
    expect(side.files.unsyncedBytes).toBe(0);
  });

  test('counts what was written and written again once', async () => {
    const side = await opened({ limits: { durability: 'interval', syncIntervalMs: 60_000 } });
    side.disk.faults.chances = { shortWrite: 1, noSpace: 0.3 };
    const before = side.files.unsyncedBytes;
    const append = side.writer.append(record(50_000));
    await side.world.advance(1000);
    side.disk.heal();
    await side.run(append);
    expect(side.told.stalled?.length).toBeGreaterThan(1);
    expect(side.files.unsyncedBytes - before).toBe(48 + 12 + 50_000 + 4);
  });

  test('lets what is written be synced while it lasts', async () => {
    const side = await opened({ limits: { durability: 'os' } });
    await side.append(100);
    side.disk.faults.inject({ fault: 'ENOSPC', operation: 'write' });
    side.writer.append(record()).catch(() => undefined);
    await side.world.run(() => side.committer.state.kind === 'stalled');
    const covered = side.committer.written.nextId;
    await side.run(side.committer.reachDurable(covered) as Promise<void>);
    expect(side.stability.durable.value).toBe(covered);
  });

  test('closing ends it: nothing is tried or owed any more', async () => {
    const side = await opened();
    side.disk.faults.inject({ fault: 'ENOSPC', operation: 'write' });
    side.writer.append(record()).catch(() => undefined);
    await side.world.run(() => side.committer.state.kind === 'stalled');
    await side.run(side.committer.close('closed'));
    const calls = side.disk.callCount;
    await side.world.drain();
    expect(side.disk.callCount).toBe(calls);
    expect(side.process.clock.owedCount).toBe(0);
    expect(side.disk.openFileCount(side.process)).toBe(0);
  });

  test('before the first write stalls the start, and goes on with it', async () => {
    const side = new WritingSide({ asleep: true });
    let tries = 0;
    const full = new StorageError({ kind: 'full', operation: 'write', path: '', message: 'full' });
    const started = side.start(async () => {
      tries += 1;
      if (tries < 4) throw full;
    });
    side.writer.allowAppends();
    const append = side.writer.append(record());
    await side.world.settle();
    expect(side.committer.state).toEqual({ kind: 'stalled', cause: full });
    await side.run(Promise.all([started, append]));
    expect(tries).toBe(4);
  });
});

describe('short writes', () => {
  test('are continued where they stopped', async () => {
    const side = new WritingSide();
    side.disk.faults.chances = { shortWrite: 0.8 };
    for (let count = 0; count < 20; count++) await side.append(1 + count * 1000);
    await kept(side);
    expect(side.disk.bytesOf(segment).length).toBe(side.catalog.byteLength);
    expect(side.committer.state.kind).toBe('open');
    expect(side.disk.wouldSurvive(segment, 0, side.catalog.byteLength)).toBe(true);
  });
});

interface Failing {
  readonly what: string;
  readonly fault: 'EIO' | 'ENOSPC' | 'EDQUOT' | 'EROFS' | 'EACCES' | 'EMFILE';
  readonly operation: 'write' | 'sync' | 'sync directory' | 'create';
  readonly fresh?: boolean;
}

const failures: readonly Failing[] = [
  { what: 'EIO at a write', fault: 'EIO', operation: 'write' },
  { what: 'EIO at the write of a header', fault: 'EIO', operation: 'write', fresh: true },
  { what: 'EIO at a sync', fault: 'EIO', operation: 'sync' },
  { what: 'ENOSPC at a sync', fault: 'ENOSPC', operation: 'sync' },
  { what: 'EDQUOT at a sync', fault: 'EDQUOT', operation: 'sync' },
  { what: 'EIO at a directory sync', fault: 'EIO', operation: 'sync directory', fresh: true },
  { what: 'ENOSPC at a directory sync', fault: 'ENOSPC', operation: 'sync directory', fresh: true },
  { what: 'EMFILE at the creation of a segment', fault: 'EMFILE', operation: 'create', fresh: true },
  { what: 'a file system that became read-only', fault: 'EROFS', operation: 'write' },
];

describe('S32, F23, L34: after the first failure', () => {
  for (const { what, fault, operation, fresh } of failures) {
    test(`${what} rejects whoever waits and whoever comes, and nothing is tried again`, async () => {
      const side = fresh === true ? new WritingSide() : await opened();
      side.disk.faults.inject({ fault, operation, times: 1 });
      const appends = Array.from({ length: 5 }, () => side.writer.append(record()));
      const commit = side.committer.reachDurable(side.log.nextId) as Promise<void>;
      const causes = await side.run(Promise.all([...appends, commit].map(rejectionOf)));
      const [cause] = causes;
      expect(isStorageError(cause, 'full') || cause instanceof StorageError).toBe(true);
      for (const each of causes) expect(each).toBe(cause);
      expect(side.committer.state).toEqual({ kind: 'failed', cause });
      expect(side.told.failed).toEqual([{ cause }]);
      const calls = side.calls('write').length + side.calls('sync').length;
      expect(await rejectionOf(side.writer.append(record()))).toBe(cause);
      expect(await rejectionOf(side.writer.appendBatch([record()]))).toBe(cause);
      expect(await rejectionOf(side.writer.ready())).toBe(cause);
      expect(() => side.writer.tryAppend(new Uint8Array(1), 1, 0)).toThrow(cause as Error);
      expect(await rejectionOf(side.committer.reachDurable(side.log.nextId) as Promise<void>)).toBe(cause);
      side.committer.fail(new Error('a later one'));
      expect(side.committer.state).toEqual({ kind: 'failed', cause });
      await side.world.drain();
      expect(side.calls('write').length + side.calls('sync').length).toBe(calls);
      expect(side.process.clock.owedCount).toBe(0);
    });
  }

  test('what had been reached stays reached, and stays on the disk', async () => {
    const side = await opened();
    const length = side.disk.bytesOf(segment).length;
    side.disk.faults.inject({ fault: 'EIO', operation: 'sync' });
    await side.run(rejectionOf(side.writer.append(record())));
    expect(side.committer.reachDurable(2)).toBeUndefined();
    expect(side.committer.reachWritten(2)).toBeUndefined();
    expect(side.committer.readableId).toBe(2);
    expect(side.disk.wouldSurvive(segment, 0, length)).toBe(true);
  });

  test('whoever waits for room is rejected too', async () => {
    const side = await opened({ limits: { maxBytes: 1024 * KiB } });
    while (side.writer.tryAppend(new Uint8Array(10_000), 1, 0) === 'accepted') await side.world.drain();
    const waiting = [side.writer.append(record(100_000)), side.writer.ready()];
    expect(side.writer.waiting).toBeGreaterThan(0);
    const cause = new Error('the first cause');
    side.committer.fail(cause);
    for (const one of waiting) expect(await rejectionOf(one)).toBe(cause);
  });

  test('a failure while a write and a sync are under way is told once, whichever comes first', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const side = await opened({ seed, limits: { durability: 'os' } });
      await side.append(10);
      side.disk.faults.inject({ fault: 'EIO', operation: ['write', 'sync'] });
      const commit = side.committer.reachDurable(side.log.nextId) as Promise<void>;
      const append = side.writer.append(record());
      const causes = await side.run(Promise.all([rejectionOf(commit), rejectionOf(append)]));
      expect(causes[0]).toBe(causes[1]);
      await side.world.drain();
      expect(side.told.failed).toHaveLength(1);
      await side.run(side.committer.close('closed'));
      expect(side.disk.openFileCount(side.process)).toBe(0);
    }
  });

  test('with `interval` no timer is left behind', async () => {
    const side = await opened({ limits: { durability: 'interval' } });
    await side.append(10);
    side.disk.faults.inject({ fault: 'EIO', operation: 'sync' });
    await side.world.run(() => side.committer.state.kind === 'failed');
    expect(side.process.clock.owedCount).toBe(0);
  });
});

describe('the order of effects', () => {
  const durabilities: readonly Durability[] = ['os', 'interval', 'sync'];
  for (const durability of durabilities) {
    test(`I8.1, I8.2: in \`${durability}\` what counts as durable would survive`, async () => {
      for (let seed = 1; seed <= 10; seed++) {
        const side = new WritingSide({ seed, limits: { durability, maxBytes: 1024 * KiB, syncIntervalMs: 5 } });
        const checked = { count: 0 };
        side.events.on('durable', (position) => {
          for (const one of side.catalog.segments) {
            if (one.number > position.segment) continue;
            const end = one.number === position.segment ? position.offset : one.byteLength;
            expect(side.disk.wouldSurvive(one.path, 0, end)).toBe(true);
            checked.count += 1;
          }
        });
        const sizes = Array.from({ length: 30 }, (_, place) => 1 + ((place * 7919 * seed) % 30_000));
        await side.run(Promise.all(sizes.map((size) => side.writer.append(record(size)))));
        await side.world.drain();
        await kept(side);
        expect(side.catalog.segments.length).toBeGreaterThan(2);
        expect(checked.count).toBeGreaterThan(2);
      }
    });
  }

  test('I8.1: the header is written before the first frame, the name synced before it counts', async () => {
    const side = new WritingSide();
    await side.append(100);
    expect(side.disk.calls.map(({ operation, offset }) => `${operation} ${offset}`)).toEqual([
      'create 0',
      'write 0',
      'write 4096',
      'sync 0',
      'sync directory 0',
    ]);
  });

  test('a finished segment is closed once it is durable, so that few files are open', async () => {
    const side = new WritingSide({ limits: { maxBytes: 1024 * KiB } });
    for (let count = 0; count < 6; count++) await side.append(100 * KiB);
    expect(side.catalog.segments).toHaveLength(6);
    expect(side.catalog.segments.map(({ complete }) => complete)).toEqual([true, true, true, true, true, false]);
    expect(side.disk.openFileCount(side.process)).toBe(1);
  });
});
