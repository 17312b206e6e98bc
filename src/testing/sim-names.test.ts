// What a power cut leaves of names (A5).
import { describe, expect, test } from 'vitest';
import type { FileSystem } from '../platform/file-system.ts';
import { SimDisk, type SimDiskOptions, SimWorld, type Survivors } from './index.ts';

type Machine = { readonly world: SimWorld; readonly disk: SimDisk; readonly fileSystem: FileSystem };

function makeMachine(seed: number, options: SimDiskOptions = {}): Machine {
  const world = new SimWorld({ seed });
  const disk = new SimDisk(world, options);
  return { world, disk, fileSystem: disk.start().fileSystem };
}

async function makeFile({ world, fileSystem }: Machine, path: string, letter: string): Promise<void> {
  const file = await world.run(fileSystem.open(path, 'create'));
  await world.run(file.write(new TextEncoder().encode(letter), 0));
  await world.run(file.syncData());
}

/** Names and contents below /data after power cuts from this very moment. */
function outcomes(disk: SimDisk, count = 100, survivors: Survivors = 'random'): Set<string> {
  const found = Array.from({ length: count }, (_, seed) => {
    const copy = disk.clone(new SimWorld({ seed }));
    copy.powerCut(survivors);
    return describePaths(copy);
  });
  return new Set(found);
}

function describePaths(disk: SimDisk): string {
  const parts = disk.paths().filter((path) => path.startsWith('/data/'));
  return parts
    .map((path) => `${path.slice(6)}${path.endsWith('d') ? '/' : `=${new TextDecoder().decode(disk.bytesOf(path))}`}`)
    .join(' ');
}

test('a created name is lost or kept until its directory is synced, whatever was synced in the file', async () => {
  const machine = makeMachine(1);
  await makeFile(machine, '/data/a', 'A');
  const { world, disk, fileSystem } = machine;
  expect(disk.nameWouldSurvive('/data/a')).toBe(false);
  expect(disk.wouldSurvive('/data/a', 0, 1)).toBe(false);
  expect(outcomes(disk)).toEqual(new Set(['', 'a=A']));
  await world.run(fileSystem.syncDirectory('/data'));
  expect(disk.nameWouldSurvive('/data/a')).toBe(true);
  expect(disk.wouldSurvive('/data/a', 0, 1)).toBe(true);
  expect(outcomes(disk)).toEqual(new Set(['a=A']));
});

test('a removed name may come back until its directory is synced', async () => {
  const { world, disk, fileSystem } = makeMachine(1);
  disk.plantFile('/data/a', new TextEncoder().encode('A'));
  await world.run(fileSystem.remove('/data/a'));
  expect(disk.has('/data/a')).toBe(false);
  expect(outcomes(disk)).toEqual(new Set(['', 'a=A']));
  await world.run(fileSystem.syncDirectory('/data'));
  expect(outcomes(disk)).toEqual(new Set(['']));
});

test('a rename is kept or lost as a whole, and a replaced file with it', async () => {
  const { world, disk, fileSystem } = makeMachine(1);
  disk.plantFile('/data/a', new TextEncoder().encode('A'));
  disk.plantFile('/data/b', new TextEncoder().encode('B'));
  await world.run(fileSystem.rename('/data/a', '/data/b'));
  expect(disk.nameWouldSurvive('/data/b')).toBe(false);
  expect(outcomes(disk)).toEqual(new Set(['a=A b=B', 'b=A']));
  await world.run(fileSystem.syncDirectory('/data'));
  expect(disk.nameWouldSurvive('/data/b')).toBe(true);
  expect(outcomes(disk)).toEqual(new Set(['b=A']));
});

test('a rename between directories needs both of them synced', async () => {
  const { world, disk, fileSystem } = makeMachine(1, { directories: ['/data/d'] });
  disk.plantFile('/data/a', new TextEncoder().encode('A'));
  await world.run(fileSystem.rename('/data/a', '/data/d/b'));
  await world.run(fileSystem.syncDirectory('/data/d'));
  expect(outcomes(disk)).toEqual(new Set(['a=A d/', 'd/ d/b=A']));
  await world.run(fileSystem.syncDirectory('/data'));
  expect(outcomes(disk)).toEqual(new Set(['d/ d/b=A']));
});

test('a name that is taken again settles the rename that had freed it', async () => {
  const machine = makeMachine(1, { directories: ['/data/d'] });
  const { world, disk, fileSystem } = machine;
  disk.plantFile('/data/a', new TextEncoder().encode('A'));
  await world.run(fileSystem.rename('/data/a', '/data/d/b'));
  await makeFile(machine, '/data/a', 'B');
  await world.run(fileSystem.syncDirectory('/data'));
  expect(outcomes(disk)).toEqual(new Set(['a=B d/ d/b=A']));
});

