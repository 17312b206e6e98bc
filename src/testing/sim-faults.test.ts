// What can be made to go wrong with calls, and what must not go wrong then.
import { describe, expect, test } from 'vitest';
import type { FileHandle } from '../platform/file-system.ts';
import { SimDisk, type SimDiskOptions, type SimProcess, SimWorld, SourceChanged } from './index.ts';

const sector = 512;

type Machine = {
  readonly world: SimWorld;
  readonly disk: SimDisk;
  readonly process: SimProcess;
  readonly file: FileHandle;
};

async function makeMachine(seed: number, options: SimDiskOptions = {}): Promise<Machine> {
  const world = new SimWorld({ seed });
  const disk = new SimDisk(world, options);
  disk.plantFile('/data/a', letters('o', 4 * sector));
  const process = disk.start();
  return { world, disk, process, file: await world.run(process.fileSystem.open('/data/a', 'read_write')) };
}

function letters(letter: string, count: number): Uint8Array {
  return new Uint8Array(count).fill(letter.charCodeAt(0));
}

describe('a full disk', () => {
  test('takes what there is room for, then nothing, and something again when a file goes', async () => {
    const { world, disk, process } = await makeMachine(1);
    const used = disk.usedBytes;
    const file = await world.run(process.fileSystem.open('/data/b', 'create'));
    expect(disk.usedBytes).toBe(used + sector);
    disk.capacityBytes = disk.usedBytes + 3 * sector;
    expect(await world.run(file.write(letters('n', 5 * sector), 100))).toBe(3 * sector - 100);
    expect(disk.usedBytes).toBe(disk.capacityBytes);
    const rest = file.write(letters('n', 10), 3 * sector);
    await expect(world.run(rest)).rejects.toMatchObject({ kind: 'full', code: 'SPILLWAY_STORAGE_FULL' });
    await expect(world.run(process.fileSystem.open('/data/c', 'create'))).rejects.toMatchObject({ kind: 'full' });
    await expect(world.run(process.fileSystem.makeDirectory('/data/d'))).rejects.toMatchObject({ kind: 'full' });
    expect(await world.run(file.write(letters('m', 10), 200))).toBe(10); // These sectors are paid for.
    await world.run(file.close());
    await world.run(process.fileSystem.remove('/data/b'));
    expect(disk.usedBytes).toBe(used);
  });

  test('keeps the space of a removed file while it is open', async () => {
    const { world, disk, process, file } = await makeMachine(1);
    const used = disk.usedBytes;
    await world.run(process.fileSystem.remove('/data/a'));
    expect(disk.usedBytes).toBe(used - sector);
    await world.run(file.close());
    expect(disk.usedBytes).toBe(used - 5 * sector);
  });

  test('gets back the space of a dead process and of replaced and cut files', async () => {
    const { world, disk, process, file } = await makeMachine(1);
    const used = disk.usedBytes;
    disk.plantFile('/data/b', letters('b', 2 * sector));
    await world.run(process.fileSystem.rename('/data/b', '/data/a'));
    disk.killProcess(process);
    expect(disk.usedBytes).toBe(used - 2 * sector);
    const next = disk.start();
    const again = await world.run(next.fileSystem.open('/data/a', 'read_write'));
    await world.run(again.truncate(10));
    expect(disk.usedBytes).toBe(used - 3 * sector);
    expect(file.path).toBe('/data/a');
  });

  test('with delayed allocation the sync fails instead, and the bytes are in doubt', async () => {
    const { world, disk, process, file } = await makeMachine(1, { delayedAllocation: true });
    disk.capacityBytes = disk.usedBytes + sector;
    expect(await world.run(file.write(letters('n', 8 * sector), 0))).toBe(8 * sector);
    await expect(world.run(file.syncData())).rejects.toMatchObject({ kind: 'full', operation: 'sync' });
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await world.run(file.syncData());
    expect(disk.wouldSurvive('/data/a', 0, sector)).toBe(false);
    expect(disk.openFileCount(process)).toBe(1);
  });
});

