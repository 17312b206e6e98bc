// Which segments there are, in order, and what their headers say when somebody asks.
import { describe, expect, test } from 'vitest';
import { concat, simpleFrame } from '../../test/segment-bytes.ts';
import { bufferUuid, segmentHeader } from '../../test/writing-side.ts';
import { InvariantViolation } from '../base/assert.ts';
import { checksumPortable } from '../base/checksum.ts';
import type { SpillwayError } from '../base/errors.ts';
import { isStorageError } from '../base/errors.ts';
import { SimDisk, type SimProcess, SimWorld } from '../testing/index.ts';
import { EventHub } from './events.ts';
import { readFully, type Segment, SegmentCatalog } from './segment-catalog.ts';
import { encodeSegmentHeader, segmentFileName, segmentHeaderBytes } from './segment-header.ts';

const directory = '/data/buffer';
const pathOf = (number: number): string => `${directory}/${segmentFileName(number)}`;

class Rig {
  readonly world: SimWorld = new SimWorld({ seed: 1 });
  readonly disk: SimDisk = new SimDisk(this.world, { directories: [directory] });
  readonly process: SimProcess = this.disk.start();
  readonly damage: SpillwayError[] = [];
  readonly catalog: SegmentCatalog;

  constructor() {
    const events = new EventHub();
    events.on('damage', (error) => this.damage.push(error));
    this.catalog = new SegmentCatalog(this.process.fileSystem, events);
    this.catalog.identify(bufferUuid, 9);
  }

  plant(number: number, bytes: Uint8Array): Segment {
    this.disk.plantFile(pathOf(number), bytes);
    return this.catalog.add(number, pathOf(number), bytes.length);
  }

  async describe(segment: Segment): Promise<Segment> {
    await this.world.run(this.catalog.describe(segment));
    return segment;
  }
}

/** A segment with two frames of one record each. */
function segmentBytes(number: number, firstId = 1): Uint8Array {
  const header = segmentHeader(number, firstId);
  const frames = [simpleFrame(header.salt, firstId, 100), simpleFrame(header.salt, firstId + 1, 50)];
  return concat(encodeSegmentHeader(header), ...frames);
}

function withoutHeader(bytes: Uint8Array): Uint8Array {
  return concat(new Uint8Array(segmentHeaderBytes), bytes.subarray(segmentHeaderBytes));
}

/** The same header in a version that does not exist yet, its checksum set anew. */
function newerVersion(bytes: Uint8Array): Uint8Array {
  const newer = bytes.slice();
  for (const start of [0, 2048]) {
    const view = new DataView(newer.buffer, start);
    view.setUint16(8, 7, true);
    view.setUint32(64, checksumPortable(newer.subarray(start, start + 64)), true);
  }
  return newer;
}

