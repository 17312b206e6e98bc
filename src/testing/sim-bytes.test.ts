// What a power cut leaves of bytes: each rule about durability, and each assumption switched off.
import { describe, expect, test } from 'vitest';
import type { FileHandle } from '../platform/file-system.ts';
import { SimDisk, type SimDiskOptions, type SimProcess, SimWorld, type Survivors } from './index.ts';

const path = '/data/a';
const sector = 512;

type Machine = {
  readonly world: SimWorld;
  readonly disk: SimDisk;
  readonly process: SimProcess;
  readonly file: FileHandle;
};

/** A machine with one file, `length` bytes of `old` in it, all durable. */
async function makeMachine(seed: number | string, length: number, options: SimDiskOptions = {}): Promise<Machine> {
  const world = new SimWorld({ seed });
  const disk = new SimDisk(world, options);
  disk.plantFile(path, filled('o', length));
  const process = disk.start();
  return { world, disk, process, file: await world.run(process.fileSystem.open(path, 'read_write')) };
}

function filled(letter: string, length: number): Uint8Array {
  return new Uint8Array(length).fill(letter.charCodeAt(0));
}

function textOf(disk: SimDisk): string {
  return new TextDecoder().decode(disk.bytesOf(path));
}

/** What is left after as many power cuts from this very moment, each on a copy of the disk. */
function outcomes(disk: SimDisk, count = 200, survivors: Survivors = 'random'): string[] {
  return Array.from({ length: count }, (_, seed) => {
    const copy = disk.clone(new SimWorld({ seed }));
    copy.powerCut(survivors);
    return textOf(copy);
  });
}

/** One letter for each sector, `*` where a sector is mixed. */
function sectorsOf(text: string): string {
  return (text.match(/.{1,512}/gs) ?? []).map((part) => (new Set(part).size === 1 ? part[0] : '*')).join('');
}

describe('an unsynced write', () => {
  test('is seen by every live process, and may be kept, lost or torn by sector in any combination', async () => {
    const { world, disk, file } = await makeMachine(1, 3 * sector);
    await world.run(file.write(filled('n', 3 * sector), 0));
    expect(sectorsOf(textOf(disk))).toBe('nnn');
    const found = new Set(outcomes(disk).map(sectorsOf));
    expect(found).toEqual(new Set(['ooo', 'oon', 'ono', 'onn', 'noo', 'non', 'nno', 'nnn']));
  });

  test('survives the death of its process', async () => {
    const { world, disk, process, file } = await makeMachine(1, sector);
    await world.run(file.write(filled('n', sector), 0));
    disk.killProcess(process);
    expect(sectorsOf(textOf(disk))).toBe('n');
  });

  test('all of them survive or none, when the test says so', async () => {
    const { world, disk, file } = await makeMachine(1, 2 * sector);
    await world.run(file.write(filled('n', 4 * sector), 0));
    expect(new Set(outcomes(disk, 5, 'all').map(sectorsOf))).toEqual(new Set(['nnnn']));
    expect(new Set(outcomes(disk, 5, 'none').map(sectorsOf))).toEqual(new Set(['oo']));
  });

  test('exactly those survive that the test names', async () => {
    const { world, disk, file } = await makeMachine(1, 3 * sector);
    for (const letter of ['a', 'b', 'c']) {
      await world.run(file.write(filled(letter, sector), 'abc'.indexOf(letter) * sector));
    }
    const [a, , c] = disk.undecided().writes;
    const writes = new Set([a?.id ?? 0, c?.id ?? 0]);
    expect(outcomes(disk, 1, { writes, names: new Set() }).map(sectorsOf)).toEqual(['aoc']);
  });

  test('two writes to one sector leave it as the cache held it at some moment', async () => {
    const { world, disk, file } = await makeMachine(1, sector);
    await world.run(file.write(filled('1', 200), 0));
    await world.run(file.write(filled('2', 200), 100));
    const before = 'o'.repeat(512);
    const first = '1'.repeat(200) + 'o'.repeat(312);
    const both = '1'.repeat(100) + '2'.repeat(200) + 'o'.repeat(212);
    expect(new Set(outcomes(disk))).toEqual(new Set([before, first, both]));
  });

  test('a sector that is written again with the same prefix keeps the prefix (A3)', async () => {
    const { world, disk, file } = await makeMachine(1, 100);
    await world.run(file.write(filled('n', 300), 100));
    for (const text of outcomes(disk)) expect(text.startsWith('o'.repeat(100))).toBe(true);
    expect(disk.wouldSurvive(path, 0, 100)).toBe(true);
    expect(disk.wouldSurvive(path, 0, 101)).toBe(false);
  });
});

