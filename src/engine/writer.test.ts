// Who may append, under which id, and what happens to whom there is no room for.
import { describe, expect, test } from 'vitest';
import { bufferDirectory, rejectionOf, WritingSide, type WritingSideOptions } from '../../test/writing-side.ts';
import { isStorageError } from '../base/errors.ts';
import { KiB, MiB } from '../base/units.ts';
import { eventsPerRecordMax, readFrame, recordBytes, recordsPerFrameMax } from './frame.ts';
import type { WhenFull } from './limits.ts';
import type { AppendResult } from './writer.ts';

const record = (byteLength = 100, events = 1) => ({ payload: new Uint8Array(byteLength).fill(7), events });
const small = (whenFull: WhenFull, rest: WritingSideOptions['limits'] = {}): WritingSideOptions => ({
  limits: { maxBytes: 1 * MiB, whenFull, ...rest },
});

/** Appends records of this size until there is no room for another one. */
async function fill(side: WritingSide, byteLength = 10_000): Promise<number> {
  for (let count = 0; ; count++) {
    const result = side.writer.tryAppend(new Uint8Array(byteLength), 1, 0);
    await side.world.drain();
    if (result === 'full') return count;
    if (result === 'wait' && side.roomWanted > 0) return count;
  }
}

function recordCounts(side: WritingSide): number[] {
  return side.catalog.segments.flatMap(({ path, header }) => {
    const bytes = side.disk.bytesOf(path);
    const view = new DataView(bytes.buffer);
    const counts: number[] = [];
    for (let at = 4096; at < bytes.length; ) {
      const reading = readFrame(bytes, view, at, bytes.length, header?.salt ?? 0);
      if (reading.kind !== 'frame') throw new Error(`no frame at ${at} of ${path}: ${reading.kind}`);
      counts.push(reading.frame.recordCount);
      at += reading.frame.byteLength;
    }
    return counts;
  });
}

describe('ids', () => {
  test('V11: the first is 1, the next is the id plus the events, in the order of the calls', async () => {
    const side = new WritingSide();
    const events = [1, 5, 1, 2 ** 24, 3];
    const results = await side.run(Promise.all(events.map((count) => side.writer.append(record(10, count)))));
    const ids = results.map((result) => (result.status === 'stored' ? result.recordId : 0));
    expect(ids).toEqual([1, 2, 7, 8, 8 + 2 ** 24]);
    expect(side.log.nextId).toBe(8 + 2 ** 24 + 3);
  });

  test('V22: a refused record consumes none', async () => {
    const side = new WritingSide(small('reject'));
    const count = await fill(side);
    expect(side.log.nextId).toBe(count + 1);
    await side.run(rejectionOf(side.writer.append(record(50_000))));
    await rejectionOf(side.writer.append({ payload: new Uint8Array(1), events: 0 }));
    await rejectionOf(side.writer.append(record(side.limits.maxRecordBytes)));
    expect(side.log.nextId).toBe(count + 1);
    expect(side.stability.reserved).toBe(count + 1);
  });

  test('are given to a batch as a run', async () => {
    const side = new WritingSide();
    await side.append(10, 4);
    const batch = [record(10, 2), record(20, 3), { payload: new Uint8Array(5) }];
    expect(await side.run(side.writer.appendBatch(batch))).toEqual({ status: 'stored', recordId: 5 });
    expect(side.log.nextId).toBe(11);
  });
});