test('a file that went and came back is not there for certain', async () => {
  const { world, disk, fileSystem } = makeMachine(1);
  disk.plantFile('/data/a', new TextEncoder().encode('A'));
  await world.run(fileSystem.rename('/data/a', '/data/b'));
  await world.run(fileSystem.rename('/data/b', '/data/a'));
  expect(disk.nameWouldSurvive('/data/a')).toBe(false);
  expect(outcomes(disk)).toEqual(new Set(['a=A', 'b=A']));
});

test('changes of names survive in any combination', async () => {
  const machine = makeMachine(1);
  for (const name of ['a', 'b', 'c']) await makeFile(machine, `/data/${name}`, name);
  expect(outcomes(machine.disk, 300).size).toBe(8);
  expect(outcomes(machine.disk, 2, 'none')).toEqual(new Set(['']));
  expect(outcomes(machine.disk, 2, 'all')).toEqual(new Set(['a=a b=b c=c']));
});

test('exactly those survive that the test names', async () => {
  const machine = makeMachine(1);
  for (const name of ['a', 'b', 'c']) await makeFile(machine, `/data/${name}`, name);
  const { names } = machine.disk.undecided();
  expect(names.map(({ what, path }) => `${what} ${path}`)).toEqual([
    'create /data/a',
    'create /data/b',
    'create /data/c',
  ]);
  const survivors = { names: new Set([names[1]?.id ?? 0]), writes: new Set<number>() };
  expect(outcomes(machine.disk, 1, survivors)).toEqual(new Set(['b=b']));
});

test('a new directory is there for certain only when its parent is synced, and what is in it only then', async () => {
  const machine = makeMachine(1);
  const { world, disk, fileSystem } = machine;
  await world.run(fileSystem.makeDirectory('/data/d'));
  await makeFile(machine, '/data/d/a', 'A');
  await world.run(fileSystem.syncDirectory('/data/d'));
  expect(disk.wouldSurvive('/data/d/a', 0, 1)).toBe(false);
  expect(outcomes(disk)).toEqual(new Set(['', 'd/ d/a=A']));
  await world.run(fileSystem.syncDirectory('/data'));
  expect(disk.wouldSurvive('/data/d/a', 0, 1)).toBe(true);
});

test('a sync takes along only names whose call had returned before it', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const { world, disk, fileSystem } = makeMachine(seed);
    const creating = fileSystem.open('/data/a', 'create');
    await world.run(Promise.all([fileSystem.syncDirectory('/data'), creating]));
    expect(disk.nameWouldSurvive('/data/a')).toBe(false);
  }
});

test('a directory sync that fails leaves names open, and one that succeeds later settles them', async () => {
  const machine = makeMachine(1);
  const { world, disk, fileSystem } = machine;
  await makeFile(machine, '/data/a', 'A');
  disk.faults.inject({ operation: 'sync directory', fault: 'EIO', times: 1 });
  await expect(world.run(fileSystem.syncDirectory('/data'))).rejects.toMatchObject({ kind: 'io' });
  expect(outcomes(disk)).toEqual(new Set(['', 'a=A']));
  await world.run(fileSystem.syncDirectory('/data'));
  expect(disk.nameWouldSurvive('/data/a')).toBe(true);
});

test('A5 off: a directory sync may lie', async () => {
  const found = new Set<boolean>();
  for (let seed = 0; seed < 30; seed++) {
    const machine = makeMachine(seed, { assumptions: { a5: false } });
    await makeFile(machine, '/data/a', 'A');
    await machine.world.run(machine.fileSystem.syncDirectory('/data'));
    found.add(outcomes(machine.disk, 20).size === 1);
  }
  expect(found).toEqual(new Set([true, false]));
});

describe('a name used twice', () => {
  test('names the old file, the new one or nothing until all is synced', async () => {
    const machine = makeMachine(1);
    const { world, disk, fileSystem } = machine;
    disk.plantFile('/data/a', new TextEncoder().encode('old'));
    await world.run(fileSystem.remove('/data/a'));
    await makeFile(machine, '/data/a', 'new');
    expect(outcomes(disk)).toEqual(new Set(['a=old', 'a=new', '']));
    await world.run(fileSystem.syncDirectory('/data'));
    expect(outcomes(disk)).toEqual(new Set(['a=new']));
  });
});
