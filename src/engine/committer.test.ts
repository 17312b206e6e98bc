// Group commit: how many writes and syncs serve how many appenders, and when.
import { expect, test } from 'vitest';
import { bufferDirectory, WritingSide } from '../../test/writing-side.ts';
import { KiB } from '../base/units.ts';
import { readFrame } from './frame.ts';

const segment = `${bufferDirectory}/0000000000000001.seg`;
const record = (byteLength = 100) => ({ payload: new Uint8Array(byteLength).fill(7) });

/** What happened since, as the names of the calls. */
function callsOf(side: WritingSide, since = 0): string[] {
  return side.disk.calls.filter((call) => call.number > since).map(({ operation }) => operation);
}

/** Gets creation, header and directory out of the way. */
async function opened(options: ConstructorParameters<typeof WritingSide>[0] = {}): Promise<WritingSide> {
  const side = new WritingSide(options);
  await side.append(1);
  await side.run(side.committer.reachDurable(side.log.nextId) ?? Promise.resolve());
  return side;
}

test('S24: an append resolves after the sync that covers it, and not before', async () => {
  const side = await opened();
  const before = side.calls('sync').length;
  const append = side.writer.append(record());
  while (side.calls('sync')[before]?.outcome !== 'done') {
    expect(await side.isSettled(append)).toBe(false);
    await side.world.step();
  }
  expect(await side.isSettled(append)).toBe(true);
  expect(side.disk.wouldSurvive(segment, 0, side.disk.bytesOf(segment).length)).toBe(true);
});

test('S30: appends of one tick share one write and one sync', async () => {
  const side = await opened();
  const before = { ...side.committer.times.counts };
  const results = await side.run(Promise.all(Array.from({ length: 200 }, () => side.writer.append(record()))));
  expect(results.map((result) => result.status === 'stored' && result.recordId)).toEqual(
    Array.from({ length: 200 }, (_, place) => place + 2),
  );
  expect(side.committer.times.counts).toEqual({ writes: before.writes + 1, syncs: before.syncs + 1 });
});

test('S30: appends that come while a commit runs are one group behind it', async () => {
  const side = await opened();
  const before = { ...side.committer.times.counts };
  const first = side.writer.append(record());
  await side.world.step(); // The end of the tick: the first one is on its way, alone.
  const rest = Array.from({ length: 100 }, () => side.writer.append(record()));
  await side.run(Promise.all([first, ...rest]));
  expect(side.committer.times.counts).toEqual({ writes: before.writes + 2, syncs: before.syncs + 2 });
});

test('S25, F27: whatever gathers while a commit runs is the next one, over any number of ticks', async () => {
  const latencies = { data: [1, 1], sync: [50, 50], names: [1, 1] } as const;
  const side = await opened({ limits: { lingerMs: 1000 }, disk: { latencies } });
  const before = { ...side.committer.times.counts };
  const appends = [side.writer.append(record())];
  for (let tick = 0; tick < 20; tick++) {
    await side.world.advance(2);
    appends.push(side.writer.append(record()));
  }
  await side.run(Promise.all(appends));
  expect(side.committer.times.counts).toEqual({ writes: before.writes + 2, syncs: before.syncs + 2 });
});

test('while a sync runs, what is older than lingerMs is written: the next sync follows at once', async () => {
  const latencies = { data: [1, 1], sync: [50, 50], names: [1, 1] } as const;
  const side = await opened({ limits: { lingerMs: 5 }, disk: { latencies } });
  const first = side.writer.append(record());
  await side.world.advance(10);
  const since = side.disk.callCount;
  const second = side.writer.append(record());
  await side.run(first);
  expect(callsOf(side, since)).toEqual(['write', 'sync']);
  expect(side.stability.written.value).toBe(side.log.nextId);
  await side.run(second);
});

test('S26: a group of single records is one frame, and every member learns its own id', async () => {
  const side = new WritingSide();
  const results = await side.run(Promise.all([1, 2, 3].map((events) => side.writer.append({ ...record(), events }))));
  expect(results).toEqual([1, 2, 4].map((recordId) => ({ status: 'stored', recordId })));
  const bytes = side.disk.bytesOf(segment);
  const reading = readFrame(bytes, new DataView(bytes.buffer), 4096, bytes.length, 0x5a5a_0001);
  expect(reading).toMatchObject({ kind: 'frame', frame: { recordCount: 3, eventCount: 6 } });
});

