// The reader as cursors see it: from memory, from files, from one to the other, and through everything that can be
// wrong.

import { beforeAll, describe, expect, it } from 'vitest';
import {
  BufferRig,
  bufferPath,
  bytesOf,
  editLedger,
  flipped,
  framesIn,
  type Lost,
  listenToLosses,
  segmentName,
  textsOf,
} from '../../test/buffer-rig.ts';
import { concat, resign, simpleFrame } from '../../test/segment-bytes.ts';
import { byScale, onlyCase, repeatable } from '../../test/sweep.ts';
import { checksumPortable } from '../base/checksum.ts';
import type { DiskBuffer } from './disk-buffer.ts';
import { encodeSegmentHeader, readSegmentHeader } from './segment-header.ts';

let three: BufferRig;

beforeAll(async () => {
  three = await BufferRig.threeSegments();
});

const all = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];

async function texts(rig: BufferRig, buffer: DiskBuffer, endId = 10): Promise<string[]> {
  return (await rig.readTo(buffer.cursor('default'), endId)).map(({ text }) => text);
}

/** What a cursor is told when these bytes are in the directory. */
async function told(
  name: string,
  bytes: Uint8Array,
): Promise<{ readonly texts: string[]; readonly losses: Lost[]; readonly rig: BufferRig }> {
  const rig = three.copy();
  rig.plant(name, bytes);
  const buffer = await rig.open();
  const losses = listenToLosses(buffer);
  const seen = await texts(rig, buffer);
  buffer.recount();
  await rig.close(buffer);
  return { texts: seen, losses, rig };
}

const lost = (events: number): Lost => ({ reason: 'damaged', events, bytes: 0, cursor: 'default' });

describe('where frames come from', () => {
  it('memory, as long as a cursor keeps up', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const cursor = buffer.cursor('default');
    await rig.append(buffer, 'first'); // Where the log begins is found in the file.
    await rig.readTo(cursor, 2);
    const before = rig.disk.callCount;
    for (let count = 0; count < 400; count++) {
      await rig.run(buffer.append(new Uint8Array(1_000)));
      await rig.readTo(cursor, count + 3);
    }
    const reads = rig.disk.calls.filter(({ number, operation }) => number > before && operation === 'read');
    expect(reads).toEqual([]);
    expect(rig.segments().length).toBeLessThanOrEqual(3); // It went through several of them.
    expect(buffer.stats().totals.acknowledged.events).toBe(401);
    await rig.close(buffer);
  });

  it('files, for a cursor that is behind, and memory again when it has caught up', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ maxBytes: 4 * 1_048_576 });
    for (let count = 0; count < 40; count++) await rig.run(buffer.append(new Uint8Array(50_000).fill(count)));
    const cursor = buffer.cursor('default');
    const seen = await rig.readTo(cursor, 41);
    expect(seen.map(({ id }) => id)).toEqual(Array.from({ length: 40 }, (_, at) => at + 1));
    const before = rig.disk.callCount;
    await rig.append(buffer, 'new');
    expect(textsOf(await rig.read(cursor))).toEqual(['new']);
    expect(rig.disk.calls.some(({ number, operation }) => number > before && operation === 'read')).toBe(false);
  });

  it('files, also for records that are larger than what is read at once', async () => {
    const rig = new BufferRig();
    const sizes = { maxBytes: 64 * 1_048_576, segmentBytes: 8 * 1_048_576, maxUnsettledBytes: 1_048_576 };
    const first = await rig.open(sizes);
    const lengths = [10, 3_000_000, 0, 5_000_000, 7, 4_000_000];
    for (const [at, length] of lengths.entries()) await rig.run(first.append(new Uint8Array(length).fill(at + 1)));
    await rig.close(first);
    const buffer = await rig.open(sizes);
    const cursor = buffer.cursor('default');
    const seen: number[] = [];
    while (cursor.nextId < 7) {
      const delivery = await rig.read(cursor);
      for (const { id, payload } of delivery.records) {
        seen.push(payload.length);
        expect(payload.every((byte) => byte === id)).toBe(true);
      }
      delivery.ack();
    }
    expect(seen).toEqual(lengths);
  });

  it('reads what was written only once it is durable, with durability sync', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const cursor = buffer.cursor('default');
    await rig.append(buffer, 'a');
    await rig.readTo(cursor, 2);
    rig.disk.faults.inject({ fault: 'EIO', operation: 'sync', path: '.seg' });
    await expect(rig.run(buffer.append(bytesOf('b')))).rejects.toMatchObject({ kind: 'io' });
    expect(await rig.within(1_000, cursor.read())).toBe('pending');
  });
});

