// What a start makes of what a crash, a disk or a person left behind.

import { describe, expect, it } from 'vitest';
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
} from '../../test/buffer-rig.ts';
import { checksumPortable } from '../base/checksum.ts';
import type { DiskBuffer } from './disk-buffer.ts';

const concat = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts));
const path = (number: number): string => `${bufferPath}/${segmentName(number)}`;
const garbage = (byteLength: number): Uint8Array =>
  Uint8Array.from({ length: byteLength }, (_, at) => 1 + ((at * 73) % 250));

/** One segment, of which the ledger knows `one` and `two`; `three` and `four` lie beyond it. The process was killed. */
async function unclean(): Promise<BufferRig> {
  const rig = new BufferRig();
  const buffer = await rig.open();
  await rig.appendFrames(buffer, 'one', 'two');
  await rig.world.advance(500);
  await rig.appendFrames(buffer, 'three', 'four');
  rig.crash('all');
  return rig;
}

async function texts(rig: BufferRig, buffer: DiskBuffer, endId: number): Promise<string[]> {
  return (await rig.readTo(buffer.cursor('default'), endId)).map(({ text }) => text);
}

/** Until everything found is repaired and confirmed. */
async function confirmed(rig: BufferRig, buffer: DiskBuffer): Promise<void> {
  await rig.until(() => buffer.stats().state === 'open');
}

const numbers = ['one', 'two', 'three', 'four'];

describe('the end of the last segment', () => {
  it('is cut behind the last frame, with a copy of what was torn', async () => {
    const rig = await unclean();
    const whole = rig.bytes(segmentName(1));
    const torn = garbage(61);
    rig.plant(segmentName(1), concat(whole, torn));
    const buffer = await rig.open();
    await confirmed(rig, buffer);
    expect(rig.bytes(segmentName(1))).toEqual(whole);
    expect(rig.bytes(`quarantine/${segmentName(1)}-${whole.length}-61`)).toEqual(torn);
    expect(rig.disk.nameWouldSurvive(`${bufferPath}/quarantine/${segmentName(1)}-${whole.length}-61`)).toBe(true);
    expect(await texts(rig, buffer, 5)).toEqual(numbers);
  });

  it('is cut without a copy where it is zeros', async () => {
    const rig = await unclean();
    const whole = rig.bytes(segmentName(1));
    rig.plant(segmentName(1), concat(whole, new Uint8Array(3_000)));
    const buffer = await rig.open();
    await confirmed(rig, buffer);
    expect(rig.bytes(segmentName(1))).toEqual(whole);
    expect(rig.names().filter((name) => name.startsWith('quarantine'))).toEqual([]);
  });

  it('is never cut where it cannot be read, and ids that may hide there are not given again', async () => {
    const rig = await unclean();
    const whole = rig.bytes(segmentName(1));
    const long = concat(whole, garbage(3 * 4096));
    rig.plant(segmentName(1), long);
    const hidden = 2 * 4096;
    rig.disk.failReads(path(1), hidden, hidden + 1);
    const buffer = await rig.open();
    await confirmed(rig, buffer);
    const [id = 0] = await rig.append(buffer, 'new');
    expect(id).toBeGreaterThan(5 + 4096);
    rig.disk.liftRot();
    expect(rig.bytes(segmentName(1))).toEqual(long);
    await rig.close(buffer);
  });

  it.each([
    ['a header', (header: Uint8Array) => header],
    ['a torn header', (header: Uint8Array) => header.subarray(0, 1000)],
    ['nothing', () => new Uint8Array(0)],
    ['zeros', () => new Uint8Array(9_000)],
    ['a header and zeros', (header: Uint8Array) => concat(header, new Uint8Array(500))],
  ])('is removed where it holds only %s', async (_what, make) => {
    const rig = await unclean();
    const other = rig.copy();
    const next = await other.open();
    await other.append(next, 'x');
    rig.plant(segmentName(2), make(other.bytes(segmentName(2)).slice(0, 4096)));
    const buffer = await rig.open();
    await confirmed(rig, buffer);
    expect(rig.segments()).toEqual([segmentName(1)]);
    expect(rig.names().filter((name) => name.startsWith('quarantine'))).toEqual([]);
    await rig.append(buffer, 'five');
    expect(rig.segments()).toEqual([segmentName(1), segmentName(3)]); // A number is never given twice.
    expect(await texts(rig, buffer, 6)).toEqual([...numbers, 'five']);
  });

  it.each([
    ['behind a header', true],
    ['without a header', false],
  ])('is removed with a copy where it holds torn bytes %s', async (_what, hasHeader) => {
    const rig = await unclean();
    const header = rig.bytes(segmentName(1)).slice(0, 4096);
    for (const copy of [0, 2048]) header[copy + 30] = 1; // Neither checksum holds.
    const bytes = hasHeader
      ? concat(rig.bytes(segmentName(1)).slice(0, 4096), garbage(500))
      : concat(header, garbage(500));
    rig.plant(segmentName(2), hasHeader ? renumbered(bytes, 2) : bytes);
    const buffer = await rig.open();
    await confirmed(rig, buffer);
    expect(rig.segments()).toEqual([segmentName(1)]);
    expect(rig.names()).toContain(`quarantine/${segmentName(2)}-0-4596`);
  });

  it('stays where neither header nor frames can be read', async () => {
    const rig = await unclean();
    const bytes = garbage(12_288);
    rig.plant(segmentName(2), bytes);
    rig.disk.failReads(path(2), 4096, 12_288);
    const buffer = await rig.open();
    await confirmed(rig, buffer);
    await rig.append(buffer, 'five');
    await rig.close(buffer);
    rig.disk.liftRot();
    expect(rig.bytes(segmentName(2))).toEqual(bytes);
  });

  it('stays where its header cannot be read, and is delivered when it can', async () => {
    const rig = await unclean();
    const bytes = rig.bytes(segmentName(1));
    rig.disk.failReads(path(1), 0, 4096);
    const buffer = await rig.open();
    await rig.append(buffer, 'new');
    rig.disk.liftRot();
    expect(rig.bytes(segmentName(1))).toEqual(bytes);
    const cursor = buffer.cursor('default');
    const seen: string[] = [];
    const endId = buffer.stats().frontiers.durable;
    while (cursor.nextId < endId)
      seen.push(...(await rig.readTo(cursor, endId).catch(() => [])).map(({ text }) => text));
    expect(seen).toEqual([...numbers, 'new']);
  });
});