describe('a batch', () => {
  test('is one frame of its own, whatever is open and whatever comes behind it', async () => {
    const side = new WritingSide();
    side.writer.tryAppend(new Uint8Array(10), 1, 0);
    const batch = side.writer.appendBatch(Array.from({ length: 3000 }, () => record(50)));
    side.writer.tryAppend(new Uint8Array(10), 1, 0);
    await side.run(batch);
    await side.world.drain();
    expect(recordCounts(side)).toEqual([1, 3000, 1]);
  });

  test('is one frame of its own also when it would fit an open one', async () => {
    const side = new WritingSide();
    side.writer.tryAppend(new Uint8Array(10), 1, 0);
    const batch = side.writer.appendBatch([record(1), record(2), record(3)]);
    side.writer.tryAppend(new Uint8Array(10), 1, 0);
    await side.run(batch);
    await side.world.drain();
    expect(recordCounts(side)).toEqual([1, 3, 1]);
  });

  test('may be as large as the largest record, and no larger', async () => {
    const side = new WritingSide(small('block'));
    const { maxRecordBytes } = side.limits;
    const half = maxRecordBytes / 2 - 12;
    expect(await side.run(side.writer.appendBatch([record(half), record(half)]))).toMatchObject({ status: 'stored' });
    expect(recordCounts(side)).toEqual([2]);
    const cause = await rejectionOf(side.writer.appendBatch([record(half), record(half + 1)]));
    expect(cause).toMatchObject({ code: 'SPILLWAY_USAGE_TOO_LARGE' });
  });

  test('has 1 to 65,535 records and an event sum below 2^32', async () => {
    const side = new WritingSide();
    const empty = { payload: new Uint8Array(0) };
    const many = Array.from({ length: recordsPerFrameMax }, () => empty);
    expect(await side.run(side.writer.appendBatch(many))).toEqual({ status: 'stored', recordId: 1 });
    expect(await rejectionOf(side.writer.appendBatch([...many, empty]))).toMatchObject({
      code: 'SPILLWAY_USAGE_TOO_LARGE',
    });
    const heavy = Array.from({ length: 255 }, () => ({ ...empty, events: eventsPerRecordMax }));
    const rest = { ...empty, events: eventsPerRecordMax - 1 };
    expect(await side.run(side.writer.appendBatch([...heavy, rest]))).toMatchObject({ status: 'stored' });
    const full = { ...empty, events: eventsPerRecordMax };
    expect(await rejectionOf(side.writer.appendBatch([...heavy, full]))).toMatchObject({
      code: 'SPILLWAY_USAGE_TOO_LARGE',
    });
  });

  test('S17: is refused when it is empty', async () => {
    const side = new WritingSide();
    expect(await rejectionOf(side.writer.appendBatch([]))).toMatchObject({ code: 'SPILLWAY_USAGE_RECORD' });
    expect(side.disk.callCount).toBe(0);
  });

  test('is refused as a whole for one bad record', async () => {
    const side = new WritingSide();
    const batch = [record(), { payload: new Uint8Array(1), events: 0 }];
    expect(await rejectionOf(side.writer.appendBatch(batch))).toMatchObject({ code: 'SPILLWAY_USAGE_RECORD' });
    expect(side.log.nextId).toBe(1);
  });
});

describe('V33: refused for ever', () => {
  const bytes = new Uint8Array(1);
  const bad = [
    { payload: bytes, events: 0 },
    { payload: bytes, events: -1 },
    { payload: bytes, events: 1.5 },
    { payload: bytes, events: eventsPerRecordMax + 1 },
    { payload: bytes, events: Number.NaN },
    { payload: bytes, metadata: -1 },
    { payload: bytes, metadata: 2 ** 32 },
    { payload: bytes, metadata: 0.5 },
    { payload: 'text' as unknown as Uint8Array },
    { payload: undefined as unknown as Uint8Array },
    { payload: [1, 2] as unknown as Uint8Array },
  ];
  test.each(bad)('a malformed record: %j', async (input) => {
    const side = new WritingSide();
    expect(await rejectionOf(side.writer.append(input))).toMatchObject({ code: 'SPILLWAY_USAGE_RECORD' });
    expect(() => side.writer.tryAppend(input.payload, input.events ?? 1, input.metadata ?? 0)).toThrow(
      expect.objectContaining({ code: 'SPILLWAY_USAGE_RECORD' }),
    );
    expect(side.log.nextId).toBe(1);
  });

  test('V21: a record larger than maxRecordBytes, headers included', async () => {
    const side = new WritingSide(small('block'));
    const largest = side.limits.maxRecordBytes - 12;
    expect(side.writer.tryAppend(new Uint8Array(largest + 1), 1, 0)).toBe('too_large');
    expect(await rejectionOf(side.writer.append(record(largest + 1)))).toMatchObject({
      code: 'SPILLWAY_USAGE_TOO_LARGE',
    });
    expect(await side.append(largest)).toEqual({ status: 'stored', recordId: 1 });
    expect(await side.append(largest)).toEqual({ status: 'stored', recordId: 2 });
  });

  test('anything after close', async () => {
    const side = new WritingSide();
    await side.append(10);
    side.writer.close();
    const closed = { code: 'SPILLWAY_USAGE_CLOSED' };
    expect(await rejectionOf(side.writer.append(record()))).toMatchObject(closed);
    expect(await rejectionOf(side.writer.appendBatch([record()]))).toMatchObject(closed);
    expect(await rejectionOf(side.writer.ready())).toMatchObject(closed);
    expect(() => side.writer.tryAppend(new Uint8Array(1), 1, 0)).toThrow(expect.objectContaining(closed));
  });
});