describe('damage', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9])('in the frame of record %i costs that record, and is counted', async (id) => {
    const name = segmentName(Math.ceil(id / 3));
    const bytes = three.bytes(name);
    const frame = framesIn(bytes).find(({ firstId }) => firstId === id);
    const damaged = await told(name, flipped(bytes, (frame?.offset ?? 0) + 20));
    expect(damaged.texts).toEqual(all.filter((text) => text !== `${id}`));
    expect(damaged.losses).toEqual([lost(1)]);
    const [copy] = damaged.rig.names().filter((path) => path.startsWith('quarantine/'));
    expect(copy).toBe(`quarantine/${name}-${frame?.offset}-${frame?.byteLength}`);
  });

  it('of a segment that is gone costs its records', async () => {
    for (const [number, kept] of [
      [1, all.slice(3)],
      [2, [...all.slice(0, 3), ...all.slice(6)]],
      [3, all.slice(0, 6)],
    ] as const) {
      const rig = three.copy();
      await rig.run(rig.process.fileSystem.remove(`${bufferPath}/${segmentName(number)}`));
      const buffer = await rig.open();
      const losses = listenToLosses(buffer);
      expect(await texts(rig, buffer)).toEqual(kept);
      expect(losses).toEqual([lost(3)]);
      buffer.recount();
    }
  });

  it('of a segment that vanishes while the buffer is open: three tries, then it is lost', async () => {
    const rig = three.copy();
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    const cursor = buffer.cursor('default');
    await rig.run(rig.process.fileSystem.remove(`${bufferPath}/${segmentName(2)}`));
    await rig.readTo(cursor, 4);
    for (let count = 0; count < 3; count++)
      await expect(rig.run(cursor.read())).rejects.toMatchObject({ kind: 'missing' });
    expect(await texts(rig, buffer)).toEqual(all.slice(6));
    expect(losses).toEqual([lost(3)]);
    await rig.close(buffer);
  });

  it('of both headers costs nothing; of frames too, only those', async () => {
    const bytes = three.bytes(segmentName(2));
    const headless = Uint8Array.from(bytes).fill(0, 0, 4096);
    expect(await told(segmentName(2), headless)).toMatchObject({ texts: all, losses: [] });
    const worse = flipped(headless, 4096 + 50);
    expect(await told(segmentName(2), worse)).toMatchObject({
      texts: all.filter((id) => id !== '4'),
      losses: [lost(1)],
    });
    const nothing = new Uint8Array(bytes.length);
    const empty = await told(segmentName(2), nothing);
    expect(empty).toMatchObject({ texts: all.filter((id) => !'456'.includes(id)), losses: [lost(3)] });
  });

  it('by a stranger in the place of a segment, which stays', async () => {
    const bytes = Uint8Array.from(three.bytes(segmentName(2)));
    const reading = readSegmentHeader(bytes);
    if (reading.kind !== 'valid') throw new Error('the header is valid');
    bytes.set(encodeSegmentHeader({ ...reading.header, uuid: '00000000-0000-4000-8000-000000000000' }));
    const strange = await told(segmentName(2), bytes);
    expect(strange.texts).toEqual(all.filter((id) => !'456'.includes(id)));
    expect(strange.losses).toEqual([lost(3)]);
    expect(strange.rig.bytes(segmentName(2))).toEqual(bytes);
  });

  it.each([
    ['to the last frame that is durable', [2]],
    ['to that frame and the next one', [2, 3]],
  ])('%s: what lies behind it waits until it is confirmed', async (_where, damaged) => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.appendFrames(first, 'one', 'two');
    await rig.world.advance(500); // The ledger knows these two.
    await rig.appendFrames(first, 'three', 'four');
    rig.crash('all');
    for (const { offset, firstId } of framesIn(rig.bytes(segmentName(1)))) {
      if (damaged.includes(firstId)) rig.disk.flipBits(`${bufferPath}/${segmentName(1)}`, offset + 50);
    }
    rig.disk.faults.inject({ fault: 'ENOSPC', operation: 'write', path: '.seg' });
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    const cursor = buffer.cursor('default');
    expect(await rig.readTo(cursor, 3)).toMatchObject([{ text: 'one' }]);
    const read = cursor.read();
    expect(await rig.within(1_000, read)).toBe('pending');
    expect([cursor.nextId, losses]).toEqual([3, [lost(1)]]);
    rig.disk.heal();
    expect((await rig.run(read))?.records[0]?.id).toBe(damaged.includes(3) ? 4 : 3);
    buffer.recount();
  });
});