test('S30: appends that wait for each other get a sync each', async () => {
  const side = await opened();
  const before = side.committer.times.counts.syncs;
  for (let count = 0; count < 20; count++) await side.append(10);
  expect(side.committer.times.counts.syncs).toBe(before + 20);
});

test('F27: a lone appender waits for no company: its write begins at the end of the tick', async () => {
  const side = await opened({ limits: { lingerMs: 1000 } });
  const since = side.disk.callCount;
  const at = side.world.timeMs;
  const append = side.writer.append(record());
  await side.world.step();
  expect(callsOf(side, since)).toEqual(['write']);
  expect(side.world.timeMs - at).toBeLessThan(0.1);
  await side.run(append);
  expect(callsOf(side, since)).toEqual(['write', 'sync']);
});

test('S28, S31: what is durable costs no call, and a commit of what is not durable syncs', async () => {
  const side = await opened({ limits: { durability: 'os' } });
  const since = side.disk.callCount;
  expect(side.committer.reachDurable(side.log.nextId)).toBeUndefined();
  await side.run(side.committer.syncWritten());
  expect(callsOf(side, since)).toEqual([]);
  await side.append(100);
  expect(callsOf(side, since)).toEqual(['write']);
  await side.run(side.committer.reachDurable(side.log.nextId) as Promise<void>);
  expect(callsOf(side, since)).toEqual(['write', 'sync']);
});

test('S29: already durable ids are answered at once while a sync for later ones runs', async () => {
  const side = await opened();
  const later = side.writer.append(record());
  await side.world.step();
  expect(side.committer.reachDurable(2)).toBeUndefined();
  expect(side.committer.reachDurable(1)).toBeUndefined();
  await side.run(later);
});

test('F21, I8.4: a sync counts for what was written when it began, not for what was written meanwhile', async () => {
  const side = await opened({ limits: { durability: 'os' } });
  await side.append(100);
  const covered = side.log.nextId;
  const commit = side.committer.reachDurable(covered) as Promise<void>;
  expect(callsOf(side).at(-1)).toBe('sync');
  const written = side.writer.append(record(50));
  await side.run(commit);
  // Whichever of the two ended first, the sync's word is about the first record only.
  expect(side.stability.durable.value).toBe(covered);
  await side.run(written);
  expect(side.stability.durable.value).toBe(covered);
  expect(side.stability.written.value).toBe(covered + 1);
});

test('L31: a commit closes the open frame, waits for everything below it, and resolves once', async () => {
  const side = await opened();
  for (let count = 0; count < 5; count++) side.writer.tryAppend(new Uint8Array(10), 3, 0);
  const commit = side.committer.reachDurable(side.log.nextId) as Promise<void>;
  await side.run(commit);
  expect(side.stability.durable.value).toBe(17);
  expect(side.committer.reachDurable(side.log.nextId)).toBeUndefined();
});

test('L21: what nobody waits for is written after lingerMs, in `sync` synced, and nothing is owed', async () => {
  const side = await opened({ limits: { lingerMs: 5 } });
  const since = side.disk.callCount;
  const at = side.world.timeMs;
  side.writer.tryAppend(new Uint8Array(10), 1, 0);
  side.writer.tryAppend(new Uint8Array(10), 1, 0);
  await side.world.advance(4.9);
  expect(callsOf(side, since)).toEqual([]);
  await side.world.drain();
  expect(callsOf(side, since)).toEqual(['write', 'sync']);
  expect(side.world.timeMs - at).toBeGreaterThanOrEqual(5);
  expect(side.process.clock.owedCount).toBe(0);
});

test('a record is written after lingerMs also when the reader who waited for it goes away meanwhile', async () => {
  const side = await opened({ disk: { latencies: { data: [1, 1], sync: [1, 1], names: [1, 1] } } });
  side.committer.watch();
  side.writer.tryAppend(new Uint8Array(10), 1, 0);
  await side.world.step(); // It is on its way.
  side.writer.tryAppend(new Uint8Array(10), 1, 0);
  await side.world.step(); // The end of the tick finds the committer at work.
  side.committer.unwatch();
  await side.world.drain();
  expect(side.stability.durable.value).toBe(side.log.nextId);
});

