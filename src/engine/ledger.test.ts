// Two slots in turn: what a crash in the middle of a publish can and cannot do.
import { describe, expect, test } from 'vitest';
import { InvariantViolation } from '../base/assert.ts';
import { isStorageError } from '../base/errors.ts';
import { SimDisk, type SimProcess, SimWorld } from '../testing/index.ts';
import { Ledger } from './ledger.ts';
import { decodeLedgerSlot, type LedgerContent, ledgerBytes, ledgerSlotBytes } from './ledger-slot.ts';

const directory = '/data/buffer';
const path = `${directory}/ledger`;
const none = { events: 0, bytes: 0 };

/** Contents that differ by the id of the writer, in every sector that they take. */
function content(nextId: number): LedgerContent {
  const names = Array.from({ length: 20 }, (_, place) => `cursor-${place}`);
  return {
    uuid: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0',
    formatVersion: 1,
    epoch: 1,
    clean: false,
    writer: { segment: 1, offset: 4096, nextId, newestSegment: 1 },
    cursors: names.map((name) => ({ name, nextId, segment: 1, offset: 4096, payloadBytes: 0 })),
    totals: {
      appended: { events: nextId - 1, bytes: 0 },
      acknowledged: none,
      removed: { rejected: none, dropped_oldest: none, dropped_newest: none, disk_full: none, unconfirmed: none },
      damaged: none,
    },
    unconfirmed: [],
  };
}

class Machine {
  readonly world: SimWorld;
  readonly disk: SimDisk;
  process: SimProcess;

  constructor(seed = 1) {
    this.world = new SimWorld({ seed });
    this.disk = new SimDisk(this.world, { directories: [directory] });
    this.process = this.disk.start();
  }

  open(): ReturnType<typeof Ledger.open> {
    return this.world.run(Ledger.open(this.process.fileSystem, directory));
  }

  async publish(ledger: Ledger, ...ids: readonly number[]): Promise<void> {
    for (const id of ids) await this.world.run(ledger.publish(content(id)));
  }

  /** The next id that each slot holds, 0 for a bad one. */
  slots(): number[] {
    const bytes = this.disk.bytesOf(path);
    return [0, 1].map((slot) => {
      const reading = decodeLedgerSlot(bytes.subarray(slot * ledgerSlotBytes, (slot + 1) * ledgerSlotBytes));
      return reading.kind === 'valid' ? reading.content.writer.nextId : 0;
    });
  }

  powerCut(): void {
    this.disk.powerCut();
    this.process = this.disk.start();
  }
}

test('a directory without a ledger has none, and opening makes none: it needs no room', async () => {
  const machine = new Machine();
  const { ledger, reading } = await machine.open();
  expect(reading).toEqual({ content: undefined, validSlots: 0, existed: false });
  expect(ledger.settled).toEqual([undefined, undefined]);
  expect(machine.disk.has(path)).toBe(false);
});

test('C8: slots are written in turn, each synced before its publish resolves', async () => {
  const machine = new Machine();
  const { ledger } = await machine.open();
  await machine.publish(ledger, 10);
  expect(machine.slots()).toEqual([10, 0]);
  expect(machine.disk.wouldSurvive(path, 0, ledgerSlotBytes)).toBe(true);
  await machine.publish(ledger, 11);
  expect(machine.slots()).toEqual([10, 11]);
  await machine.publish(ledger, 12);
  expect(machine.slots()).toEqual([12, 11]);
  expect(ledger.generation).toBe(3);
  expect(ledger.settled.map((slot) => slot?.writer.nextId)).toEqual([12, 11]);
  expect(machine.disk.bytesOf(path).length).toBe(ledgerBytes);
});

test('the newest valid slot wins, and the next publish goes to the other one', async () => {
  for (const published of [[10], [10, 11], [10, 11, 12]]) {
    const machine = new Machine();
    const first = await machine.open();
    await machine.publish(first.ledger, ...published);
    const newest = published.at(-1) as number;
    const { ledger, reading } = await machine.open();
    expect(reading.content?.writer.nextId).toBe(newest);
    expect(reading.validSlots).toBe(Math.min(2, published.length));
    expect(ledger.generation).toBe(published.length);
    await machine.publish(ledger, 99);
    expect(machine.slots()).toContain(newest);
    expect(machine.slots()).toContain(99);
    expect(ledger.generation).toBe(published.length + 1);
  }
});

