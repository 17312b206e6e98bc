import { describe, expect, test } from 'vitest';
import { EventHub, type LogPosition } from '../engine/events.ts';
import { createFrameMemory, encodeFrame, encodeRecord } from '../engine/frame.ts';
import { encodeLedgerSlot, type LedgerContent } from '../engine/ledger-slot.ts';
import { encodeSegmentHeader, type SegmentHeader } from '../engine/segment-header.ts';
import { type MonitoredBuffer, PromiseBroken, PromiseMonitor, SimDisk, type SimProcess, SimWorld } from './index.ts';

const directory = '/data/buffer';
const uuid = '11111111-2222-4333-8444-555555555555';
const nothing = { events: 0, bytes: 0 };

/** A buffer that says whatever a test wants it to say, on a disk that the test writes. */
class Liar {
  readonly world: SimWorld = new SimWorld({ seed: 1 });
  readonly disk: SimDisk = new SimDisk(this.world, { directories: [directory] });
  readonly process: SimProcess = this.disk.start();
  readonly events: EventHub = new EventHub();
  readonly frontiers = { reserved: 1, written: 1, durable: 1 };
  readonly monitor: PromiseMonitor;

  constructor(durability = 'sync') {
    const stats = (): ReturnType<MonitoredBuffer['stats']> => ({ epoch: 1, durability, frontiers: this.frontiers });
    this.monitor = new PromiseMonitor({ buffer: { events: this.events, stats }, disk: this.disk, directory });
  }

  /** What the monitor made of it: undefined, or the reason why the run failed. */
  async verdict(): Promise<string | undefined> {
    try {
      await this.world.settle();
      return undefined;
    } catch (cause) {
      expect(cause).toBeInstanceOf(PromiseBroken);
      return (cause as Error).message;
    }
  }

  async write(name: string, bytes: Uint8Array, sync: 'nothing' | 'bytes' | 'name' | 'both', at = 0): Promise<void> {
    const path = `${directory}/${name}`;
    const { fileSystem } = this.process;
    await this.world.run(
      (async () => {
        const file = await fileSystem.open(path, this.disk.has(path) ? 'read_write' : 'create');
        await file.write(bytes, at);
        if (sync === 'bytes' || sync === 'both') await file.syncData();
        if (sync === 'name' || sync === 'both') await fileSystem.syncDirectory(directory);
        await file.close();
      })(),
    );
  }
}

function headerOf(segmentNumber: number, firstId: number): Uint8Array {
  const alignment = 8;
  const header: SegmentHeader = {
    formatVersion: 1,
    features: 0,
    uuid,
    segmentNumber,
    epoch: 1,
    salt: 77,
    firstId,
    createdAt: 1,
    alignment,
  };
  return encodeSegmentHeader(header);
}

/** A segment with one frame of one record. */
function segmentOf(segmentNumber: number, firstId: number): Uint8Array {
  const memory = createFrameMemory(4096 + 48 + 16);
  memory.bytes.set(headerOf(segmentNumber, firstId));
  const end = encodeRecord(memory, 4096 + 48, Uint8Array.of(1, 2, 3, 4), 1, 0);
  encodeFrame(memory, 4096, end - 4096 - 48, {
    marker: 77,
    seal: false,
    recordCount: 1,
    firstId,
    eventCount: 1,
    appendedAt: 1,
    durableId: firstId - 1,
  });
  return memory.bytes;
}

const segmentLength = 4096 + 48 + 16;

function positionOf(segment: number, nextId: number): LogPosition {
  return { segment, offset: segmentLength, nextId, payloadBytes: 4 };
}

function slotOf(generation: number, cursorId: number, change: Partial<LedgerContent> = {}): Uint8Array {
  const removed = {
    rejected: nothing,
    dropped_oldest: nothing,
    dropped_newest: nothing,
    disk_full: nothing,
    unconfirmed: nothing,
  };
  return encodeLedgerSlot(generation, {
    uuid,
    formatVersion: 1,
    epoch: 1,
    clean: false,
    writer: { segment: 1, offset: segmentLength, nextId: 2, newestSegment: 1 },
    cursors: [{ name: 'default', nextId: cursorId, segment: 1, offset: 4096, payloadBytes: 0 }],
    totals: { appended: nothing, acknowledged: nothing, removed, damaged: nothing },
    unconfirmed: [],
    ...change,
  });
}