describe('tryAppend', () => {
  test('says accepted, wait, full, accepted again', async () => {
    const side = new WritingSide(small('block', { durability: 'os' }));
    expect(side.writer.tryAppend(new Uint8Array(10), 1, 0)).toBe('accepted');
    let result = 'accepted';
    while (result === 'accepted') result = side.writer.tryAppend(new Uint8Array(60_000), 1, 0);
    expect(result).toBe('wait'); // No slot is free before something is written.
    await side.world.drain();
    await fill(side);
    expect(side.writer.tryAppend(new Uint8Array(10_000), 1, 0)).toBe('full');
    await side.freeFirst();
    expect(side.writer.tryAppend(new Uint8Array(10_000), 1, 0)).toBe('accepted');
  });

  test('says wait until the epoch is durable, and appends wait as long', async () => {
    const side = new WritingSide({ asleep: true });
    expect(side.writer.tryAppend(new Uint8Array(1), 1, 0)).toBe('wait');
    const append = side.writer.append(record());
    const ready = side.writer.ready();
    expect(await side.isSettled(Promise.race([append, ready]))).toBe(false);
    expect(side.disk.callCount).toBe(0);
    void side.start();
    side.writer.allowAppends();
    await side.run(Promise.all([append, ready]));
    expect(side.writer.tryAppend(new Uint8Array(1), 1, 0)).toBe('accepted');
  });

  test('says wait, with drop_oldest, and asks for room', async () => {
    const side = new WritingSide(small('drop_oldest'));
    await fill(side);
    const asked = side.roomWanted;
    expect(side.writer.tryAppend(new Uint8Array(60_000), 1, 0)).toBe('wait');
    expect(side.roomWanted).toBe(asked + 1);
  });
});

describe('ready', () => {
  test('resolves when the record that was refused last can be appended', async () => {
    const side = new WritingSide(small('block'));
    await fill(side);
    const ready = side.writer.ready();
    expect(await side.isSettled(ready)).toBe(false);
    expect(side.writer.waiting).toBe(1); // The ledger hurries for those who wait.
    await side.freeFirst();
    await side.run(ready);
    expect(side.writer.waiting).toBe(0);
    expect(side.writer.tryAppend(new Uint8Array(10_000), 1, 0)).toBe('accepted');
  });

  test('goes by the events of that record too', async () => {
    const side = new WritingSide(small('block', { lingerMs: 60_000, segmentBytes: 256 * KiB }));
    await fill(side, 50_000);
    // Room is left for one frame of 255 records that fill its event sum, and for a few more bytes in it.
    expect(await side.append(side.space.headroom - 3128 - 60)).toMatchObject({ status: 'stored' });
    const heaviest = (): string => side.writer.tryAppend(new Uint8Array(0), eventsPerRecordMax, 0);
    for (let count = 0; count < 255; count++) expect(heaviest()).toBe('accepted');
    expect(heaviest()).toBe('full');
    const ready = side.writer.ready();
    expect(await side.isSettled(ready)).toBe(false);
    await side.freeFirst();
    await side.run(ready);
    expect(heaviest()).toBe('accepted');
  });

  test('holds up no append that the policy refuses', async () => {
    for (const whenFull of ['reject', 'drop_newest'] as const) {
      const side = new WritingSide(small(whenFull));
      await fill(side);
      const ready = side.writer.ready();
      const outcome = await side.run(side.writer.append(record(10_000)).catch((cause: unknown) => cause));
      if (whenFull === 'drop_newest') expect(outcome).toEqual({ status: 'dropped', reason: 'buffer_full' });
      else expect(isStorageError(outcome, 'full')).toBe(true);
      expect(await side.isSettled(ready)).toBe(false);
    }
  });

  test('ends with the reason of its signal, also of one that was aborted before', async () => {
    const side = new WritingSide(small('block'));
    await fill(side);
    const control = new AbortController();
    const ready = side.writer.ready(control.signal);
    control.abort('enough');
    expect(await rejectionOf(ready)).toBe('enough');
    expect(await rejectionOf(side.writer.ready(control.signal))).toBe('enough');
  });
});

