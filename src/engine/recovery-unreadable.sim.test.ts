// Opening a buffer on a disk that does not answer for a while: what cannot be read now is not taken for lost.
import { expect, test } from 'vitest';
import { SimDisk, type SimProcess, SimWorld } from '../testing/index.ts';
import { DiskBuffer } from './disk-buffer.ts';

function open(world: SimWorld, { fileSystem, clock, random }: SimProcess): Promise<DiskBuffer> {
  return world.run(DiskBuffer.open({ path: '/data/buffer', fileSystem, clock, random }));
}

async function killedWithOneRecord(): Promise<{ world: SimWorld; disk: SimDisk; uuid: string }> {
  const world = new SimWorld({ seed: 1 });
  const disk = new SimDisk(world);
  const process = disk.start();
  const buffer = await open(world, process);
  await world.run(buffer.append(new Uint8Array(100)));
  disk.killProcess(process);
  return { world, disk, uuid: buffer.stats().uuid };
}

test('a disk that answers no read makes the open fail, and not begin a new buffer', async () => {
  const { world, disk, uuid } = await killedWithOneRecord();
  disk.faults.inject({ fault: 'EIO', operation: 'read' });
  await expect(open(world, disk.start())).rejects.toMatchObject({ kind: 'io' });
  disk.heal();
  const buffer = await open(world, disk.start());
  expect(buffer.stats()).toMatchObject({ uuid, frontiers: { reserved: 2 } });
});

test('a ledger that can be read at the third try keeps its cursors', async () => {
  const { world, disk } = await killedWithOneRecord();
  const process = disk.start();
  const buffer = await open(world, process);
  buffer.cursor('late', { from: 'newest' });
  await world.advance(500);
  await world.run(buffer.close());
  disk.faults.inject({ fault: 'EIO', operation: 'read', path: '/ledger', times: 2 });
  const again = await open(world, disk.start());
  expect(again.stats().cursors.map(({ name, nextId }) => `${name} ${nextId}`)).toEqual(['default 1', 'late 2']);
});