describe('durable', () => {
  test.each([
    ['both', undefined],
    ['bytes', /would not survive/],
    ['name', /would not survive/],
    ['nothing', /would not survive/],
  ] as const)('after a sync of %s', async (sync, expected) => {
    const liar = new Liar();
    await liar.write('0000000000000001.seg', segmentOf(1, 1), sync);
    liar.events.emit('durable', positionOf(1, 2));
    expect(liar.monitor.announcements).toBe(1);
    const verdict = await liar.verdict();
    if (expected === undefined) expect(verdict).toBeUndefined();
    else expect(verdict).toMatch(expected);
  });

  test('names bytes that are not there', async () => {
    const liar = new Liar();
    await liar.write('0000000000000001.seg', headerOf(1, 1), 'both');
    liar.events.emit('durable', positionOf(1, 2));
    expect(await liar.verdict()).toMatch(/has 4096 bytes/);
  });

  test('takes the segments between two positions whole', async () => {
    const liar = new Liar();
    await liar.write('0000000000000001.seg', segmentOf(1, 1), 'both');
    liar.events.emit('durable', positionOf(1, 2));
    await liar.write('0000000000000001.seg', Uint8Array.of(9), 'nothing', segmentLength + 8);
    await liar.write('0000000000000002.seg', segmentOf(2, 2), 'both');
    liar.events.emit('durable', positionOf(2, 3));
    expect(await liar.verdict()).toMatch(/0000000000000001.seg would not survive/);
  });

  test('bytes in limbo after a failed sync do not count, whatever is synced later', async () => {
    const liar = new Liar();
    liar.disk.faults.inject({ fault: 'EIO', operation: 'sync', times: 1 });
    await expect(liar.write('0000000000000001.seg', segmentOf(1, 1), 'both')).rejects.toThrow(/sync/);
    await liar.write('0000000000000001.seg', headerOf(1, 1), 'both');
    liar.events.emit('durable', positionOf(1, 2));
    expect(await liar.verdict()).toMatch(/would not survive/);
  });
});

describe('published', () => {
  test.each([
    ['both', 'both', undefined],
    ['both', 'bytes', /would not survive/],
    ['both', 'nothing', /would not survive/],
    ['bytes', 'both', undefined],
    ['nothing', 'both', /ledger 5 says .* it would not survive/],
  ] as const)('after a sync of %s of the segment, then of %s of the ledger', async (segment, ledger, expected) => {
    const liar = new Liar();
    // The directory is synced with the ledger, so that the segment's name is durable in any case.
    await liar.write('0000000000000001.seg', segmentOf(1, 1), segment);
    await liar.write('ledger', slotOf(5, 1), ledger);
    liar.events.emit('published', { generation: 5, clean: false });
    const verdict = await liar.verdict();
    if (expected === undefined) expect(verdict).toBeUndefined();
    else expect(verdict).toMatch(expected);
  });

  test('a cursor past the log', async () => {
    const liar = new Liar();
    await liar.write('0000000000000001.seg', segmentOf(1, 1), 'both');
    await liar.write('ledger', slotOf(5, 3), 'both');
    liar.events.emit('published', { generation: 5, clean: false });
    expect(await liar.verdict()).toMatch(/cursor default at 3 is past 2/);
  });
});

describe('segment_created', () => {
  test.each([
    [slotOf(1, 1), undefined],
    [slotOf(1, 1, { epoch: 2 }), /epoch 2, clean false would survive/],
    [slotOf(1, 1, { clean: true }), /epoch 1, clean true would survive/],
    [new Uint8Array(8192), /no ledger would survive/],
  ] as const)('is compared with the ledger (%#)', async (slot, expected) => {
    const liar = new Liar();
    await liar.write('ledger', slot, 'both');
    liar.events.emit('segment_created', { segment: 1 });
    const verdict = await liar.verdict();
    if (expected === undefined) expect(verdict).toBeUndefined();
    else expect(verdict).toMatch(expected);
  });
});

describe('segment_freed', () => {
  test.each([
    [2, 2, undefined],
    [2, 1, /cursor default is at 1 in ledger 2/],
    [1, 2, /cursor default is at 1 in ledger 1/],
  ] as const)('with cursors at %i and %i in the two slots', async (first, second, expected) => {
    const liar = new Liar();
    await liar.write('0000000000000002.seg', segmentOf(2, 2), 'both');
    await liar.write('ledger', slotOf(1, first), 'both');
    await liar.write('ledger', slotOf(2, second), 'both', 8192);
    liar.events.emit('segment_freed', { segment: 1, byteLength: segmentLength });
    const verdict = await liar.verdict();
    if (expected === undefined) expect(verdict).toBeUndefined();
    else expect(verdict).toMatch(expected);
  });
});

describe('what a caller was told', () => {
  test.each([
    ['sync', 2, /append resolved for ids below 3, and durable is what lies below 2/],
    ['sync', 3, undefined],
    ['os', 2, undefined],
    ['memory', 2, undefined],
  ] as const)('append in %s with %i durable', async (durability, durable, expected) => {
    const liar = new Liar(durability);
    Object.assign(liar.frontiers, { reserved: 3, written: 3, durable });
    liar.monitor.accepted(3);
    const verdict = await liar.verdict();
    if (expected === undefined) expect(verdict).toBeUndefined();
    else expect(verdict).toMatch(expected);
  });

  test('append in os, not written; commit in os, not durable', async () => {
    const unwritten = new Liar('os');
    unwritten.monitor.accepted(3);
    expect(await unwritten.verdict()).toMatch(/written is what lies below 1/);
    const undurable = new Liar('os');
    undurable.monitor.committed(2);
    expect(await undurable.verdict()).toMatch(/commit resolved for ids below 2/);
  });

  test('nothing is heard after the end', async () => {
    const liar = new Liar();
    liar.monitor.end();
    liar.events.emit('durable', positionOf(1, 2));
    liar.events.emit('segment_created', { segment: 1 });
    expect(await liar.verdict()).toBeUndefined();
    expect(liar.monitor.announcements).toBe(0);
  });
});
