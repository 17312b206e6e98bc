// What recovery finds may be in the cache only: a sync that failed marks bytes clean that never reach the disk (A4).

import { expect, it } from 'vitest';
import { BufferRig, bufferPath, segmentName } from '../../test/buffer-rig.ts';

it('makes durable again what a failed sync left in the cache: the frames, and the header before them', async () => {
  const rig = new BufferRig();
  const first = await rig.open({ durability: 'os' });
  rig.disk.faults.inject({ fault: 'EIO', operation: 'sync', path: /\.seg$/, times: 1 });
  await rig.append(first, 'one');
  await expect(rig.run(first.commit())).rejects.toThrow();
  rig.kill();
  rig.disk.heal();
  const second = await rig.open({ durability: 'os' });
  await rig.until(() => second.stats().state === 'open');
  const path = `${bufferPath}/${segmentName(1)}`;
  expect(rig.disk.wouldSurvive(path, 4096, rig.disk.bytesOf(path).length)).toBe(true);
  expect(rig.disk.wouldSurvive(path, 0, 4096)).toBe(true);
  await rig.close(second);
});

it('completes a file whose last frame is whole but for its padding: the next start is clean', async () => {
  const rig = new BufferRig();
  const first = await rig.open();
  await rig.append(first, 'needs padding'); // 12 + 16 bytes of body: four zeros follow.
  rig.kill();
  const whole = rig.bytes(segmentName(1));
  rig.plant(segmentName(1), whole.slice(0, whole.length - 2));
  const second = await rig.open();
  await rig.until(() => second.stats().state === 'open');
  expect(rig.bytes(segmentName(1))).toEqual(whole);
  await rig.close(second);
  const third = await rig.open();
  expect(third.opening.clean).toBe(true);
  expect((await rig.readTo(third.cursor('default'), 2)).map(({ text }) => text)).toEqual(['needs padding']);
  await rig.close(third);
});

it('gives what stands behind a lost header the same keys after the next crash', async () => {
  const rig = new BufferRig();
  const first = await rig.open({ durability: 'os' });
  await rig.append(first, 'one');
  rig.kill();
  const bytes = rig.bytes(segmentName(1));
  rig.plant(segmentName(1), bytes.slice().fill(0, 0, 4096)); // Both copies, before anything was synced.
  const second = await rig.open({ durability: 'sync' });
  const [{ key } = { key: '' }] = await rig.readTo(second.cursor('default'), 2);
  rig.crash('none');
  const third = await rig.open({ durability: 'sync' });
  expect(await rig.readTo(third.cursor('default'), 2)).toMatchObject([{ text: 'one', key }]);
  await rig.close(third);
});
