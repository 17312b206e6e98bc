// Who frees segments and who makes room, also where something stands in the way.

import { describe, expect, it } from 'vitest';
import { BufferRig, bufferPath, bytesOf, listenToLosses, segmentName } from '../../test/buffer-rig.ts';
import { checksumPortable } from '../base/checksum.ts';
import type { DiskBuffer } from './disk-buffer.ts';

const block = new Uint8Array(50_000);

async function fill(rig: BufferRig, buffer: DiskBuffer, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await rig.run(buffer.append(block));
}

/** Whether `count` more appends of a block get through within a virtual minute. */
async function takes(rig: BufferRig, buffer: DiskBuffer, count: number): Promise<boolean> {
  const appends = Promise.all(Array.from({ length: count }, () => buffer.append(block)));
  return (await rig.within(60_000, appends)) === 'resolved';
}

const foreign = new TextEncoder().encode('nothing that Spillway wrote, but named like a segment of it'.repeat(100));

describe('freeing', () => {
  it.each(['stranger', 'garbage'] as const)('is not held up by a %s before the oldest segment', async (what) => {
    const other = new BufferRig({ seed: 2 });
    await fill(other, await other.open(), 1);
    const rig = new BufferRig();
    rig.disk.plantDirectory(bufferPath);
    rig.plant(segmentName(0), what === 'stranger' ? other.bytes(segmentName(1)) : foreign);
    const buffer = await rig.open();
    for (let round = 0; round < 4; round++) {
      expect(await takes(rig, buffer, 10)).toBe(true);
      await rig.readTo(buffer.cursor('default'), 10 * round + 11);
    }
    await rig.world.advance(1_000);
    expect(rig.segments().filter((name) => name !== segmentName(0))).toHaveLength(1);
    expect(rig.names().includes(segmentName(0))).toBe(what === 'stranger');
  });

  it('is not held up by a segment of which nothing is left', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await fill(rig, first, 8);
    await rig.close(first);
    rig.plant(segmentName(2), new Uint8Array(130_000));
    const buffer = await rig.open();
    await rig.readTo(buffer.cursor('default'), 9);
    await rig.append(buffer, 'x');
    await rig.readTo(buffer.cursor('default'), 10);
    await rig.world.advance(1_000);
    expect(rig.segments()).toHaveLength(1);
    buffer.recount();
  });

  it('spares what a cursor was added for while an older publish was under way', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await fill(rig, buffer, 4);
    rig.disk.faults.inject({ fault: 'EIO', operation: 'remove' });
    await rig.readTo(buffer.cursor('default'), 5);
    await rig.world.advance(1_000); // Both slots say that everything is passed, and nothing could be removed.
    rig.disk.heal();
    await rig.append(buffer, 'x');
    const isPublishing = (): boolean => {
      const call = rig.disk.calls.at(-1);
      return call?.operation === 'sync' && call.path.endsWith('ledger') && call.outcome === undefined;
    };
    await rig.until(isPublishing);
    const late = buffer.cursor('late');
    expect((await rig.readTo(late, 6)).map(({ id }) => id)).toEqual([1, 2, 3, 4, 5]);
  });

  it('makes one removal durable before the next: a power cut never leaves a hole in the log', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await fill(rig, buffer, 12);
    let most = 0;
    buffer.events.on('segment_freed', () => {
      most = Math.max(most, rig.disk.undecided().names.length);
    });
    await rig.readTo(buffer.cursor('default'), 13);
    await rig.world.advance(2_000);
    expect(rig.segments()).toHaveLength(1);
    expect(most).toBe(1);
  });

  it('waits for two publishes, one in each slot', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await fill(rig, buffer, 4);
    const generations: [number, number][] = [];
    const freed: number[] = [];
    buffer.events.on('published', ({ generation }) => generations.push([generation, rig.segments().length]));
    buffer.events.on('segment_freed', () => freed.push(generations.length));
    await rig.world.advance(1_000);
    generations.length = 0;
    await rig.readTo(buffer.cursor('default'), 5);
    await rig.world.advance(1_000);
    expect(freed[0]).toBeGreaterThanOrEqual(2);
    expect(rig.segments()).toHaveLength(1);
  });
});