describe('a failed publish', () => {
  for (const operation of ['write', 'sync'] as const) {
    test(`whose ${operation} failed leaves the turn: the same slot is written again, one generation on`, async () => {
      const machine = new Machine();
      const { ledger } = await machine.open();
      await machine.publish(ledger, 10, 11);
      machine.disk.faults.inject({ fault: 'EIO', operation, times: 2 });
      for (let tries = 0; tries < 2; tries++) {
        const failed = machine.world.run(ledger.publish(content(12)));
        await expect(failed).rejects.toSatisfy((cause) => isStorageError(cause, 'io'));
        expect(machine.slots()[1]).toBe(11);
        expect(ledger.settled.map((slot) => slot?.writer.nextId)).toEqual([10, 11]);
      }
      const since = machine.disk.callCount;
      await machine.publish(ledger, 13);
      expect(machine.slots()).toEqual([13, 11]);
      expect(ledger.generation).toBe(5);
      const writes = machine.disk.calls.filter(({ number, operation: what }) => number > since && what === 'write');
      expect(writes.map(({ offset }) => offset)).toEqual([0]);
    });
  }

  test('whose creation failed is tried again', async () => {
    const machine = new Machine();
    const { ledger } = await machine.open();
    machine.disk.faults.inject({ fault: 'ENOSPC', operation: 'create', times: 1 });
    await expect(machine.publish(ledger, 10)).rejects.toSatisfy((cause) => isStorageError(cause, 'full'));
    await machine.publish(ledger, 10);
    expect(machine.slots()).toEqual([10, 0]);
  });

  test('goes to the higher of both generations that were tried, also after a restart', async () => {
    const machine = new Machine();
    const { ledger } = await machine.open();
    await machine.publish(ledger, 10, 11, 12);
    machine.disk.faults.inject({ fault: 'EIO', operation: 'sync', times: 1 });
    await expect(machine.publish(ledger, 13)).rejects.toThrow();
    const again = await machine.open();
    await machine.publish(again.ledger, 14);
    expect((await machine.open()).reading.content?.writer.nextId).toBe(14);
  });
});

test('short writes are continued', async () => {
  const machine = new Machine();
  const { ledger } = await machine.open();
  machine.disk.faults.chances = { shortWrite: 0.9 };
  await machine.publish(ledger, 10, 11);
  expect(machine.slots()).toEqual([10, 11]);
});

test('a power cut in the middle of a publish costs that publish at most, never the one before', async () => {
  let torn = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const machine = new Machine(seed);
    const { ledger } = await machine.open();
    await machine.publish(ledger, 10, 11);
    const crashed = machine.disk.crashAfterOperation(1 + (seed % 2));
    void ledger.publish(content(12));
    await machine.world.run(crashed);
    machine.powerCut();
    if (machine.slots()[0] === 0) torn += 1;
    const { reading } = await machine.open();
    expect([11, 12]).toContain(reading.content?.writer.nextId);
  }
  expect(torn).toBeGreaterThan(5);
});

test('a slot that cannot be read, is cut off, or is garbage counts as bad; the other one serves', async () => {
  const spoil: ((disk: SimDisk) => void)[] = [
    (disk) => disk.failReads(path, 0, 512),
    (disk) => disk.damage(path, 100, Uint8Array.of(1, 2, 3)),
    (disk) => disk.flipBits(path, 17),
  ];
  for (const each of spoil) {
    const machine = new Machine();
    const { ledger } = await machine.open();
    await machine.publish(ledger, 10, 11, 12);
    each(machine.disk);
    const { reading } = await machine.open();
    expect(reading).toMatchObject({ validSlots: 1, existed: true });
    expect(reading.content?.writer.nextId).toBe(11);
  }
  const machine = new Machine();
  machine.disk.plantFile(path, new Uint8Array(100));
  const { ledger, reading } = await machine.open();
  expect(reading).toEqual({ content: undefined, validSlots: 0, existed: true });
  await machine.publish(ledger, 10, 11);
  expect(machine.slots()).toEqual([10, 11]);
});

test('an error that is not the disk being broken ends the open, and the file is given back', async () => {
  const machine = new Machine();
  const { ledger } = await machine.open();
  await machine.publish(ledger, 10);
  await machine.world.run(ledger.close());
  machine.disk.faults.inject({ fault: 'EACCES', operation: 'read' });
  await expect(machine.open()).rejects.toSatisfy((cause) => isStorageError(cause, 'denied'));
  await machine.world.drain();
  expect(machine.disk.openFileCount(machine.process)).toBe(0);
});

test('I5.2: two publishes at once are a bug', async () => {
  const machine = new Machine();
  const { ledger } = await machine.open();
  const first = ledger.publish(content(10));
  await expect(ledger.publish(content(11))).rejects.toThrow(InvariantViolation);
  await machine.world.run(first);
});

test('the name is durable before a publish resolves (A5)', async () => {
  const machine = new Machine();
  const { ledger } = await machine.open();
  await machine.publish(ledger, 10);
  expect(machine.disk.nameWouldSurvive(path)).toBe(true);
});
