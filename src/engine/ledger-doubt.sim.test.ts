// A ledger across a failed sync and an open: the slot that is safe is never the one that is written next.
import { expect, test } from 'vitest';
import { SimDisk, SimWorld } from '../testing/index.ts';
import { DiskBuffer } from './disk-buffer.ts';
import { ledgerSlotBytes } from './ledger-slot.ts';

test('what was published stays so when a publish fails, the buffer opens again, and the power is cut', async () => {
  for (let seed = 0; seed < 40; seed++) {
    const world = new SimWorld({ seed });
    const disk = new SimDisk(world);
    const open = async (): Promise<DiskBuffer> => {
      const { fileSystem, clock, random } = disk.start();
      const options = { path: '/data/buffer', closeTimeoutMs: 0 };
      return await world.run(DiskBuffer.open({ ...options, fileSystem, clock, random }));
    };
    const first = await open();
    const cursor = first.cursor('default');
    for (let record = 0; record < 4; record++) {
      await world.run(first.append(new Uint8Array(10)));
      (await world.run(cursor.read()))?.ack();
      await world.advance(500);
    }
    // The bytes of the last publishes reach the cache; no sync of them succeeds.
    disk.faults.inject({ fault: 'EIO', operation: 'sync', path: '/ledger' });
    await world.run(first.append(new Uint8Array(10)));
    (await world.run(cursor.read()))?.ack();
    await world.run(first.close());
    disk.faults.chances = { shortWrite: 1 };
    const second = await open();
    // Of all that no sync has confirmed, the disk has the first piece of the newest write.
    const undecided = disk.undecided().writes.filter(({ path }) => path.endsWith('/ledger'));
    const newest = undecided.findLast(({ from }) => from % ledgerSlotBytes === 0);
    disk.powerCut({ writes: new Set(newest === undefined ? [] : [newest.id]), names: new Set() });
    disk.heal();
    const third = await open();
    expect(third.cursor('default').nextId, `seed ${seed}`).toBeGreaterThanOrEqual(5);
    expect(second.stats().epoch).toBe(first.stats().epoch + 1);
  }
});