describe('the length of a file', () => {
  test('may grow without its data, which then are zeros, and data may be there without the length', async () => {
    const { world, disk, file } = await makeMachine(1, sector);
    await world.run(file.write(filled('n', 2 * sector), sector));
    const found = new Set(outcomes(disk).map(sectorsOf));
    for (const expected of ['o', 'o\0', 'on', 'o\0\0', 'o\0n', 'on\0', 'onn']) expect(found).toContain(expected);
    for (const text of found) expect(text).toMatch(/^o[n\0]{0,2}$/);
  });

  test('shows garbage instead of zeros on a disk that does so, but only where nothing was', async () => {
    const { world, disk, file } = await makeMachine(1, 100, { holes: 'garbage' });
    await world.run(file.write(filled('n', 2 * sector), 100));
    const found = outcomes(disk);
    expect(found.some((text) => /[^on\0]/.test(text))).toBe(true);
    for (const text of found) expect(text.slice(0, 512)).toMatch(/^o{100}(n{412}|\0*)$/);
  });

  test('never shows garbage over what a kept write has left in the same sector', async () => {
    const { world, disk, file } = await makeMachine(1, sector, { holes: 'garbage' });
    await world.run(file.write(filled('1', 100), sector));
    await world.run(file.write(filled('2', 100), sector + 100));
    const kept = outcomes(disk).filter((text) => text.startsWith('1'.repeat(100), sector));
    expect(new Set(kept.map((text) => text.slice(sector + 100)))).toEqual(
      new Set(['', '\0'.repeat(100), '2'.repeat(100)]),
    );
  });

  test('is kept or lost with an unsynced truncate, and a cut never shows again what was cut', async () => {
    const { world, disk, file } = await makeMachine(1, 2 * sector);
    await world.run(file.truncate(100));
    await world.run(file.truncate(2 * sector));
    const before = 'o'.repeat(1024);
    const cut = 'o'.repeat(100);
    expect(new Set(outcomes(disk))).toEqual(new Set([before, cut, cut.padEnd(1024, '\0')]));
    expect(disk.wouldSurvive(path, 0, 100)).toBe(true);
    expect(disk.wouldSurvive(path, 0, 101)).toBe(false);
    await world.run(file.syncData());
    expect(new Set(outcomes(disk))).toEqual(new Set([cut.padEnd(1024, '\0')]));
  });
});

describe('a sync that succeeds', () => {
  test('makes durable what had returned before it was called, bytes and length', async () => {
    const { world, disk, file } = await makeMachine(1, sector);
    await world.run(file.write(filled('n', 3 * sector), 0));
    expect(disk.wouldSurvive(path, 0, 1)).toBe(false);
    await world.run(file.syncData());
    expect(disk.wouldSurvive(path, 0, 3 * sector)).toBe(true);
    expect(new Set(outcomes(disk).map(sectorsOf))).toEqual(new Set(['nnn']));
    expect(disk.undecided().writes).toEqual([]);
  });

  test('leaves undecided what was still in flight when it was called', async () => {
    const fates = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const { world, disk, file } = await makeMachine(seed, sector);
      const writing = file.write(filled('n', sector), 0);
      await world.run(Promise.all([file.syncData(), writing]));
      expect(disk.wouldSurvive(path, 0, sector)).toBe(false);
      for (const text of outcomes(disk, 20)) fates.add(sectorsOf(text));
    }
    expect(fates).toEqual(new Set(['o', 'n']));
  });

  test('of one file says nothing about another', async () => {
    const { world, disk, process, file } = await makeMachine(1, sector);
    disk.plantFile('/data/b', filled('o', sector));
    const other = await world.run(process.fileSystem.open('/data/b', 'read_write'));
    await world.run(file.write(filled('n', sector), 0));
    await world.run(other.syncData());
    expect(disk.wouldSurvive(path, 0, sector)).toBe(false);
  });

  test('through any handle of the file counts', async () => {
    const { world, disk, process, file } = await makeMachine(1, sector);
    const other = await world.run(process.fileSystem.open(path, 'read'));
    await world.run(file.write(filled('n', sector), 0));
    await world.run(other.syncData());
    expect(disk.wouldSurvive(path, 0, sector)).toBe(true);
  });

  test('closing is none', async () => {
    const { world, disk, file } = await makeMachine(1, sector);
    await world.run(file.write(filled('n', sector), 0));
    await world.run(file.close());
    expect(disk.wouldSurvive(path, 0, sector)).toBe(false);
  });
});

