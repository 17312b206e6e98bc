import { expect, test } from 'vitest';
import { BufferRig } from '../../test/buffer-rig.ts';
import type { DiskBuffer } from './disk-buffer.ts';
import type { BufferEvents } from './events.ts';

interface Heard {
  readonly committed: BufferEvents['committed'][];
  readonly synced: BufferEvents['synced'][];
}

function listen(buffer: DiskBuffer): Heard {
  const heard: Heard = { committed: [], synced: [] };
  buffer.events.on('committed', (group) => heard.committed.push(group));
  buffer.events.on('synced', (sync) => heard.synced.push(sync));
  return heard;
}

test('those who share a sync are one group, which waited as long as its first', async () => {
  const rig = new BufferRig();
  const buffer = await rig.open();
  const heard = listen(buffer);
  const startMs = rig.world.timeMs;
  await rig.append(buffer, 'one', 'two', 'three');
  const passedMs = rig.world.timeMs - startMs;
  expect(heard.committed).toHaveLength(1);
  const [group] = heard.committed;
  expect(group?.records).toBe(3);
  expect(group?.waitedMs).toBeCloseTo(passedMs, 3);
  expect(group?.tookMs).toBeLessThan(group?.waitedMs ?? 0);
  expect(heard.synced).toMatchObject([{ events: 3, bytes: 11 }]);
  expect(heard.synced[0]?.tookMs).toBeGreaterThan(0);
  expect(heard.synced[0]?.tookMs).toBeLessThan(group?.tookMs ?? 0);
});

test('every record is in one group, whatever the load', async () => {
  const rig = new BufferRig();
  const buffer = await rig.open({ durability: 'sync' });
  const heard = listen(buffer);
  for (let round = 0; round < 20; round++) {
    for (let at = 0; at < 50; at++) {
      const payload = new Uint8Array(round * at);
      if (buffer.tryAppend(payload) !== 'accepted') await rig.run(buffer.append(payload));
    }
    if (round % 3 === 0) await rig.run(buffer.commit());
  }
  await rig.run(buffer.commit());
  const records = heard.committed.reduce((sum, group) => sum + group.records, 0);
  const synced = heard.synced.reduce((sum, { events }) => sum + events, 0);
  expect([records, synced]).toEqual([1_000, 1_000]);
  for (const { waitedMs, tookMs } of heard.committed) expect(waitedMs).toBeGreaterThanOrEqual(tookMs);
});

test('in `interval` a group is a write, and syncs come by themselves', async () => {
  const rig = new BufferRig();
  const buffer = await rig.open({ durability: 'interval', syncIntervalMs: 100 });
  const heard = listen(buffer);
  await rig.append(buffer, 'one');
  await rig.append(buffer, 'two');
  expect(heard.committed).toMatchObject([{ records: 1 }, { records: 1 }]);
  expect(heard.synced).toEqual([]);
  await rig.world.advance(200);
  expect(heard.synced).toMatchObject([{ events: 2, bytes: 6 }]);
});
