// Copies of damaged bytes: once per place, within their budget, and never a reason for anything else to fail.
import { describe, expect, test } from 'vitest';
import { payloadOf } from '../../test/segment-bytes.ts';
import { type IoCall, SimDisk, type SimDiskOptions, type SimProcess, SimWorld } from '../testing/index.ts';
import { EventHub } from './events.ts';
import { Quarantine } from './segment-quarantine.ts';

const directory = '/data/buffer';
const segment = `${directory}/0000000000000003.seg`;
const bytes = payloadOf(100_000);

class Rig {
  readonly world: SimWorld;
  readonly disk: SimDisk;
  process: SimProcess;
  readonly kept: { path: string; byteLength: number }[] = [];
  quarantine: Quarantine;
  spaceLeft = 1_000_000;
  bytesMax: number;

  constructor({
    bytesMax = 50_000,
    seed = 1,
    disk = {},
  }: { bytesMax?: number; seed?: number; disk?: SimDiskOptions } = {}) {
    this.bytesMax = bytesMax;
    this.world = new SimWorld({ seed });
    this.disk = new SimDisk(this.world, { directories: [directory], ...disk });
    this.disk.plantFile(segment, bytes);
    this.process = this.disk.start();
    this.quarantine = this.make();
  }

  make(): Quarantine {
    const events = new EventHub();
    events.on('quarantined', (copy) => this.kept.push(copy));
    const { fileSystem } = this.process;
    const { bytesMax } = this;
    return new Quarantine({ fileSystem, events, directory, bytesMax, spaceLeft: () => this.spaceLeft });
  }

  async keep(from: number, to: number): Promise<void> {
    await this.world.run(this.quarantine.keep(segment, from, to));
  }

  copies(): string[] {
    return this.disk.paths().filter((path) => path.startsWith(`${directory}/quarantine/`));
  }
}

const copyPath = (from: number, byteLength: number): string =>
  `${directory}/quarantine/0000000000000003.seg-${from}-${byteLength}`;

test('a copy holds the bytes, under a name that says where they stood', async () => {
  const rig = new Rig();
  await rig.keep(5000, 7500);
  expect(rig.copies()).toEqual([copyPath(5000, 2500)]);
  expect(rig.disk.bytesOf(copyPath(5000, 2500))).toEqual(bytes.subarray(5000, 7500));
  expect(rig.kept).toEqual([{ path: copyPath(5000, 2500), byteLength: 2500 }]);
  expect(rig.quarantine.byteLength).toBe(2500);
  expect(rig.disk.openFileCount(rig.process)).toBe(0);
});

test('F25: a copy survives a power cut, name and directory included, once keep has resolved', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const rig = new Rig({ seed });
    await rig.keep(0, 20_000);
    rig.disk.powerCut();
    expect(rig.copies()).toEqual([copyPath(0, 20_000)]);
    expect(rig.disk.bytesOf(copyPath(0, 20_000))).toEqual(bytes.subarray(0, 20_000));
  }
});

describe('once per place', () => {
  test('also when it is asked for many times at once', async () => {
    const rig = new Rig();
    await rig.world.run(Promise.all(Array.from({ length: 5 }, () => rig.quarantine.keep(segment, 0, 100))));
    expect(rig.kept).toHaveLength(1);
  });

  test('also in the next run', async () => {
    const rig = new Rig();
    await rig.keep(0, 100);
    rig.quarantine = rig.make();
    await rig.world.run(rig.quarantine.open());
    expect(rig.quarantine.byteLength).toBe(100);
    await rig.keep(0, 100);
    await rig.keep(100, 200);
    expect(rig.kept).toHaveLength(2);
    expect(rig.quarantine.byteLength).toBe(200);
  });
});

describe('its budget', () => {
  test('is never passed, not even while a copy is being made', async () => {
    const rig = new Rig({ bytesMax: 10_000 });
    const all = Promise.all([0, 4000, 8000, 12_000].map((from) => rig.quarantine.keep(segment, from, from + 4000)));
    let settled = false;
    void all.then(() => {
      settled = true;
    });
    while (!settled) {
      await rig.world.step();
      expect(rig.disk.bytesBelow(`${directory}/quarantine`)).toBeLessThanOrEqual(10_000);
      expect(rig.disk.bytesBelow(`${directory}/quarantine`)).toBeLessThanOrEqual(rig.quarantine.byteLength);
    }
    expect(rig.copies()).toHaveLength(2);
    await rig.keep(50_000, 52_000); // What is smaller still fits.
    expect(rig.quarantine.byteLength).toBe(10_000);
  });

  test('ends where the room of the whole buffer ends', async () => {
    const rig = new Rig();
    rig.spaceLeft = 999;
    await rig.keep(0, 1000);
    expect(rig.copies()).toEqual([]);
    expect(rig.disk.has(`${directory}/quarantine`)).toBe(false);
    await rig.keep(0, 999);
    expect(rig.copies()).toHaveLength(1);
  });
});

describe('what goes wrong', () => {
  const operations: IoCall['operation'][] = [
    'make directory',
    'create',
    'open',
    'read',
    'write',
    'sync',
    'sync directory',
  ];
  test.each(operations)('with `%s` ends this copy and nothing else', async (operation) => {
    const rig = new Rig();
    rig.disk.faults.inject({ fault: 'EIO', operation, times: 1 });
    await rig.keep(0, 1000);
    expect(rig.kept).toEqual([]);
    expect(rig.quarantine.byteLength).toBe(rig.disk.bytesBelow(`${directory}/quarantine`));
    await rig.keep(2000, 3000);
    expect(rig.kept).toHaveLength(1);
    expect(rig.disk.openFileCount(rig.process)).toBe(0);
  });

  test('a full disk: the copy is taken away again', async () => {
    const rig = new Rig({ disk: { capacityBytes: 110_000 } });
    await rig.keep(0, 40_000);
    expect(rig.kept).toEqual([]);
    expect(rig.copies()).toEqual([]);
    expect(rig.quarantine.byteLength).toBe(0);
  });

  test('a copy that can neither be made nor removed goes on counting', async () => {
    const rig = new Rig();
    rig.disk.faults.inject({ fault: 'EIO', operation: ['sync', 'remove'] });
    await rig.keep(0, 1000);
    expect(rig.quarantine.byteLength).toBe(1000);
  });

  test('a directory that cannot be listed, or is none, is no reason not to start', async () => {
    const rig = new Rig();
    await rig.keep(0, 1000);
    rig.disk.faults.inject({ fault: 'EACCES', operation: 'list' });
    rig.quarantine = rig.make();
    await rig.world.run(rig.quarantine.open());
    const other = new Rig();
    other.disk.plantFile(`${directory}/quarantine`, Uint8Array.of(1));
    await other.world.run(other.quarantine.open());
    await other.keep(0, 1000);
    expect(other.kept).toEqual([]);
  });
});

test('short reads and writes make no difference', async () => {
  const rig = new Rig();
  rig.disk.faults.chances = { shortRead: 0.8, shortWrite: 0.8 };
  await rig.keep(10, 9000);
  expect(rig.disk.bytesOf(copyPath(10, 8990))).toEqual(bytes.subarray(10, 9000));
});
