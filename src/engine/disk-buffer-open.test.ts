// Opening: what is refused on purpose, and that nothing else is.

import { describe, expect, it } from 'vitest';
import { BufferRig, bufferPath, bytesOf, MiB, segmentName } from '../../test/buffer-rig.ts';
import { checksumPortable } from '../base/checksum.ts';
import { SimDisk, SimWorld } from '../testing/index.ts';

/** A directory with three records that a killed process left. */
async function leftBehind(publishedMs = 0): Promise<BufferRig> {
  const rig = new BufferRig();
  const buffer = await rig.open();
  await rig.appendFrames(buffer, 'one', 'two', 'three');
  await rig.world.advance(publishedMs);
  rig.crash('all');
  return rig;
}

describe('refused on purpose', () => {
  it('a directory that another process holds, after the time it was told to wait', async () => {
    const rig = new BufferRig();
    await rig.open();
    const { fileSystem, clock, random } = rig.disk.start();
    const second = rig.opening({ fileSystem, clock, random, lockTimeoutMs: 500 });
    expect(await rig.within(400, second)).toBe('pending');
    await expect(rig.run(second)).rejects.toMatchObject({ kind: 'locked' });
  });

  it('a directory that this process holds already, at once', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await expect(rig.open()).rejects.toMatchObject({ kind: 'locked' });
    expect(rig.world.timeMs).toBeLessThan(1_000);
    await rig.close(buffer);
    await rig.close(await rig.open());
  });

  it('gives the lock to a successor that waits', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const { fileSystem, clock, random } = rig.disk.start();
    const second = rig.opening({ fileSystem, clock, random });
    expect(await rig.within(1_000, second)).toBe('pending');
    await rig.close(buffer);
    expect((await rig.run(second)).stats().epoch).toBe(1);
  });

  it.each(['lock', 'ledger', 'holder', segmentName(1), 'quarantine'])('a link in the place of %s', async (name) => {
    const rig = new BufferRig();
    rig.disk.plantDirectory(bufferPath);
    rig.disk.plantFile('/data/elsewhere', bytesOf('precious'));
    rig.disk.plantLink(`${bufferPath}/${name}`, '/data/elsewhere');
    await expect(rig.open()).rejects.toMatchObject({ kind: 'unsafe' });
    expect(rig.disk.bytesOf('/data/elsewhere')).toEqual(bytesOf('precious'));
  });

  it.each(['', '/ledger', `/${segmentName(1)}`, '/quarantine'])('world-writable: the directory%s', async (name) => {
    const rig = await leftBehind();
    rig.disk.plantDirectory(`${bufferPath}/quarantine`);
    rig.disk.setWorldWritable(`${bufferPath}${name}`, true);
    await expect(rig.open()).rejects.toMatchObject({ kind: 'unsafe' });
    rig.disk.setWorldWritable(`${bufferPath}${name}`, false);
    expect((await rig.open()).stats().backlog.events).toBe(3);
  });

  it('a path that is a link or a file', async () => {
    const rig = new BufferRig();
    rig.disk.plantDirectory('/data/real');
    rig.disk.plantLink(bufferPath, '/data/real');
    await expect(rig.open()).rejects.toMatchObject({ kind: 'unsafe' });
    rig.disk.plantFile('/data/file', bytesOf('x'));
    await expect(rig.open({ path: '/data/file' })).rejects.toMatchObject({ kind: 'unsafe' });
  });

  it('a lock file with foreign bytes', async () => {
    const rig = new BufferRig();
    rig.disk.plantDirectory(bufferPath);
    rig.plant('lock', bytesOf('not a lock of ours, and long enough to be told from an empty one'));
    await expect(rig.open()).rejects.toMatchObject({ kind: 'lock_foreign' });
  });

  it('a ledger of a newer version, and changes nothing', async () => {
    const rig = await leftBehind();
    const before = rig.bytes('ledger');
    const newer = newerSlot(rig.bytes('ledger'));
    rig.plant('ledger', newer);
    await expect(rig.open()).rejects.toMatchObject({ code: 'SPILLWAY_FORMAT_VERSION' });
    expect(rig.bytes('ledger')).toEqual(newer);
    rig.plant('ledger', before);
    expect((await rig.open()).stats().backlog.events).toBe(3);
  });

  it.each([0, 512, 1024, 4096, 8192, 12_288])(
    'a first open with room for %i bytes only, and leaves no lock',
    async (room) => {
      const world = new SimWorld({ seed: 1 });
      const disk = new SimDisk(world);
      const rig = new BufferRig({ disk });
      disk.capacityBytes = disk.usedBytes + room;
      const opening = rig.opening();
      expect(await rig.within(60_000, opening)).toBe('rejected');
      await expect(opening).rejects.toMatchObject({ kind: 'full' });
      expect(disk.openFileCount(rig.process)).toBe(0);
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      await rig.close(await rig.open());
    },
  );

  it('an operating system that refuses access', async () => {
    const rig = await leftBehind();
    rig.disk.faults.inject({ fault: 'EACCES', operation: 'open', path: 'ledger' });
    await expect(rig.open()).rejects.toMatchObject({ kind: 'denied' });
    rig.disk.heal();
    expect((await rig.open()).stats().backlog.events).toBe(3);
  });
});