describe('drop_oldest', () => {
  it('gives up the oldest segment, counts it for the buffer and for each cursor, and goes on', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ whenFull: 'drop_oldest', cursors: ['default', 'second'] });
    const losses = listenToLosses(buffer);
    const held = buffer.cursor('default');
    await fill(rig, buffer, 1);
    const delivery = await rig.read(held);
    await rig.readTo(buffer.cursor('second'), 2);
    expect(await takes(rig, buffer, 60)).toBe(true);
    expect(rig.disk.bytesBelow(bufferPath)).toBeLessThanOrEqual(1_048_576);
    buffer.recount();
    const { totals, cursors } = buffer.stats();
    const [one, two] = cursors.map(({ sinceOpen }) => sinceOpen.dropped_oldest);
    expect(one?.events).toBe((two?.events ?? 0) + 1);
    expect(one?.bytes).toBe((one?.events ?? 0) * block.length);
    // The first record was acknowledged by one cursor only: its fate is that of the last to pass it.
    expect(totals.removed.dropped_oldest).toEqual(one);
    const told = losses.filter(({ cursor }) => cursor === 'default').reduce((sum, { events }) => sum + events, 0);
    expect(told).toBe(one?.events);
    delivery.ack(); // Too late, and says so to nobody.
    expect(held.counters.acknowledged.events).toBe(0);
    const rest = await rig.readTo(held, 62);
    expect(rest.length + (one?.events ?? 0)).toBe(61);
    buffer.recount();
    await rig.close(buffer);
  });

  it('counts once, with all of its bytes, what cursors at different places give up', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ whenFull: 'drop_oldest', cursors: ['slow', 'fast', 'middle'] });
    await fill(rig, buffer, 5);
    for (const [name, count] of [['fast', 2] as const, ['middle', 1] as const]) {
      (await rig.read(buffer.cursor(name), { maxRecords: count })).ack();
    }
    await fill(rig, buffer, 20);
    buffer.recount();
    const { totals, cursors } = buffer.stats();
    const dropped = totals.removed.dropped_oldest;
    expect(dropped.events).toBeGreaterThan(0);
    expect(dropped.bytes).toBe(dropped.events * block.length);
    expect(cursors[0]?.sinceOpen.dropped_oldest).toEqual(dropped);
  });

  it('finds the next segment when a stranger is the oldest', async () => {
    const other = new BufferRig({ seed: 2 });
    await fill(other, await other.open(), 1);
    const rig = new BufferRig();
    rig.disk.plantDirectory(bufferPath);
    rig.plant(segmentName(0), other.bytes(segmentName(1)));
    const buffer = await rig.open({ whenFull: 'drop_oldest' });
    expect(await takes(rig, buffer, 60)).toBe(true);
  });

  it('waits, and does not spin, while there is nothing to give up', async () => {
    const rig = new BufferRig();
    rig.disk.plantDirectory(bufferPath);
    rig.plant('foreign', new Uint8Array(900_000));
    const buffer = await rig.open({ whenFull: 'drop_oldest' });
    const before = rig.world.stepCount;
    expect(await takes(rig, buffer, 3)).toBe(false);
    expect(rig.world.stepCount - before).toBeLessThan(1_000);
    expect(buffer.tryAppend(bytesOf('x'))).toBe('wait');
    await rig.close(buffer);
  });

  it.each([
    ['vanished', 'ENOENT'],
    ['may not be opened', 'EACCES'],
    ['cannot be opened', 'EIO'],
  ] as const)('goes on when the oldest segment %s', async (_what, fault) => {
    const rig = new BufferRig();
    const buffer = await rig.open({ whenFull: 'drop_oldest' });
    await fill(rig, buffer, 6);
    const [oldest = ''] = rig.segments();
    rig.disk.faults.inject({ fault, operation: 'open', path: oldest });
    expect(await takes(rig, buffer, 30)).toBe(true);
    buffer.recount();
  });

  it('does not spin when the oldest segment cannot be removed', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ whenFull: 'drop_oldest' });
    rig.disk.faults.inject({ fault: 'EIO', operation: 'remove' });
    const appends = Promise.all(Array.from({ length: 30 }, () => buffer.append(block)));
    const before = rig.world.stepCount;
    expect(await rig.within(10_000, appends)).toBe('pending');
    expect(rig.world.stepCount - before).toBeLessThan(5_000);
    rig.disk.heal();
    expect(await rig.within(10_000, appends)).toBe('resolved');
  });

  it('keeps a segment that only a newer program can judge, and the cursor before it', async () => {
    const rig = await BufferRig.threeSegments();
    const bytes = withNewerVersion(rig.bytes(segmentName(1)));
    rig.plant(segmentName(1), bytes);
    const buffer = await rig.open({ whenFull: 'drop_oldest' });
    expect(await takes(rig, buffer, 30)).toBe(false);
    expect(rig.bytes(segmentName(1))).toEqual(bytes);
    const read = rig.run(buffer.cursor('default').read());
    await expect(read).rejects.toMatchObject({ code: 'SPILLWAY_FORMAT_FEATURE' });
    await rig.close(buffer);
  });

  it('lets a cursor that is reading go on behind what was dropped', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ whenFull: 'drop_oldest' });
    await fill(rig, buffer, 10);
    const cursor = buffer.cursor('default');
    const delivery = await rig.read(cursor);
    expect(await takes(rig, buffer, 20)).toBe(true);
    await rig.append(buffer, 'last');
    delivery.retry(); // Dropped meanwhile: it does not come again.
    const seen = await rig.readTo(cursor, 32);
    expect(seen.at(-1)?.text).toBe('last');
    expect(seen.every(({ id }, at) => at === 0 || id === (seen[at - 1]?.id ?? 0) + 1)).toBe(true);
    expect(seen[0]?.id).toBeGreaterThan(1);
    buffer.recount();
  });
});