describe('faults by rule', () => {
  test.each([
    ['ENOSPC', 'full'],
    ['EDQUOT', 'full'],
    ['EIO', 'io'],
    ['EACCES', 'denied'],
    ['EROFS', 'read_only'],
    ['EMFILE', 'limit'],
    ['full', 'full'],
    ['denied', 'denied'],
    ['missing', 'missing'],
    ['exists', 'exists'],
    ['io', 'io'],
    ['read_only', 'read_only'],
    ['limit', 'limit'],
    ['unsafe', 'unsafe'],
  ] as const)('%s becomes an error of kind %s', async (fault, kind) => {
    const { world, disk, process } = await makeMachine(1);
    disk.faults.inject({ fault });
    await expect(world.run(process.fileSystem.list('/data'))).rejects.toMatchObject({ kind, path: '/data' });
  });

  test('strike by operation, path, after so many, so often, until they are lifted', async () => {
    const { world, disk, process, file } = await makeMachine(1);
    const lift = disk.faults.inject({ fault: 'EIO', operation: ['sync', 'read'], path: /\/a$/, skip: 1, times: 2 });
    disk.faults.inject({ fault: 'EIO', path: '/elsewhere' });
    const outcome = async (): Promise<string> =>
      world.run(
        file.syncData().then(
          () => 'ok',
          () => 'failed',
        ),
      );
    await world.run(file.byteLength());
    await world.run(process.fileSystem.facts('/data/a'));
    expect([await outcome(), await outcome(), await outcome(), await outcome()]).toEqual([
      'ok',
      'failed',
      'failed',
      'ok',
    ]);
    lift();
    disk.faults.inject({ fault: 'EIO', operation: 'sync', chance: 0.5 });
    const outcomes = new Set<string>();
    for (let count = 0; count < 20; count++) outcomes.add(await outcome());
    expect(outcomes).toEqual(new Set(['ok', 'failed']));
    disk.heal();
    expect(await outcome()).toBe('ok');
  });

  test('a failed write may have written a part, except on a full disk', async () => {
    const lengths = { EIO: new Set<number>(), ENOSPC: new Set<number>() };
    for (const fault of ['EIO', 'ENOSPC'] as const) {
      for (let seed = 0; seed < 20; seed++) {
        const { world, disk, file } = await makeMachine(seed);
        disk.faults.inject({ operation: 'write', fault });
        await expect(world.run(file.write(letters('n', 3), 0))).rejects.toThrow('Could not write /data/a');
        lengths[fault].add(disk.bytesOf('/data/a').findIndex((byte) => byte !== 'n'.charCodeAt(0)));
      }
    }
    expect(lengths.EIO).toEqual(new Set([0, 1, 2, 3]));
    expect(lengths.ENOSPC).toEqual(new Set([0]));
  });
});

describe('faults by draw', () => {
  test('short transfers move at least one byte and not all', async () => {
    const { world, disk, file } = await makeMachine(1);
    disk.faults.chances = { shortRead: 1, shortWrite: 1 };
    const lengths = new Set<number>();
    for (let count = 0; count < 50; count++) {
      lengths.add(await world.run(file.write(letters('n', 4), 0)));
      lengths.add(await world.run(file.read(new Uint8Array(4), 0)));
    }
    expect(lengths).toEqual(new Set([1, 2, 3]));
    expect(await world.run(file.read(new Uint8Array(1), 0))).toBe(1);
  });

  test.each([
    ['readError', (file: FileHandle) => file.read(new Uint8Array(1), 0), 'io'],
    ['writeError', (file: FileHandle) => file.write(new Uint8Array(1), 0), 'io'],
    ['noSpace', (file: FileHandle) => file.write(new Uint8Array(1), 0), 'full'],
    ['syncError', (file: FileHandle) => file.syncData(), 'io'],
    ['nameError', (file: FileHandle) => file.byteLength(), 'io'],
  ] as const)('%s', async (name, call, kind) => {
    const { world, disk, file } = await makeMachine(1);
    disk.faults.chances = { [name]: 1 };
    await expect(world.run(Promise.resolve(call(file)))).rejects.toMatchObject({ kind });
    disk.heal();
    await world.run(Promise.resolve(call(file)));
  });

  test('calls complete in any order, and take effect before or after that of others', async () => {
    const orders = new Set<string>();
    const contents = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const { world, disk, file } = await makeMachine(seed);
      const order: string[] = [];
      const writes = ['1', '2', '3'].map((name) => file.write(letters(name, 1), 0).then(() => order.push(name)));
      await world.run(Promise.all(writes));
      orders.add(order.join(''));
      contents.add(String.fromCharCode(disk.bytesOf('/data/a')[0] ?? 0));
    }
    expect(orders.size).toBe(6);
    expect(contents).toEqual(new Set(['1', '2', '3']));
  });

  test('slow calls take a hundred times as long', async () => {
    const { world, disk, file } = await makeMachine(1, { latencies: { data: [1, 1], sync: [2, 2], names: [3, 3] } });
    const tookMs = async (call: Promise<unknown>): Promise<number> => {
      const startMs = world.timeMs;
      await world.run(call);
      return world.timeMs - startMs;
    };
    expect(await tookMs(file.read(new Uint8Array(1), 0))).toBe(1);
    expect(await tookMs(file.syncData())).toBe(2);
    disk.faults.chances = { slow: 1 };
    expect(await tookMs(file.syncData())).toBe(200);
  });
});

