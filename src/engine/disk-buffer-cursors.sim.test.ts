// Cursors that come, go and lag while segments are freed under them, on the simulated disk.
import { describe, expect, test } from 'vitest';
import { KiB, MiB } from '../base/units.ts';
import { type SimDisk as Disk, SimDisk, type SimProcess, SimWorld } from '../testing/index.ts';
import { DiskBuffer } from './disk-buffer.ts';
import type { DiskBufferOptions } from './limits.ts';

async function openBuffer(
  options: Partial<DiskBufferOptions> = {},
): Promise<{ world: SimWorld; disk: Disk; process: SimProcess; buffer: DiskBuffer }> {
  const world = new SimWorld({ seed: 1 });
  const disk = new SimDisk(world);
  const process = disk.start();
  const { fileSystem, clock, random } = process;
  const sizes = { maxBytes: MiB, segmentBytes: 128 * KiB };
  const buffer = await world.run(
    DiskBuffer.open({ path: '/data/buffer', fileSystem, clock, random, ...sizes, ...options }),
  );
  return { world, disk, process, buffer };
}

/** Appends records of 8 KiB. */
async function fill(world: SimWorld, buffer: DiskBuffer, count: number): Promise<void> {
  for (let done = 0; done < count; done++) await world.run(buffer.append(new Uint8Array(8 * KiB)));
}

/** Acknowledges this many events of a cursor. */
async function acknowledge(world: SimWorld, buffer: DiskBuffer, count: number): Promise<void> {
  const cursor = buffer.cursor('default');
  for (let done = 0; done < count; ) {
    const delivery = await world.run(cursor.read({ maxRecords: count - done }));
    done += delivery?.records.length ?? 0;
    delivery?.ack();
  }
}

describe('a new cursor', () => {
  test('does not begin in a segment whose file is being removed', async () => {
    const { world, disk, buffer } = await openBuffer();
    await fill(world, buffer, 30);
    await acknowledge(world, buffer, 20);
    const lost: unknown[] = [];
    buffer.events.on('lost', (loss) => lost.push(loss));
    await world.run(() => disk.calls.at(-1)?.operation === 'remove');
    const late = buffer.cursor('late', { from: 'oldest' });
    const delivery = await world.run(late.read());
    expect(lost).toEqual([]);
    expect(delivery?.records[0]?.id).toBe(late.nextId);
    expect(late.nextId).toBeGreaterThan(1);
  });
});

describe('a cursor that has passed a segment', () => {
  test('reads on while the file of that segment is being removed', async () => {
    const { world, disk, process, buffer } = await openBuffer();
    await fill(world, buffer, 30);
    await acknowledge(world, buffer, 15);
    await world.run(buffer.close());
    const { fileSystem, clock, random } = process;
    const again = await world.run(
      DiskBuffer.open({ path: '/data/buffer', maxBytes: MiB, segmentBytes: 128 * KiB, fileSystem, clock, random }),
    );
    const before = again.cursor('default').nextId;
    again.cursor('late', { from: 'newest' }); // A reason to publish twice.
    await world.run(() => disk.calls.at(-1)?.operation === 'remove');
    const delivery = await world.run(again.cursor('default').read());
    expect(delivery?.records[0]?.id).toBe(before);
  });
});

describe('a buffer whose ledger cannot be written', () => {
  test('closes all the same, drained as far as it can be read, and answers whoever waits', async () => {
    const { world, disk, process, buffer } = await openBuffer();
    await world.run(buffer.append(new Uint8Array(100)));
    disk.killProcess(process);
    disk.faults.inject({ fault: 'EIO', operation: 'write', path: '/ledger' });
    const { fileSystem, clock, random } = disk.start();
    const again = await world.run(DiskBuffer.open({ path: '/data/buffer', fileSystem, clock, random }));
    const commit = again.commit();
    const refused = expect(commit).rejects.toMatchObject({ code: 'SPILLWAY_USAGE_CLOSED' });
    await world.run(again.close({ drain: true }), { stepsMax: 10_000 });
    await refused;
  });
});

describe('a seal behind damaged records', () => {
  test('is not held: a cursor that may hold one frame only reads on', async () => {
    const { world, disk, buffer, process } = await openBuffer();
    await fill(world, buffer, 30);
    await world.run(buffer.close());
    const path = '/data/buffer/0000000000000001.seg';
    disk.flipBits(path, disk.bytesOf(path).length - 1_000); // The last record; behind it stands the seal.
    const { fileSystem, clock, random } = process;
    const options = { path: '/data/buffer', maxBytes: MiB, segmentBytes: 128 * KiB, maxUnsettledBytes: 1 };
    const again = await world.run(DiskBuffer.open({ ...options, fileSystem, clock, random }));
    await acknowledge(world, again, 29);
    expect(again.stats().cursors[0]).toMatchObject({ nextId: 31, unsettledBytes: 0 });
  });
});