describe('blocks that cannot be read', () => {
  it('reject three reads and are damage then; what lies around them is delivered', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.appendFrames(first, 'a', 'x'.repeat(9_000), 'c');
    await rig.close(first);
    rig.disk.failReads(`${bufferPath}/${segmentName(1)}`, 8192, 8193);
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    const cursor = buffer.cursor('default');
    expect(textsOf(await rig.read(cursor))).toEqual(['a']);
    for (let count = 0; count < 3; count++) await expect(rig.run(cursor.read())).rejects.toMatchObject({ kind: 'io' });
    expect(textsOf(await rig.read(cursor))).toEqual(['c']);
    expect(losses).toEqual([lost(1)]);
  });

  it('have three tries each: one that is lost does not cost the next one its own', async () => {
    const rig = new BufferRig();
    const sizes = { maxBytes: 16 * 1_048_576, segmentBytes: 4 * 1_048_576 };
    const first = await rig.open(sizes);
    for (let count = 0; count < 40; count++) await rig.run(first.append(new Uint8Array(60_000)));
    await rig.close(first);
    rig.disk.failReads(`${bufferPath}/${segmentName(1)}`, 8192, 8193);
    const buffer = await rig.open(sizes);
    const losses = listenToLosses(buffer);
    const cursor = buffer.cursor('default');
    for (let count = 0; count < 3; count++) await expect(rig.run(cursor.read())).rejects.toMatchObject({ kind: 'io' });
    (await rig.read(cursor, { maxRecords: 1 })).ack();
    rig.disk.failReads(`${bufferPath}/${segmentName(1)}`, 2_000_000, 2_000_001);
    let failures = 0;
    while (cursor.nextId < 41) {
      const delivery = await rig.readOrPass(cursor, 41).catch(() => undefined);
      if (delivery !== undefined) delivery.ack();
      else failures += 1;
      if (failures === 2) rig.disk.liftRot();
    }
    expect([failures, losses]).toEqual([2, [lost(1)]]);
  });

  it('cost nothing when they can be read again', async () => {
    const rig = three.copy();
    const path = `${bufferPath}/${segmentName(1)}`;
    rig.disk.failReads(path, 4096, 4097);
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    for (let count = 0; count < 2; count++) {
      await expect(rig.run(buffer.cursor('default').read())).rejects.toMatchObject({ kind: 'io' });
    }
    rig.disk.liftRot();
    expect(await texts(rig, buffer)).toEqual(all);
    expect(losses).toEqual([]);
  });

  it.each([
    [1, 0, 1],
    [2, 2048, 2049],
    [1, 0, 4096],
    [2, 0, 4096],
    [3, 0, 4096],
  ])('in the header of segment %i, from %i to %i, cost none of its records', async (number, from, to) => {
    const rig = three.copy();
    rig.disk.failReads(`${bufferPath}/${segmentName(number)}`, from, to);
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    const cursor = buffer.cursor('default');
    const seen: string[] = [];
    let failures = 0;
    while (cursor.nextId < 10) {
      const delivery = await rig.readOrPass(cursor, 10).catch(() => undefined);
      if (delivery === undefined) failures += 1;
      if (failures > 10) throw new Error(`stuck at ${cursor.nextId}`);
      if (delivery === undefined) continue;
      seen.push(...textsOf(delivery));
      delivery.ack();
    }
    expect([seen, losses]).toEqual([all, []]);
  });

  it('in a header, and then can, cost nothing, also where they were given up in between', async () => {
    for (let times = 1; times <= 28; times++) {
      // From then on the frames fail too when it is given up.
      const rig = three.copy();
      const buffer = await rig.open();
      const losses = listenToLosses(buffer);
      rig.disk.faults.inject({ fault: 'EIO', operation: 'read', path: segmentName(2), times });
      const cursor = buffer.cursor('default');
      const seen: string[] = [];
      for (let tries = 0; cursor.nextId < 10 && tries < 12; tries++) {
        const delivery = await rig.readOrPass(cursor, 10).catch(() => undefined);
        seen.push(...(delivery === undefined ? [] : textsOf(delivery)));
        delivery?.ack();
      }
      expect([times, seen, losses]).toEqual([times, all, []]);
    }
  });

  it('that come and go while a hint is looked up do not make the reader skip anything', async () => {
    const rig = three.copy();
    // The hint says segment 3, the record is in segment 1: three headers are read on the way.
    rig.plant('ledger', editLedger(rig.bytes('ledger'), withHint(2, 3, 4096)));
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    const cursor = buffer.cursor('default');
    rig.disk.faults.inject({ fault: 'EIO', operation: 'read', path: segmentName(2) });
    const failed = await rig.run(cursor.read().catch((cause: unknown) => cause));
    expect(failed).toMatchObject({ kind: 'io' });
    rig.disk.heal();
    expect(await texts(rig, buffer)).toEqual(all.slice(1));
    expect(losses).toEqual([]);
  });
});