describe('rot', () => {
  test('changes what is read, until it is written anew or lifted', async () => {
    const { world, disk, file } = await makeMachine(1);
    disk.damage('/data/a', 10, letters('x', 5));
    disk.flipBits('/data/a', 20, 0b11);
    const target = new Uint8Array(30);
    const readText = async (): Promise<string> => {
      await world.run(file.read(target, 0));
      return new TextDecoder().decode(target);
    };
    expect(await readText()).toBe(`${'o'.repeat(10)}xxxxx${'o'.repeat(5)}l${'o'.repeat(9)}`);
    await world.run(file.write(letters('n', 3), 11));
    expect(await readText()).toBe(`${'o'.repeat(10)}xnnnx${'o'.repeat(5)}l${'o'.repeat(9)}`);
    expect(disk.wouldSurvive('/data/a', 0, 11)).toBe(true);
    disk.liftRot();
    expect(await readText()).toBe(`${'o'.repeat(11)}nnn${'o'.repeat(16)}`);
  });

  test('bad sectors fail reads that touch them, until they are written in full', async () => {
    const { world, disk, file } = await makeMachine(1);
    disk.failReads('/data/a', sector + 100, sector + 101);
    await expect(world.run(file.read(new Uint8Array(1), sector))).rejects.toMatchObject({ kind: 'io' });
    await expect(world.run(file.read(new Uint8Array(1), 2 * sector - 1))).rejects.toMatchObject({ kind: 'io' });
    expect(await world.run(file.read(new Uint8Array(sector), 0))).toBe(sector);
    expect(await world.run(file.read(new Uint8Array(sector), 2 * sector))).toBe(sector);
    await world.run(file.write(letters('n', sector - 1), sector));
    await expect(world.run(file.read(new Uint8Array(1), sector))).rejects.toMatchObject({ kind: 'io' });
    await world.run(file.write(letters('n', sector), sector));
    expect(await world.run(file.read(new Uint8Array(4 * sector), 0))).toBe(4 * sector);
  });

  test('a read into a bad sector is short or fails', async () => {
    const outcomes = new Set<unknown>();
    const { world, disk, file } = await makeMachine(1);
    disk.failReads('/data/a', sector, sector + 1);
    for (let count = 0; count < 30; count++) {
      outcomes.add(await world.run(file.read(new Uint8Array(4 * sector), 100).catch(() => 'failed')));
    }
    expect(outcomes).toEqual(new Set([sector - 100, 'failed']));
  });
});

test('changing the bytes of a write that has not settled stops the run', async () => {
  const { world, file } = await makeMachine(1);
  const bytes = letters('n', 100);
  const writing = file.write(bytes, 0);
  bytes[50] = 0;
  await expect(world.run(writing)).rejects.toThrow(SourceChanged);
});