describe('the list', () => {
  const numbers = (segments: readonly (Segment | undefined)[]): (number | undefined)[] =>
    segments.map((segment) => segment?.number);

  test('I4.1: is in ascending order, whatever the order of the listing', () => {
    const { catalog } = new Rig();
    for (const number of [5, 1, 9, 3]) catalog.add(number, pathOf(number), number * 10);
    expect(numbers(catalog.segments)).toEqual([1, 3, 5, 9]);
    expect(numbers([catalog.first, catalog.last])).toEqual([1, 9]);
    expect(numbers([catalog.at(3), catalog.at(4)])).toEqual([3, undefined]);
    expect(numbers([catalog.from(0), catalog.from(3), catalog.from(4), catalog.from(10)])).toEqual([
      1,
      3,
      5,
      undefined,
    ]);
    expect(numbers([catalog.before(1), catalog.before(5), catalog.before(99)])).toEqual([undefined, 3, 9]);
    expect(numbers([catalog.after(0), catalog.after(5), catalog.after(9)])).toEqual([1, 9, undefined]);
  });

  test('I4.1: gives no number twice', () => {
    const { catalog } = new Rig();
    catalog.add(5, pathOf(5), 10);
    expect(() => catalog.add(5, pathOf(5), 10)).toThrow(InvariantViolation);
    expect(() => catalog.addCreated(segmentHeader(5), pathOf(5))).toThrow(InvariantViolation);
  });

  test('I4.2: sums up the lengths, as they are now', () => {
    const { catalog } = new Rig();
    const one = catalog.add(1, pathOf(1), 10);
    const two = catalog.addCreated(segmentHeader(2), pathOf(2));
    expect(catalog.byteLength).toBe(10);
    two.byteLength = 5;
    expect(catalog.byteLength).toBe(15);
    catalog.remove(one);
    expect(catalog.byteLength).toBe(5);
    expect(() => catalog.remove(one)).toThrow(InvariantViolation);
  });

  test('says which segments are being filled', () => {
    const { catalog } = new Rig();
    expect(catalog.add(1, pathOf(1), 10)).toMatchObject({ complete: true, state: 'unread' });
    expect(catalog.addCreated(segmentHeader(2), pathOf(2))).toMatchObject({ complete: false, state: 'known' });
  });
});