describe('a newer format', () => {
  it('stops the cursor with a FormatError, and the segment stays', async () => {
    const rig = three.copy();
    const bytes = Uint8Array.from(three.bytes(segmentName(2)));
    const newer = withFeature(bytes);
    rig.plant(segmentName(2), newer);
    const buffer = await rig.open();
    const cursor = buffer.cursor('default');
    await rig.readTo(cursor, 4);
    for (let count = 0; count < 2; count++) {
      await expect(rig.run(cursor.read())).rejects.toMatchObject({ code: 'SPILLWAY_FORMAT_FEATURE' });
    }
    await rig.append(buffer, 'more');
    await rig.world.advance(1_000);
    await rig.close(buffer);
    expect(rig.bytes(segmentName(2))).toEqual(newer);
  });
});

describe('a frame with a flag of a newer format', () => {
  it.each(['closed', 'killed'])('stops the cursor before it, and the segment stays (%s)', async (ending) => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.append(first, '1', '2');
    await rig.world.advance(500);
    await rig.appendFrames(first, '3', '4');
    if (ending === 'closed') await rig.close(first);
    rig.crash('all');
    const bytes = Uint8Array.from(rig.bytes(segmentName(1)));
    const third = framesIn(bytes).find(({ firstId }) => firstId === 3);
    const at = third?.offset ?? 0;
    bytes[at + 12] = 0x10; // Encrypted.
    rig.plant(segmentName(1), resign(bytes, at));
    const buffer = await rig.open();
    const cursor = buffer.cursor('default');
    expect((await rig.readTo(cursor, 3)).map(({ text }) => text)).toEqual(['1', '2']);
    for (let count = 0; count < 2; count++) {
      await expect(rig.run(cursor.read())).rejects.toMatchObject({ code: 'SPILLWAY_FORMAT_FEATURE' });
    }
    const [id = 0] = await rig.append(buffer, 'new');
    expect(id).toBeGreaterThanOrEqual(5);
    await rig.world.advance(1_000);
    buffer.recount();
    await rig.close(buffer);
    expect(rig.bytes(segmentName(1))).toEqual(bytes);
    bytes[at + 12] = 0; // As a newer program, which knows the flag, would see it.
    rig.plant(segmentName(1), resign(bytes, at));
    const newer = await rig.open();
    const seen = await rig.readTo(newer.cursor('default'), id + 1);
    expect(seen.map(({ text }) => text)).toEqual(['3', '4', 'new']);
  });

  it('leaves a header before it alone that is none: what the newer program wrote there is not known', async () => {
    const rig = new BufferRig();
    const first = await rig.open({ durability: 'os' });
    await rig.appendFrames(first, '1', '2', '3');
    rig.crash('all');
    const bytes = Uint8Array.from(rig.bytes(segmentName(1)));
    const at = framesIn(bytes).find(({ firstId }) => firstId === 3)?.offset ?? 0;
    bytes[at + 12] = 0x10; // Encrypted.
    bytes.fill(0, 0, 4096);
    rig.plant(segmentName(1), resign(bytes, at));
    const buffer = await rig.open();
    expect((await rig.readTo(buffer.cursor('default'), 3)).map(({ text }) => text)).toEqual(['1', '2']);
    await rig.until(() => buffer.stats().state === 'open');
    expect(rig.bytes(segmentName(1))).toEqual(bytes);
    await rig.close(buffer);
  });
});