describe('a sync that fails (A4)', () => {
  async function withFailedSync(seed: number): Promise<Machine> {
    const machine = await makeMachine(seed, 2 * sector);
    const { world, disk, file } = machine;
    await world.run(file.write(filled('n', 2 * sector), 0));
    disk.faults.inject({ operation: 'sync', fault: 'EIO', times: 1 });
    await expect(world.run(file.syncData())).rejects.toMatchObject({ kind: 'io', operation: 'sync' });
    return machine;
  }

  test('leaves bytes in sight that no later sync makes durable', async () => {
    const { world, disk, file } = await withFailedSync(1);
    await world.run(file.syncData());
    expect(sectorsOf(textOf(disk))).toBe('nn');
    expect(disk.wouldSurvive(path, 0, 1)).toBe(false);
    expect(new Set(outcomes(disk).map(sectorsOf))).toEqual(new Set(['oo', 'on', 'no', 'nn']));
  });

  test('is made good by writing the same bytes again and a sync that succeeds, for these bytes only', async () => {
    const { world, disk, file } = await withFailedSync(1);
    await world.run(file.write(filled('n', 100), 0));
    await world.run(file.syncData());
    expect(disk.wouldSurvive(path, 0, 100)).toBe(true);
    expect(disk.wouldSurvive(path, 0, 101)).toBe(false);
    for (const text of outcomes(disk)) expect(text).toMatch(/^n{100}(n{412}|o{412})(n{512}|o{512})$/);
  });

  test('may show the old bytes again as soon as the cache drops its clean pages', async () => {
    const found = new Set<string>();
    for (let seed = 0; seed < 150; seed++) {
      const { disk } = await withFailedSync(seed);
      disk.dropCaches();
      found.add(sectorsOf(textOf(disk)));
    }
    expect(found).toEqual(new Set(['oo', 'on', 'no', 'nn']));
  });

  test('concerns the length as well', async () => {
    const { world, disk, file } = await makeMachine(1, sector);
    await world.run(file.write(filled('n', sector), sector));
    disk.faults.inject({ operation: 'sync', fault: 'EIO', times: 1 });
    await expect(world.run(file.syncData())).rejects.toThrow('sync');
    await world.run(file.syncData());
    expect(new Set(outcomes(disk).map(sectorsOf))).toEqual(new Set(['o', 'o\0', 'on']));
  });
});

describe('a worse disk', () => {
  test('A1 off: a sync may lie', async () => {
    const found = new Set<string>();
    for (let seed = 0; seed < 30; seed++) {
      const { world, disk, file } = await makeMachine(seed, sector, { assumptions: { a1: false } });
      await world.run(file.write(filled('n', sector), 0));
      await world.run(file.syncData());
      expect(disk.wouldSurvive(path, 0, sector)).toBe(outcomes(disk, 50).every((text) => sectorsOf(text) === 'n'));
      for (const text of outcomes(disk, 5)) found.add(sectorsOf(text));
    }
    expect(found).toEqual(new Set(['o', 'n']));
  });

  test('A2 off: a sector may come out as neither the old nor the new bytes', async () => {
    const { world, disk, file } = await makeMachine(1, 2 * sector, { assumptions: { a2: false } });
    await world.run(file.write(filled('n', sector), 0));
    const found = outcomes(disk).map(sectorsOf);
    expect(found.some((text) => text.startsWith('*'))).toBe(true);
    expect(found.every((text) => text.endsWith('o'))).toBe(true);
  });

  test('A3 off: a sector may tear at any byte, and its prefix is not safe', async () => {
    const { world, disk, file } = await makeMachine(1, sector, { assumptions: { a3: false } });
    await world.run(file.write(filled('n', 300), 100));
    expect(disk.wouldSurvive(path, 0, 100)).toBe(false);
    const found = outcomes(disk);
    expect(found.some((text) => /^o{100}n{1,299}o+$/.test(text))).toBe(true);
    expect(found.some((text) => !text.startsWith('o'.repeat(100)))).toBe(true);
  });

  test('A4 off: a failed sync may destroy what was durable beside the bytes it should have written', async () => {
    const found = new Set<boolean>();
    for (let seed = 0; seed < 30; seed++) {
      const { world, disk, file } = await makeMachine(seed, sector, { assumptions: { a4: false } });
      await world.run(file.write(filled('n', 100), 0));
      disk.faults.inject({ operation: 'sync', fault: 'EIO' });
      await expect(world.run(file.syncData())).rejects.toThrow('sync');
      const isSafe = disk.wouldSurvive(path, 100, sector);
      expect(outcomes(disk, 5, 'none').every((text) => text.endsWith('o'.repeat(412)))).toBe(isSafe);
      found.add(isSafe);
    }
    expect(found).toEqual(new Set([true, false]));
  });
});