describe('never refused', () => {
  it('an unclean directory on a full disk: everything there can be read', async () => {
    const rig = await leftBehind();
    rig.disk.capacityBytes = rig.disk.usedBytes;
    const buffer = await rig.open();
    expect((await rig.readTo(buffer.cursor('default'), 4)).map(({ text }) => text)).toEqual(['one', 'two', 'three']);
  });

  it.each([
    [1, 0],
    [0, 1],
  ])('a ledger with %i whole slots that can be written %i times more', async (slots, skip) => {
    const rig = await leftBehind();
    rig.plant('ledger', rig.bytes('ledger').slice(0, 8192 * slots));
    rig.disk.faults.inject({ fault: 'ENOSPC', operation: 'write', path: 'ledger', skip });
    const buffer = await rig.open();
    const append = rig.within(5_000, buffer.append(bytesOf('four')));
    expect(await append).toBe('pending');
    rig.disk.heal();
    await rig.world.advance(20_000);
    expect(buffer.stats().frontiers.durable).toBe(5);
  });

  it('a maxBytes below what is on disk: full until it has drained', async () => {
    const rig = new BufferRig();
    const first = await rig.open({ maxBytes: 4 * MiB });
    for (let count = 0; count < 40; count++) await rig.run(first.append(new Uint8Array(50_000)));
    await rig.close(first);
    const buffer = await rig.open({ maxBytes: MiB, whenFull: 'reject' });
    expect(buffer.stats().disk.headroomBytes).toBe(0);
    await expect(rig.run(buffer.append(bytesOf('x')))).rejects.toMatchObject({ kind: 'full' });
    await rig.readTo(buffer.cursor('default'), 41);
    await rig.world.advance(1_000);
    await rig.append(buffer, 'x');
    await rig.close(buffer);
  });

  it('a quarantine that cannot be listed', async () => {
    const rig = await leftBehind();
    rig.disk.plantDirectory(`${bufferPath}/quarantine`);
    rig.disk.faults.inject({ fault: 'EIO', operation: 'list', path: 'quarantine' });
    expect((await rig.open()).stats().backlog.events).toBe(3);
  });

  it('a directory named like a segment: it stays, and its number is not used', async () => {
    const rig = await leftBehind();
    rig.disk.plantDirectory(`${bufferPath}/${segmentName(2)}`);
    const buffer = await rig.open();
    await rig.append(buffer, 'four');
    expect(rig.names()).toContain(segmentName(3));
    expect(await rig.readTo(buffer.cursor('default'), 5)).toHaveLength(4);
    await rig.close(buffer);
    expect(rig.names()).toContain(segmentName(2));
  });
});

describe('closed at once', () => {
  it('waits for the repairs before it gives the directory back', async () => {
    const rig = await leftBehind(500); // The ledger knows everything but the torn frame.
    const torn = Buffer.concat([rig.bytes(segmentName(1)), bytesOf('torn')]);
    rig.plant(segmentName(1), torn);
    rig.disk.faults.inject({ fault: 'ENOSPC', operation: 'truncate', times: 2 });
    const buffer = await rig.open();
    const failures: unknown[] = [];
    buffer.events.on('failed', ({ cause }) => failures.push(cause));
    await rig.close(buffer);
    expect(rig.disk.openFileCount(rig.process)).toBe(0);
    const calls = rig.disk.callCount;
    await rig.world.drain();
    expect([failures, rig.disk.callCount]).toEqual([[], calls]);
    expect((await rig.open()).stats()).toMatchObject({ epoch: 2, backlog: { events: 3 } });
  });

  it('gives a disk without room closeTimeoutMs, and then gives up', async () => {
    const rig = await leftBehind();
    rig.plant(segmentName(1), Buffer.concat([rig.bytes(segmentName(1)), bytesOf('torn')]));
    rig.disk.faults.inject({ fault: 'ENOSPC', operation: 'truncate' });
    const buffer = await rig.open({ closeTimeoutMs: 700 });
    const closing = buffer.close();
    expect(await rig.within(600, closing)).toBe('pending');
    expect(await rig.within(300, closing)).not.toBe('pending');
    expect(rig.disk.openFileCount(rig.process)).toBe(0);
  });
});

describe('the epoch', () => {
  it.each(['EIO', 'ENOSPC'] as const)('holds back repairs and appends until the ledger has it (%s)', async (fault) => {
    const rig = await leftBehind();
    const torn = rig.bytes(segmentName(1));
    rig.plant(segmentName(1), Buffer.concat([torn, bytesOf('a torn frame, not a multiple of 8')]));
    const before = rig.bytes(segmentName(1));
    rig.disk.faults.inject({ fault, operation: ['write', 'sync'], path: 'ledger' });
    const buffer = await rig.open();
    const append = buffer.append(bytesOf('four'));
    expect(await rig.within(5_000, append)).toBe('pending');
    expect(rig.bytes(segmentName(1))).toEqual(before);
    expect(rig.segments()).toEqual([segmentName(1)]);
    rig.disk.heal();
    await rig.run(append);
    expect(rig.bytes(segmentName(1))).toEqual(torn);
    await rig.close(buffer);
  });

  it('grows at every open that was not clean, and only then', async () => {
    const rig = new BufferRig();
    const epochs: number[] = [];
    for (const end of ['close', 'kill', 'kill', 'close', 'close', 'kill'] as const) {
      const buffer = await rig.open();
      epochs.push(buffer.stats().epoch);
      await rig.append(buffer, end);
      if (end === 'close') await rig.close(buffer);
      else rig.kill();
    }
    expect(epochs).toEqual([1, 1, 2, 3, 3, 3]);
  });
});

/** The same ledger, as if written by format version 2. */
function newerSlot(ledger: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(ledger);
  const view = new DataView(bytes.buffer);
  const length = view.getUint32(8, true);
  const json = new TextDecoder().decode(bytes.subarray(24, 24 + length));
  bytes.set(bytesOf(json.replace('"formatVersion":1', '"formatVersion":2')), 24);
  view.setUint32(4, checksumPortable(bytes.subarray(8, 24 + length)), true);
  return bytes;
}