describe('whenFull', () => {
  test('V24, block: appends wait, and go on in the order of their calls when segments are freed', async () => {
    const side = new WritingSide(small('block'));
    await fill(side);
    const order: number[] = [];
    const sizes = [50_000, 10, 90_000, 10, 10];
    const appends = sizes.map((size, place) => side.writer.append(record(size)).then(() => order.push(place)));
    await side.world.drain();
    expect(side.writer.waiting).toBe(5); // A small record does not overtake a large one (I9.5).
    expect(order).toEqual([]);
    const first = side.log.nextId;
    while (side.writer.waiting > 0) await side.freeFirst();
    await side.run(Promise.all(appends));
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect(side.log.nextId).toBe(first + 5);
  });

  test('drop_newest: appends are dropped, at once, with the reason, counted by events and payload bytes', async () => {
    const side = new WritingSide(small('drop_newest'));
    await fill(side);
    const outcome = await side.run(side.writer.append(record(10_000, 7)));
    expect(outcome).toEqual({ status: 'dropped', reason: 'buffer_full' });
    const batch = await side.run(side.writer.appendBatch([record(6000, 2), record(4001, 3)]));
    expect(batch).toEqual({ status: 'dropped', reason: 'buffer_full' });
    expect(side.dropped).toEqual([
      { reason: 'buffer_full', events: 7, bytes: 10_000 },
      { reason: 'buffer_full', events: 5, bytes: 10_001 },
    ]);
    await side.freeFirst();
    expect(await side.append(10_000)).toMatchObject({ status: 'stored' });
    expect(side.dropped).toHaveLength(2);
  });

  test('reject: appends reject with StorageError full', async () => {
    const side = new WritingSide(small('reject'));
    await fill(side);
    const cause = await side.run(rejectionOf(side.writer.append(record(10_000))));
    expect(isStorageError(cause, 'full')).toBe(true);
    expect(side.dropped).toEqual([]);
    await side.freeFirst();
    expect(await side.append(10_000)).toMatchObject({ status: 'stored' });
  });

  test('drop_oldest: appends ask for room and wait for it', async () => {
    const side = new WritingSide(small('drop_oldest'));
    await fill(side);
    const asked = side.roomWanted;
    const append = side.writer.append(record(50_000));
    await side.world.drain();
    expect(side.roomWanted).toBeGreaterThan(asked);
    await side.freeFirst();
    expect(await side.run(append)).toMatchObject({ status: 'stored' });
  });

  test('`full` is told once, until something is accepted again', async () => {
    const side = new WritingSide(small('drop_newest'));
    await fill(side);
    for (let count = 0; count < 5; count++) await side.run(side.writer.append(record(10_000)));
    expect(side.told.full).toHaveLength(1);
    await side.freeFirst();
    await fill(side);
    expect(side.told.full).toHaveLength(2);
  });
});

describe('whenFull while the disk is full', () => {
  /** Memory is used up behind a write that finds no room. */
  async function stalled(whenFull: WhenFull): Promise<{ side: WritingSide; lift: () => void }> {
    const side = new WritingSide({ limits: { maxBytes: 4 * MiB, whenFull, durability: 'os' } });
    await side.append(1);
    const lift = side.disk.faults.inject({ fault: 'ENOSPC', operation: 'write' });
    for (;;) {
      const result = side.writer.tryAppend(new Uint8Array(100_000), 1, 0);
      if (result !== 'accepted' && side.committer.state.kind === 'stalled') break;
      await side.world.advance(1);
    }
    return { side, lift };
  }

  test('V23, block: waits until the disk has room', async () => {
    const { side, lift } = await stalled('block');
    expect(side.writer.tryAppend(new Uint8Array(100_000), 1, 0)).toBe('full');
    const append = side.writer.append(record(100_000));
    await side.world.advance(10_000);
    expect(await side.isSettled(append)).toBe(false);
    lift();
    expect(await side.run(append)).toMatchObject({ status: 'stored' });
  });

  test('drop_newest: drops with the reason disk_full', async () => {
    const { side, lift } = await stalled('drop_newest');
    expect(await side.run(side.writer.append(record(100_000, 3)))).toEqual({ status: 'dropped', reason: 'disk_full' });
    expect(side.dropped).toEqual([{ reason: 'disk_full', events: 3, bytes: 100_000 }]);
    lift();
    await side.world.advance(10_000);
    expect(await side.append(100_000)).toMatchObject({ status: 'stored' });
  });

  test('reject: rejects, and whoever waited for memory when it began is rejected with it', async () => {
    const side = new WritingSide({ limits: { maxBytes: 4 * MiB, whenFull: 'reject', durability: 'os' } });
    await side.append(1);
    side.disk.faults.inject({ fault: 'ENOSPC', operation: 'write' });
    while (side.writer.tryAppend(new Uint8Array(100_000), 1, 0) === 'accepted');
    expect(side.committer.state.kind).toBe('open');
    const cause = await side.run(rejectionOf(side.writer.append(record(100_000))));
    expect(cause).toMatchObject({ kind: 'full', message: expect.stringContaining('disk_full') });
  });

  test('drop_oldest: asks for room', async () => {
    const { side } = await stalled('drop_oldest');
    const asked = side.roomWanted;
    expect(side.writer.tryAppend(new Uint8Array(100_000), 1, 0)).toBe('wait');
    expect(side.roomWanted).toBeGreaterThan(asked);
  });
});