describe('drop_oldest and whoever reads', () => {
  it('wakes a read that waits for the window when what fills it is dropped', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ whenFull: 'drop_oldest', maxUnsettledBytes: 60_000 });
    await fill(rig, buffer, 10);
    const cursor = buffer.cursor('default');
    const delivery = await rig.read(cursor);
    const read = cursor.read();
    expect(await rig.within(100, read)).toBe('pending');
    await fill(rig, buffer, 20);
    const next = await rig.run(read);
    expect(next?.records[0]?.id).toBeGreaterThan(1);
    delivery.ack(); // Does nothing, and is no error.
    expect(cursor.counters.acknowledged.events).toBe(0);
    buffer.recount();
  });

  it('takes retries away that belong to what was dropped', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ whenFull: 'drop_oldest' });
    await fill(rig, buffer, 2);
    const cursor = buffer.cursor('default');
    (await rig.read(cursor, { maxRecords: 1 })).retry(60_000);
    await fill(rig, buffer, 25);
    await rig.world.advance(61_000);
    const seen = await rig.readTo(cursor, 28);
    expect(seen[0]?.id).toBeGreaterThan(1);
    expect(cursor.retried).toBe(0);
    buffer.recount();
  });
});

describe('removeCursor', () => {
  it('frees what only that cursor held back, durably', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    buffer.cursor('slow');
    await fill(rig, buffer, 8);
    await rig.readTo(buffer.cursor('default'), 9);
    await rig.world.advance(1_000);
    expect(rig.segments()).toHaveLength(4);
    await rig.run(buffer.removeCursor('slow'));
    rig.crash('none');
    const next = await rig.open();
    expect(next.stats().cursors.map(({ name }) => name)).toEqual(['default']);
    await rig.world.advance(1_000);
    expect(rig.segments().length).toBeLessThanOrEqual(1);
  });
});

/** Both header copies of a version that is to come. */
function withNewerVersion(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (const start of [0, 2048]) {
    const view = new DataView(copy.buffer, start, 68);
    view.setUint16(8, 2, true);
    view.setUint32(64, checksumPortable(copy.subarray(start, start + 64)), true);
  }
  return copy;
}