describe('confirming', () => {
  it('writes what lies beyond the ledger again, and only then says that it is durable', async () => {
    const rig = new BufferRig();
    const first = await rig.open({ durability: 'os' });
    await rig.appendFrames(first, 'one', 'two');
    rig.kill();
    const { length } = rig.bytes(segmentName(1));
    expect(rig.disk.wouldSurvive(path(1), 4096, length)).toBe(false);
    const before = rig.disk.callCount;
    const opening = rig.opening();
    const buffer = await rig.run(opening);
    const survives: boolean[] = [];
    buffer.events.on('durable', () => survives.push(rig.disk.wouldSurvive(path(1), 0, length)));
    await confirmed(rig, buffer);
    expect(survives).toEqual([true]);
    const writes = rig.disk.calls.filter((call) => call.number > before && call.operation === 'write');
    const rewritten = writes.filter((call) => call.path === path(1)).map((call) => [call.offset, call.byteLength]);
    expect(rewritten).toEqual([[0, length]]);
    rig.crash('none');
    expect(await texts(rig, await rig.open(), 3)).toEqual(['one', 'two']);
  });

  it('is repeated from the start when the disk is full in the middle, and copies nothing twice', async () => {
    const rig = await unclean();
    const whole = rig.bytes(segmentName(1));
    rig.plant(segmentName(1), concat(whole, garbage(61)));
    rig.disk.faults.inject({ fault: 'ENOSPC', operation: 'write', path: segmentName(1), times: 3 });
    const buffer = await rig.open();
    const states = new Set<string>();
    await rig.until(() => {
      states.add(buffer.stats().state);
      return buffer.stats().state === 'open';
    });
    expect(states).toContain('stalled');
    expect(rig.bytes(segmentName(1))).toEqual(whole);
    expect(rig.names().filter((name) => name.startsWith('quarantine/'))).toHaveLength(1);
    expect(await texts(rig, buffer, 5)).toEqual(numbers);
  });

  it('fails the buffer when its sync fails; a restart reads everything', async () => {
    const rig = await unclean();
    rig.disk.faults.inject({ fault: 'EIO', operation: 'sync', path: '.seg' });
    const buffer = await rig.open();
    await rig.until(() => buffer.stats().state === 'failed');
    await expect(buffer.append(bytesOf('x'))).rejects.toMatchObject({ kind: 'io' });
    await rig.run(buffer.close().catch(() => undefined));
    rig.disk.heal();
    expect(await texts(rig, await rig.open(), 5)).toEqual(numbers);
  });

  it('reads no frame that lies before the hint', async () => {
    const rig = new BufferRig();
    const first = await rig.open({ maxBytes: 8 * 1_048_576 });
    for (let count = 0; count < 20; count++) await rig.run(first.append(new Uint8Array(50_000)));
    await rig.world.advance(500);
    await rig.append(first, 'beyond');
    rig.crash('all');
    const before = rig.disk.callCount;
    const buffer = await rig.open({ maxBytes: 8 * 1_048_576 });
    const reads = rig.disk.calls.filter((call) => call.number > before && call.operation === 'read');
    const inSegments = reads.filter((call) => call.path.endsWith('.seg'));
    expect(new Set(inSegments.map((call) => call.path)).size).toBeLessThanOrEqual(2);
    expect(buffer.stats().backlog.events).toBe(21);
  });
});