describe('a signal', () => {
  test('takes an append out that waits for room, and the next one moves up', async () => {
    const side = new WritingSide(small('block'));
    await fill(side);
    const control = new AbortController();
    const large = side.writer.append(record(100_000), control.signal);
    const little = side.writer.append(record(10));
    expect(await side.isSettled(little)).toBe(false);
    const nextId = side.log.nextId;
    control.abort(new Error('enough'));
    expect(await rejectionOf(large)).toEqual(new Error('enough'));
    await side.run(little);
    expect(side.log.nextId).toBe(nextId + 1);
  });

  test('lets whoever waits for the disk go; the record is stored all the same', async () => {
    const side = new WritingSide();
    const control = new AbortController();
    const append = side.writer.append(record(), control.signal);
    control.abort('enough');
    expect(await rejectionOf(append)).toBe('enough');
    await side.world.drain();
    expect(side.stability.durable.value).toBe(2);
  });

  test('that was aborted before lets nothing in', async () => {
    const side = new WritingSide();
    expect(await rejectionOf(side.writer.append(record(), AbortSignal.abort('no')))).toBe('no');
    expect(await rejectionOf(side.writer.appendBatch([record()], AbortSignal.abort('no')))).toBe('no');
    expect(side.log.nextId).toBe(1);
  });
});

describe('every durability', () => {
  test('memory: an append resolves at once, before any call', async () => {
    const side = new WritingSide({ limits: { durability: 'memory' } });
    const append = side.writer.append(record());
    expect(await side.isSettled(append)).toBe(true);
    expect(side.disk.callCount).toBe(0);
  });

  test('os and interval: when it is written, before any sync', async () => {
    for (const durability of ['os', 'interval'] as const) {
      const side = new WritingSide({ limits: { durability } });
      await side.append(100);
      expect(side.calls('sync')).toEqual([]);
      expect(side.stability.written.value).toBe(2);
    }
  });

  test('sync: when it is durable', async () => {
    const side = new WritingSide();
    await side.append(100);
    const path = `${bufferDirectory}/0000000000000001.seg`;
    expect(side.disk.wouldSurvive(path, 0, side.disk.bytesOf(path).length)).toBe(true);
  });
});

test('whoever came first does not wait for all of the tick: a group ends where its slot ends', async () => {
  const side = new WritingSide(small('block'));
  const appends = Array.from({ length: 4 }, () => side.writer.append(record(60_000)));
  await side.run(appends[0] as Promise<AppendResult>);
  expect(await side.isSettled(appends[3] as Promise<AppendResult>)).toBe(false);
  await side.run(Promise.all(appends));
});

test('V26, S33: a roll happens before the record that needs it, and a full segment is no failure', async () => {
  const side = new WritingSide({ limits: { maxBytes: 64 * MiB, segmentBytes: 128 * KiB } });
  const results: AppendResult[] = await side.run(
    Promise.all(Array.from({ length: 300 }, (_, place) => side.writer.append(record(1 + ((place * 977) % 9000))))),
  );
  expect(results.every(({ status }) => status === 'stored')).toBe(true);
  expect(side.catalog.segments.length).toBeGreaterThan(8);
  for (const { header, byteLength } of side.catalog.segments) {
    expect(byteLength).toBeLessThanOrEqual(side.limits.segmentBytes);
    expect(header?.firstId).toBeGreaterThan(0);
  }
  expect(recordCounts(side).reduce((sum, count) => sum + count, 0)).toBe(300);
});

test('a record that fits the room to the byte is admitted, and one 4 bytes longer is not', async () => {
  const side = new WritingSide(small('reject'));
  await fill(side);
  const { headroom } = side.space;
  const longest = headroom - 48 - 12 - ((headroom - 48) % 8);
  expect(recordBytes(longest + 4)).toBe(recordBytes(longest) + 4);
  expect(side.writer.tryAppend(new Uint8Array(longest + 4), 1, 0)).toBe('full');
  expect(side.writer.tryAppend(new Uint8Array(longest), 1, 0)).toBe('accepted');
  await side.world.drain();
  expect(side.space.headroom).toBeGreaterThanOrEqual(0);
  expect(side.space.headroom).toBeLessThan(8);
});