/** Puts the cursor at `nextId` with this hint. */
function withHint(nextId: number, segment: number, offset: number): Parameters<typeof editLedger>[1] {
  return (content) => ({
    ...content,
    cursors: [{ name: 'default', nextId, segment, offset, payloadBytes: nextId - 1 }],
  });
}

/** Both header copies with a feature that this build does not know. */
function withFeature(bytes: Uint8Array): Uint8Array {
  for (const start of [0, 2048]) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, 68);
    view.setUint16(10, 0x8000, true);
    view.setUint32(64, checksumPortable(bytes.subarray(start, start + 64)), true);
  }
  return bytes;
}

describe('the hint', () => {
  it('may be wrong in every way', async () => {
    const { length } = three.bytes(segmentName(2));
    const offsets = [
      0,
      8,
      4088,
      4096,
      4097,
      4104,
      4096 + 64,
      4096 + 128,
      4096 + 131,
      length - 8,
      length,
      length + 8,
      1e9,
    ];
    const cases: (readonly [number, number, number])[] = [];
    for (let nextId = 1; nextId <= 10; nextId++) {
      for (const segment of [0, 1, 2, 3, 4, 99]) {
        for (const offset of offsets) cases.push([nextId, segment, offset]);
      }
    }
    const step = byScale({ sample: 7, full: 1 });
    const only = onlyCase();
    for (const [number, [nextId, segment, offset]] of cases.entries()) {
      if (only === undefined ? number % step !== 0 : number !== only) continue;
      await repeatable({ file: import.meta.filename, name: 'may be wrong in every way', case: number }, async () => {
        const rig = three.copy(number);
        rig.plant('ledger', editLedger(rig.bytes('ledger'), withHint(nextId, segment, offset)));
        const buffer = await rig.open();
        const losses = listenToLosses(buffer);
        await rig.append(buffer, '10');
        expect([nextId, segment, offset, await texts(rig, buffer, 11)]).toEqual([
          nextId,
          segment,
          offset,
          [...all, '10'].slice(nextId - 1),
        ]);
        expect(losses).toEqual([]);
      });
    }
  });
});

describe('frames that a later segment replaces', () => {
  it('are not read: the segment behind begins with their ids', async () => {
    const rig = three.copy();
    // Segment 2 gets frames that were given up before segment 3 began: its own, again, with the ids of segment 3.
    const second = three.bytes(segmentName(2));
    const marker = new DataView(second.buffer, second.byteOffset).getUint32(40, true);
    const extra = [7, 8].map((id) => simpleFrame(marker, id, 5));
    rig.plant(segmentName(2), concat(second, ...extra));
    const buffer = await rig.open();
    expect(await texts(rig, buffer)).toEqual(all);
  });
});

describe('a file that cannot be opened for a while', () => {
  it('is asked again as long as somebody reads: nothing of it is given up', async () => {
    const rig = await BufferRig.threeSegments();
    const lift = rig.disk.faults.inject({ fault: 'EIO', operation: 'open', path: segmentName(2) });
    const buffer = await rig.open();
    const cursor = buffer.cursor('default');
    const first = await rig.read(cursor);
    expect(textsOf(first)).toEqual(['1', '2', '3']);
    first.ack();
    for (let attempt = 0; attempt < 8; attempt++) await expect(rig.read(cursor)).rejects.toThrow('EIO');
    lift();
    const seen = await rig.readTo(cursor, 10);
    expect(seen.map(({ text }) => text)).toEqual(['4', '5', '6', '7', '8', '9']);
    await rig.close(buffer);
  });
});