describe('a lost ledger', () => {
  const losses = [
    ['zeros', (ledger: Uint8Array) => new Uint8Array(ledger.length)],
    ['garbage', (ledger: Uint8Array) => garbage(ledger.length)],
    ['an empty file', () => new Uint8Array(0)],
  ] as const;

  it.each(losses)('(%s) costs repeats and no record, and no id and no key is given twice', async (_what, make) => {
    const rig = await BufferRig.threeSegments();
    const uuid = (await rig.copy().open()).stats().uuid;
    rig.plant('ledger', make(rig.bytes('ledger')));
    const buffer = await rig.open();
    expect(buffer.stats()).toMatchObject({ uuid, epoch: 2 });
    expect(await rig.append(buffer, 'new')).toEqual([10]);
    // `from` is ignored: who knows what this cursor had seen.
    const late = buffer.cursor('late', { from: 'newest' });
    expect((await rig.readTo(late, 11)).map(({ text }) => text)).toEqual([...'123456789', 'new']);
    const seen = await rig.readTo(buffer.cursor('default'), 11);
    expect(seen.map(({ key }) => key.slice(37))).toEqual([...'123456789'].map((id) => `1-${id}`).concat('2-10'));
    buffer.recount();
  });

  it.each(['a stranger first', 'garbage first', 'strangers last', 'garbage last', 'an unreadable first header'])(
    'and %s cost no record',
    async (what) => {
      const rig = await BufferRig.threeSegments();
      const other = new BufferRig({ seed: 5 });
      await other.append(await other.open(), 'foreign');
      const foreign = other.bytes(segmentName(1));
      rig.plant('ledger', new Uint8Array(16_384));
      if (what === 'a stranger first') rig.plant(segmentName(0), foreign);
      if (what === 'garbage first') rig.plant(segmentName(0), garbage(5_000));
      if (what === 'strangers last') for (const number of [8, 9]) rig.plant(segmentName(number), foreign);
      if (what === 'garbage last') for (const number of [8, 9]) rig.plant(segmentName(number), garbage(5_000));
      if (what === 'an unreadable first header') rig.disk.failReads(path(1), 0, 4096);
      const buffer = await rig.open();
      await confirmed(rig, buffer);
      await rig.append(buffer, 'new');
      const endId = buffer.stats().frontiers.durable;
      const cursor = buffer.cursor('default');
      const seen: string[] = [];
      for (let tries = 0; cursor.nextId < endId && tries < 8; tries++) {
        await rig.readTo(cursor, endId).then(
          (records) => seen.push(...records.map(({ text }) => text)),
          () => undefined,
        );
      }
      expect(seen).toEqual([...'123456789', 'new']);
      buffer.recount();
    },
  );

  it('of one slot costs repeats at most', async () => {
    for (const slot of [0, 1]) {
      const rig = await BufferRig.threeSegments();
      const ledger = Uint8Array.from(rig.bytes('ledger'));
      rig.plant('ledger', ledger.fill(0, 8192 * slot, 8192 * (slot + 1)));
      const buffer = await rig.open();
      expect(buffer.stats().epoch).toBe(2); // The other slot may be a publish behind.
      expect(await texts(rig, buffer, 10)).toEqual([...'123456789']);
      await rig.close(buffer);
      expect((await rig.open()).stats().epoch).toBe(2);
    }
  });
});