test('so is a batch, whose frame is closed already', async () => {
  const latencies = { data: [1, 1], sync: [1, 1], names: [1, 1] } as const;
  const side = await opened({ limits: { durability: 'memory' }, disk: { latencies } });
  side.committer.watch();
  side.writer.tryAppend(new Uint8Array(10), 1, 0);
  await side.world.step();
  await side.writer.appendBatch([record(), record()]);
  await side.world.step();
  side.committer.unwatch();
  await side.world.drain();
  expect(side.stability.written.value).toBe(side.log.nextId);
});

test('a reader that has caught up gets records at once', async () => {
  const side = await opened({ limits: { lingerMs: 1000 } });
  side.committer.watch();
  const at = side.world.timeMs;
  side.writer.tryAppend(new Uint8Array(10), 1, 0);
  await side.world.run(() => side.committer.readableId === side.log.nextId);
  expect(side.world.timeMs - at).toBeLessThan(10);
});

test('V29: with `interval` a timer bounds the age of what is unsynced, without anybody asking', async () => {
  const latencies = { data: [0.1, 0.1], sync: [1, 1], names: [0.1, 0.1] } as const;
  const side = await opened({ limits: { durability: 'interval', syncIntervalMs: 100 }, disk: { latencies } });
  await side.world.drain();
  const at = side.world.timeMs;
  await side.append(100);
  expect(side.stability.durable.value).toBeLessThan(side.log.nextId);
  await side.world.run(() => side.stability.durable.value === side.log.nextId);
  expect(side.world.timeMs - at).toBeGreaterThan(99);
  expect(side.world.timeMs - at).toBeLessThan(103);
  expect(side.process.clock.owedCount).toBe(0);
});

test('with `interval` the age counts from the first unsynced byte, however many follow', async () => {
  const latencies = { data: [0.1, 0.1], sync: [1, 1], names: [0.1, 0.1] } as const;
  const side = await opened({ limits: { durability: 'interval', syncIntervalMs: 50 }, disk: { latencies } });
  await side.world.drain();
  const syncs = side.committer.times.counts.syncs;
  const at = side.world.timeMs;
  while (side.world.timeMs < at + 1000) {
    await side.append(10);
    await side.world.advance(1);
  }
  const perSecond = side.committer.times.counts.syncs - syncs;
  expect(perSecond).toBeGreaterThanOrEqual(19);
  expect(perSecond).toBeLessThanOrEqual(20);
});

test('with `interval` bytes written while a sync runs are synced an interval after they were written', async () => {
  const latencies = { data: [0.1, 0.1], sync: [80, 80], names: [0.1, 0.1] } as const;
  const side = await opened({ limits: { durability: 'interval', syncIntervalMs: 50 }, disk: { latencies } });
  await side.world.drain();
  await side.append(10);
  const syncs = side.calls('sync').length;
  await side.world.run(() => side.calls('sync').length > syncs);
  const at = side.world.timeMs;
  await side.append(10);
  await side.world.run(() => side.stability.durable.value === side.log.nextId);
  expect(side.world.timeMs - at).toBeLessThan(50 + 80 + 80 + 1);
});

test('with `interval` no more than maxUnsyncedBytes are ever unsynced, headers included', async () => {
  const side = await opened({
    limits: { durability: 'interval', maxBytes: 4096 * KiB, maxUnsyncedBytes: 256 * KiB, syncIntervalMs: 60_000 },
    disk: { latencies: { data: [0.1, 1], sync: [5, 50], names: [0.1, 0.1] } },
  });
  let most = 0;
  const appends = Array.from({ length: 150 }, (_, place) => side.writer.append(record(1000 + 137 * place)));
  const all = Promise.all(appends);
  while (!(await side.isSettled(all))) {
    await side.world.step();
    most = Math.max(most, side.files.unsyncedBytes);
  }
  expect(most).toBeGreaterThan(128 * KiB);
  expect(most).toBeLessThanOrEqual(256 * KiB);
});

test('with `interval` a write larger than maxUnsyncedBytes goes alone and is synced at once', async () => {
  const side = await opened({ limits: { durability: 'interval', maxUnsyncedBytes: 64 * KiB, syncIntervalMs: 60_000 } });
  await side.append(1024 * KiB);
  expect(side.stability.written.value).toBe(side.log.nextId);
  const at = side.world.timeMs;
  await side.world.run(() => side.stability.durable.value === side.log.nextId);
  expect(side.world.timeMs - at).toBeLessThan(1000);
});

