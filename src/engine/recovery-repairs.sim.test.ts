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