describe('headers', () => {
  it.each([
    ['the first copy', 0, 100],
    ['the second copy', 2048, 2148],
    ['both copies', 0, 4096],
  ])('%s lost, in any segment, costs nothing', async (_what, from, to) => {
    for (const number of [1, 2, 3]) {
      const rig = await BufferRig.threeSegments();
      rig.plant(segmentName(number), Uint8Array.from(rig.bytes(segmentName(number))).fill(0xee, from, to));
      // Not clean: what lies at the hint is looked at, too.
      rig.plant(
        'ledger',
        editLedger(rig.bytes('ledger'), (content) => ({ ...content, clean: false })),
      );
      const buffer = await rig.open();
      await rig.append(buffer, 'new');
      expect(await texts(rig, buffer, 11)).toEqual([...'123456789', 'new']);
      buffer.recount();
    }
  });
});

describe('what is missing', () => {
  /** Frames of one record, written by one commit, so that none of them knows that another one is durable. */
  async function together(count: number): Promise<BufferRig> {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await rig.append(buffer, 'first');
    await rig.world.advance(500);
    const batches = Array.from({ length: count }, (_, at) => buffer.appendBatch([{ payload: bytesOf(`${at + 2}`) }]));
    await rig.run(Promise.all(batches));
    rig.crash('all');
    return rig;
  }

  function withoutFrames(segment: Uint8Array, ids: readonly number[]): Uint8Array {
    const bytes = Uint8Array.from(segment);
    for (const { offset, byteLength, firstId } of framesIn(segment)) {
      if (ids.includes(firstId)) bytes.fill(0, offset, offset + byteLength);
    }
    return bytes;
  }

  const sum = (losses: readonly Lost[], reason: Lost['reason']): number =>
    losses.reduce((total, lost) => total + (lost.reason === reason ? lost.events : 0), 0);

  it('is unconfirmed above what was known to be durable, and stays so across restarts until it is passed', async () => {
    const rig = await together(4);
    rig.plant(segmentName(1), withoutFrames(rig.bytes(segmentName(1)), [3, 4]));
    await confirmed(rig, await rig.open());
    rig.kill();
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    expect(await texts(rig, buffer, 6)).toEqual(['first', '2', '5']);
    expect([sum(losses, 'unconfirmed'), sum(losses, 'damaged')]).toEqual([2, 0]);
    expect(buffer.stats().totals.removed.unconfirmed.events).toBe(2);
    await rig.close(buffer);
    expect((await rig.open()).stats().totals.removed.unconfirmed.events).toBe(2);
  });

  it('is damaged where a later frame says that it had been durable', async () => {
    const rig = await unclean();
    const frames = framesIn(rig.bytes(segmentName(1)));
    rig.plant(segmentName(1), flipped(rig.bytes(segmentName(1)), (frames[2]?.offset ?? 0) + 50));
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    expect(await texts(rig, buffer, 5)).toEqual(['one', 'two', 'four']);
    expect(losses).toEqual([{ reason: 'damaged', events: 1, bytes: 0, cursor: 'default' }]);
  });

  it('is damaged where the ledger says that it had been durable', async () => {
    const rig = await unclean();
    rig.plant(segmentName(1), withoutFrames(rig.bytes(segmentName(1)), [2]));
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    expect(await texts(rig, buffer, 5)).toEqual(['one', 'three', 'four']);
    expect(losses).toMatchObject([{ reason: 'damaged', events: 1 }]);
  });

  it('is damaged in whole where the end of the log is gone and the ledger had been beyond it', async () => {
    const rig = await unclean();
    const [, second] = framesIn(rig.bytes(segmentName(1)));
    rig.plant(segmentName(1), rig.bytes(segmentName(1)).slice(0, second?.offset));
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    expect(await rig.append(buffer, 'new')).toEqual([3]);
    expect(await texts(rig, buffer, 4)).toEqual(['one', 'new']);
    expect(losses).toMatchObject([{ reason: 'damaged', events: 1 }]);
  });

  it('counts as damaged from the seventeenth range on', async () => {
    const rig = await together(41);
    const missing = Array.from({ length: 20 }, (_, at) => 2 * at + 3);
    rig.plant(segmentName(1), withoutFrames(rig.bytes(segmentName(1)), missing));
    const buffer = await rig.open();
    const losses = listenToLosses(buffer);
    expect(await texts(rig, buffer, 43)).toHaveLength(22);
    expect([sum(losses, 'unconfirmed'), sum(losses, 'damaged')]).toEqual([16, 4]);
    buffer.recount();
  });
});

/** The same header with another segment number. */
function renumbered(bytes: Uint8Array, number: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (const start of [0, 2048]) {
    const view = new DataView(copy.buffer, start, 68);
    view.setUint32(28, number, true);
    view.setUint32(64, checksumPortable(copy.subarray(start, start + 64)), true);
  }
  return copy;
}
