import { describe, expect, test } from 'vitest';
import { fileSystemCases } from './conformance/file-system-conformance.ts';
import { SimDisk } from './sim-disk.ts';
import { SimWorld } from './sim-world.ts';

describe.each(['a healthy disk', 'a disk with short and slow transfers'])('%s', (disks) => {
  describe.each([1, 2, 3, 4, 5])('seed %i', (seed) => {
    for (const { name, run } of fileSystemCases) {
      test(name, async () => {
        const world = new SimWorld({ seed });
        const disk = new SimDisk(world);
        if (disks !== 'a healthy disk') disk.faults.chances = { shortRead: 0.3, shortWrite: 0.3, slow: 0.1 };
        const { fileSystem } = disk.start();
        const otherProcess = disk.start().fileSystem;
        const makeLink = (path: string, target: string): void => disk.plantLink(path, target);
        await world.run(run({ fileSystem, otherProcess, directory: '/data', isSparse: true, makeLink }));
        expect(disk.paths()).toContain('/data');
      });
    }
  });
});