test('with `interval` a sync begins at once when slots run out', async () => {
  const side = await opened({ limits: { durability: 'interval', maxBytes: 1024 * KiB, syncIntervalMs: 60_000 } });
  const at = side.world.timeMs;
  for (let count = 0; count < 60; count++) await side.append(9 * KiB);
  expect(side.world.timeMs - at).toBeLessThan(10_000);
});

test('with `interval` oversize records follow each other without waiting for the interval', async () => {
  const side = await opened({ limits: { durability: 'interval', syncIntervalMs: 60_000 } });
  const at = side.world.timeMs;
  for (let count = 0; count < 4; count++) await side.append(2048 * KiB);
  expect(side.world.timeMs - at).toBeLessThan(10_000);
});

test('with `interval` a seal that nothing but itself is unsynced for does not hold up a large write', async () => {
  const side = await opened({ limits: { durability: 'interval' } });
  await side.world.drain();
  await side.append(9 * KiB);
  await side.world.drain();
  await side.append(side.limits.maxRecordBytes - 12);
  expect(side.catalog.segments).toHaveLength(2);
});

test('oversize records follow each other in every durability', async () => {
  for (const durability of ['memory', 'os', 'interval', 'sync'] as const) {
    const side = new WritingSide({ limits: { durability } });
    for (let count = 0; count < 20; count++) await side.append(1500 * KiB);
    await side.run(side.committer.reachDurable(side.log.nextId) ?? Promise.resolve());
    expect(side.stability.durable.value).toBe(21);
  }
});

test('F10, F20: appends go on while slots are written, and every byte lands in its place', async () => {
  const side = new WritingSide({ limits: { durability: 'os', maxBytes: 1024 * KiB } });
  const sizes = [100, 60_000, 10, 30_000, 70_000, 5, 64_000, 3];
  const appends = sizes.map((size, place) => {
    const payload = new Uint8Array(size).fill(place + 1);
    return side.writer.append({ payload });
  });
  await side.run(Promise.all(appends));
  const found: { id: number; records: number }[] = [];
  for (const { path, header } of side.catalog.segments) {
    const bytes = side.disk.bytesOf(path);
    const view = new DataView(bytes.buffer);
    for (let at = 4096; at < bytes.length; ) {
      const reading = readFrame(bytes, view, at, bytes.length, header?.salt ?? 0);
      if (reading.kind !== 'frame') throw new Error(`no frame at ${at} of ${path}: ${reading.kind}`);
      found.push({ id: reading.frame.firstId, records: reading.frame.recordCount });
      at += reading.frame.byteLength;
    }
  }
  let next = 1;
  for (const { id, records } of found) {
    expect(id).toBe(next);
    next += records;
  }
  expect(next).toBe(sizes.length + 1);
});

test('L22: closing gives every descriptor back and leaves nothing owed', async () => {
  const side = await opened({ limits: { durability: 'interval' } });
  side.writer.tryAppend(new Uint8Array(10), 1, 0);
  await side.run(side.committer.reachDurable(side.log.nextId) as Promise<void>);
  side.writer.tryAppend(new Uint8Array(10), 1, 0);
  await side.run(side.committer.close('closed'));
  expect(side.disk.openFileCount(side.process)).toBe(0);
  expect(side.process.clock.owedCount).toBe(0);
  expect(side.committer.state.kind).toBe('closed');
});

test('closing waits for the write and the sync under way: no call is left on a closed file', async () => {
  const side = await opened({ limits: { durability: 'os' } });
  side.writer.tryAppend(new Uint8Array(10), 1, 0);
  await side.world.run(() => side.calls('write').at(-1)?.outcome === undefined);
  await side.run(side.committer.close('closed'));
  await side.world.drain();
  expect(side.disk.calls.map((call) => call.outcome)).not.toContainEqual(expect.stringContaining('EBADF'));
  expect(side.calls('write').every((call) => call.outcome === 'done')).toBe(true);
  const closed = side.calls('close').at(-1)?.number ?? 0;
  expect(side.disk.calls.filter((call) => call.number > closed)).toEqual([]);
});