describe('a header', () => {
  test('is read when somebody asks for the first time, and never again', async () => {
    const rig = new Rig();
    const segment = rig.plant(3, segmentBytes(3, 70));
    expect(rig.disk.callCount).toBe(0);
    await rig.world.run(Promise.all([rig.catalog.describe(segment), rig.catalog.describe(segment)]));
    expect(rig.disk.calls.filter(({ operation }) => operation === 'open')).toHaveLength(1);
    expect(segment).toMatchObject({ state: 'known', header: { firstId: 70, segmentNumber: 3 } });
    const calls = rig.disk.callCount;
    await rig.describe(segment);
    expect(rig.disk.callCount).toBe(calls);
    expect(rig.damage).toEqual([]);
  });

  test('of another number or another buffer makes the file a stranger', async () => {
    const rig = new Rig();
    const renamed = rig.plant(3, segmentBytes(4));
    const uuid = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    const foreign = rig.plant(5, encodeSegmentHeader({ ...segmentHeader(5), uuid }));
    const ours = rig.plant(6, segmentBytes(6));
    for (const segment of [renamed, foreign, ours]) await rig.describe(segment);
    expect([renamed.state, foreign.state, ours.state]).toEqual(['stranger', 'stranger', 'known']);
    expect(rig.damage.map(({ code }) => code)).toEqual(['SPILLWAY_DAMAGE_HEADER', 'SPILLWAY_DAMAGE_HEADER']);
    // Strangers are passed over, and counted in disk bytes.
    expect(rig.catalog.before(6)).toBeUndefined();
    expect(rig.catalog.after(2)?.number).toBe(6);
    expect(rig.catalog.byteLength).toBe(renamed.byteLength + foreign.byteLength + ours.byteLength);
  });

  test('of a newer format makes it one that is left alone', async () => {
    const rig = new Rig();
    const segment = await rig.describe(rig.plant(3, newerVersion(segmentBytes(3))));
    expect(segment).toMatchObject({ state: 'newer', header: undefined });
    expect(rig.damage.map(({ code }) => code)).toEqual(['SPILLWAY_FORMAT_FEATURE']);
  });

  test('with one good copy is enough, and reported', async () => {
    for (const place of [10, 2058]) {
      const rig = new Rig();
      const bytes = segmentBytes(3, 5);
      bytes[place] = 255 - (bytes[place] as number);
      const segment = await rig.describe(rig.plant(3, bytes));
      expect(segment).toMatchObject({ state: 'known', header: { firstId: 5 } });
      expect(rig.damage).toHaveLength(1);
    }
  });

  test('with one copy in a block that cannot be read is enough', async () => {
    for (const place of [0, 2048]) {
      const rig = new Rig();
      const segment = rig.plant(3, segmentBytes(3, 5));
      rig.disk.failReads(pathOf(3), place, place + 512);
      await rig.describe(segment);
      expect(segment).toMatchObject({ state: 'known', header: { firstId: 5 } });
    }
  });

  test('that is lost is rebuilt from the frames, its epoch from the segment that follows', async () => {
    const rig = new Rig();
    const lost = rig.plant(3, withoutHeader(segmentBytes(3, 70)));
    rig.plant(4, segmentBytes(4, 72));
    await rig.describe(lost);
    const { salt } = segmentHeader(3);
    expect(lost).toMatchObject({ state: 'rebuilt', header: { firstId: 70, salt, epoch: 1, uuid: bufferUuid } });
    expect(rig.damage.map(({ code }) => code)).toEqual(['SPILLWAY_DAMAGE_HEADER']);
  });

  test('that is lost where nothing follows gets the epoch of this open, also when that comes later', async () => {
    const rig = new Rig();
    const lost = await rig.describe(rig.plant(3, withoutHeader(segmentBytes(3))));
    expect(lost.header?.epoch).toBe(9);
    const early = new Rig();
    early.catalog.identify(bufferUuid, 0);
    const before = await early.describe(early.plant(3, withoutHeader(segmentBytes(3))));
    expect(before.header?.epoch).toBe(0);
    early.catalog.identify(bufferUuid, 12);
    expect(before.header?.epoch).toBe(12);
  });

  test('that is lost without any frame leaves an empty segment', async () => {
    const rig = new Rig();
    for (const [number, bytes] of [new Uint8Array(0), new Uint8Array(100), new Uint8Array(9000)].entries()) {
      const segment = await rig.describe(rig.plant(number + 1, bytes));
      expect(segment).toMatchObject({ state: 'empty', header: undefined });
    }
    expect(rig.damage).toHaveLength(3);
  });

  test('that cannot be read now rejects, and is asked for again the next time', async () => {
    const rig = new Rig();
    const segment = rig.plant(3, segmentBytes(3));
    rig.disk.failReads(pathOf(3), 0, 4096);
    await expect(rig.describe(segment)).rejects.toSatisfy((cause) => isStorageError(cause, 'io'));
    expect(segment.state).toBe('unread');
    await rig.world.drain();
    expect(rig.disk.openFileCount(rig.process)).toBe(0);
    rig.disk.liftRot();
    expect((await rig.describe(segment)).state).toBe('known');
  });

  test('that can never be read is given up: its frames tell what they can', async () => {
    const rig = new Rig();
    const segment = rig.plant(3, segmentBytes(3, 70));
    rig.disk.failReads(pathOf(3), 0, 4096);
    await rig.world.run(rig.catalog.giveUp(segment));
    expect(segment).toMatchObject({ state: 'rebuilt', header: { firstId: 70 } });
    const gone = rig.plant(4, segmentBytes(4));
    rig.disk.failReads(pathOf(4), 0, gone.byteLength);
    await rig.world.run(rig.catalog.giveUp(gone));
    expect(gone.state).toBe('empty');
  });
});

test('readFully goes on after short reads and stops at the end of the file', async () => {
  const rig = new Rig();
  const bytes = segmentBytes(3);
  rig.disk.plantFile(pathOf(3), bytes);
  rig.disk.faults.chances = { shortRead: 0.9 };
  const file = await rig.world.run(rig.process.fileSystem.open(pathOf(3), 'read'));
  const target = new Uint8Array(bytes.length + 100);
  expect(await rig.world.run(readFully(file, target, 0))).toBe(bytes.length);
  expect(target.subarray(0, bytes.length)).toEqual(bytes);
  expect(await rig.world.run(readFully(file, target.subarray(0, 10), 5))).toBe(10);
  expect(target.subarray(0, 10)).toEqual(bytes.subarray(5, 15));
});
