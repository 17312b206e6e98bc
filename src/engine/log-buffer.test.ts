// Slots and frames in memory (F6..F13, F20, L9..L12).
import { describe, expect, test } from 'vitest';
import { segmentHeader } from '../../test/writing-side.ts';
import { KiB } from '../base/units.ts';
import { eventsPerRecordMax, frameBytes, readFrame, recordBytes, recordsPerFrameMax } from './frame.ts';
import { type DiskBufferOptions, type Limits, resolveLimits } from './limits.ts';
import { LogBuffer, type WriteJob } from './log-buffer.ts';
import { sealBytes } from './log-buffer-slots.ts';

const room = Number.MAX_SAFE_INTEGER;
const now = 1_750_000_000_000;

/** A log buffer and what the writer does with it, without a check for room. */
class Log {
  readonly limits: Limits;
  readonly buffer: LogBuffer;
  segments = 0;

  constructor(options: Partial<DiskBufferOptions> = {}, start = { nextId: 1, payloadBytes: 0 }) {
    this.limits = resolveLimits({ path: '/data', maxBytes: 1024 * KiB, ...options });
    this.buffer = new LogBuffer(this.limits, start);
  }

  /** Appends as the writer does: to the open frame if it fits, else to the cheapest new place. */
  append(byteLength: number, events = 1, fill = 7): number {
    const bodyBytes = recordBytes(byteLength);
    if (!this.buffer.fits(bodyBytes, events)) this.place(bodyBytes);
    return this.buffer.append(new Uint8Array(byteLength).fill(fill), events, 0);
  }

  place(bodyBytes: number, growth = room): string {
    const placement = this.buffer.placementOfFrame(bodyBytes);
    if (placement === 'new_segment') {
      this.buffer.sealSegment(0, now);
      this.segments += 1;
      this.buffer.startSegment(segmentHeader(this.segments, this.buffer.nextId));
    } else {
      this.buffer.closeFrame(0, false);
    }
    this.buffer.openFrame(bodyBytes, placement, growth, now);
    return placement;
  }

  close(): void {
    this.buffer.closeFrame(0, false);
  }

  takeAll(): WriteJob[] {
    const jobs: WriteJob[] = [];
    for (let job = this.buffer.take(true); job !== undefined; job = this.buffer.take(true)) jobs.push(job);
    return jobs;
  }

  /** Takes and releases all that is closed; what was in it. */
  writeAll(): Found[] {
    const jobs = this.takeAll();
    const found = framesOf(jobs);
    for (const job of jobs) this.buffer.release(job.end);
    return found;
  }
}

interface Found {
  readonly offset: number;
  readonly firstId: number;
  readonly nextId: number;
  readonly records: number;
  readonly seal: boolean;
}

/** The frames that the jobs would write, each at its place; throws where a job does not begin where one may. */
function framesOf(jobs: readonly WriteJob[]): Found[] {
  const found: Found[] = [];
  for (const job of jobs) {
    const view = new DataView(job.bytes.buffer, job.bytes.byteOffset, job.bytes.length);
    for (let at = 0; at < job.bytes.length; ) {
      const reading = readFrame(job.bytes, view, at, job.bytes.length, job.segment.salt);
      if (reading.kind !== 'frame') throw new Error(`no frame at ${at}: ${reading.kind}`);
      const { firstId, nextId, recordCount: records, seal } = reading.frame;
      found.push({ offset: job.offset + at, firstId, nextId, records, seal });
      at += reading.frame.byteLength;
    }
  }
  return found;
}

describe('a frame is closed', () => {
  test('at 65,535 records', () => {
    const log = new Log({ maxBytes: 64 * 1024 * KiB, frameBytesMax: 1024 * KiB - 64 });
    for (let count = 0; count < recordsPerFrameMax; count++) log.append(0);
    expect(log.buffer.fits(recordBytes(0), 1)).toBe(false);
    log.append(0);
    log.close();
    expect(framesOf(log.takeAll()).map(({ records }) => records)).toEqual([65_535, 1]);
  });

  test('before its body passes frameBytesMax, to the byte', () => {
    const log = new Log({ frameBytesMax: 4 * KiB });
    log.append(4 * KiB - 12 - 16);
    expect(log.buffer.fits(16, 1)).toBe(true);
    expect(log.buffer.fits(20, 1)).toBe(false);
    log.append(4);
    expect(log.buffer.fits(recordBytes(0), 1)).toBe(false);
  });

  test('before its event sum overflows', () => {
    const log = new Log();
    for (let count = 0; count < 255; count++) log.append(0, eventsPerRecordMax);
    expect(log.buffer.fits(recordBytes(0), eventsPerRecordMax - 1)).toBe(true);
    expect(log.buffer.fits(recordBytes(0), eventsPerRecordMax)).toBe(false);
    expect(log.append(0, eventsPerRecordMax)).toBe(1 + 255 * eventsPerRecordMax);
    log.close();
    expect(framesOf(log.takeAll()).map(({ records }) => records)).toEqual([255, 1]);
  });

  test('when it has no more room than the writer has admitted', () => {
    const log = new Log();
    log.place(recordBytes(100), 160);
    log.append(100);
    expect(log.buffer.fits(48, 1)).toBe(true);
    expect(log.buffer.fits(49, 1)).toBe(false);
  });

  test('and one without records is none', () => {
    const log = new Log();
    log.close();
    log.place(recordBytes(1));
    log.close();
    expect(log.takeAll()).toEqual([]);
    expect(log.buffer.hasOpenRecords).toBe(false);
  });
});

test('L10, V11: ids count events, without gaps, across frames, slots and segments', () => {
  const log = new Log({}, { nextId: 1000, payloadBytes: 5 });
  const frames: Found[] = [];
  let next = 1000;
  for (let count = 0; count < 400; count++) {
    const events = 1 + (count % 5);
    expect(log.append(1 + ((count * 97) % 3000), events)).toBe(next);
    next += events;
    frames.push(...log.writeAll());
  }
  log.close();
  frames.push(...log.writeAll());
  let at = 1000;
  for (const frame of frames) {
    expect(frame.firstId).toBe(at);
    at = frame.nextId;
  }
  expect(at).toBe(next);
  expect(log.segments).toBeGreaterThan(2);
});

test('F7, F19: what is written is contiguous: slots leave no gap in a segment', () => {
  const log = new Log({ frameBytesMax: 4 * KiB });
  for (let count = 0; count < 300; count++) log.append(1 + ((count * 211) % 2000));
  log.close();
  const ends = new Map<number, number>();
  for (const job of log.takeAll()) {
    const { segmentNumber } = job.segment;
    expect(job.offset).toBe(ends.get(segmentNumber) ?? 4096);
    ends.set(segmentNumber, job.offset + job.bytes.length);
    expect(job.end).toMatchObject({ segment: segmentNumber, offset: job.offset + job.bytes.length });
  }
  for (const end of ends.values()) expect(end).toBeLessThanOrEqual(log.limits.segmentBytes);
});

test('F10: closed frames of a full slot are taken at once, those of the slot that fills only on request', () => {
  const log = new Log();
  log.append(100);
  log.close();
  expect(log.buffer.take(false)).toBeUndefined();
  expect(log.buffer.bytesToTake).toBe(frameBytes(recordBytes(100)));
  const job = log.buffer.take(true);
  expect(job?.offset).toBe(4096);
  expect(log.buffer.bytesToTake).toBe(0);
  expect(log.buffer.take(true)).toBeUndefined();
  log.append(60 * KiB);
  log.append(60 * KiB);
  expect(framesOf([log.buffer.take(false) as WriteJob])).toHaveLength(1);
});

test('F13: memory that is used again shows nothing of what it held: padding is zeros', () => {
  const log = new Log();
  for (let round = 0; round < 4 * log.limits.slotsMax; round++) {
    for (const fill of [0xff, 1]) {
      log.append(fill === 1 ? 1 : 30_000, 1, fill);
      log.close();
    }
    for (const job of log.takeAll()) {
      const view = new DataView(job.bytes.buffer, job.bytes.byteOffset);
      for (let at = 0; at < job.bytes.length; ) {
        const reading = readFrame(job.bytes, view, at, job.bytes.length, job.segment.salt);
        if (reading.kind !== 'frame') throw new Error(reading.kind);
        const { byteLength, payloadBytes, recordCount } = reading.frame;
        const padding = job.bytes.subarray(at + 48 + 12 * recordCount + payloadBytes, at + byteLength);
        expect(padding.every((byte) => byte === 0)).toBe(true);
        at += byteLength;
      }
      log.buffer.release(job.end);
    }
  }
});

test('I6.3: what is taken does not change while appends go on behind it', () => {
  const log = new Log();
  log.append(100, 1, 1);
  log.close();
  const job = log.buffer.take(true) as WriteJob;
  const copy = job.bytes.slice();
  for (let count = 0; count < 2000; count++) log.append(100, 1, 2);
  expect(Buffer.compare(copy, job.bytes)).toBe(0);
});

describe('a record larger than a slot', () => {
  test('F11: travels in a buffer of its own, in its place', () => {
    const log = new Log();
    log.append(100, 1, 1);
    log.append(100 * KiB, 1, 2);
    log.append(10, 1, 3);
    log.close();
    const frames = framesOf(log.takeAll());
    expect(frames.map(({ firstId, seal }) => ({ firstId, seal }))).toEqual([
      { firstId: 1, seal: false },
      { firstId: 2, seal: false },
      { firstId: 3, seal: false },
    ]);
    expect(frames.map(({ offset }) => offset)).toEqual([
      4096,
      4096 + frameBytes(recordBytes(100)),
      4096 + frameBytes(recordBytes(100)) + frameBytes(recordBytes(100 * KiB)),
    ]);
  });

  test('has memory only when the one before it is safe, also while that one is the last of the log', () => {
    const log = new Log({ maxBytes: 8192 * KiB });
    const body = recordBytes(300 * KiB);
    log.append(300 * KiB);
    expect(log.buffer.hasMemoryFor(body, 'new_slot')).toBe(false);
    log.close();
    const [job] = log.takeAll();
    expect(log.buffer.hasMemoryFor(body, 'new_slot')).toBe(false);
    expect(log.buffer.isShortOfMemory).toBe(true);
    log.buffer.release((job as WriteJob).end);
    expect(log.buffer.hasMemoryFor(body, 'new_slot')).toBe(true);
    expect(log.buffer.isShortOfMemory).toBe(false);
    log.append(300 * KiB);
    expect(log.buffer.hasMemoryFor(body, 'new_slot')).toBe(false);
  });
});

describe('slots come back', () => {
  test('F9: only when all of them are out does a record have no memory', () => {
    const log = new Log();
    for (let count = 0; count < log.limits.slotsMax; count++) {
      expect(log.buffer.hasMemoryFor(recordBytes(60 * KiB), 'new_slot')).toBe(true);
      log.append(60 * KiB);
    }
    expect(log.buffer.hasMemoryFor(recordBytes(60 * KiB), 'new_slot')).toBe(false);
    expect(log.buffer.hasMemoryFor(recordBytes(1), 'new_frame')).toBe(true);
  });

  test('in the order of the log, up to the place that is safe, the one that fills never', () => {
    const log = new Log();
    for (let count = 0; count < log.limits.slotsMax; count++) log.append(60 * KiB);
    log.close();
    const jobs = log.takeAll();
    log.buffer.release((jobs[0] as WriteJob).end);
    expect(log.buffer.hasMemoryFor(recordBytes(60 * KiB), 'new_slot')).toBe(true);
    log.append(60 * KiB);
    expect(log.buffer.hasMemoryFor(recordBytes(60 * KiB), 'new_slot')).toBe(false);
    for (const job of [...jobs, ...log.takeAll()]) log.buffer.release(job.end);
    let free = 0;
    while (log.buffer.hasMemoryFor(recordBytes(60 * KiB), 'new_slot')) {
      log.append(60 * KiB);
      free += 1;
    }
    expect(free).toBe(log.limits.slotsMax - 1);
  });

  test('a seal on its way keeps its slot, though every record before it is safe', () => {
    const log = new Log();
    log.append(60 * KiB);
    log.append(50 * KiB);
    log.close();
    const before = log.takeAll();
    log.place(recordBytes(40 * KiB)); // Rolls: the slot in use gets a seal.
    log.append(40 * KiB);
    const seal = log.buffer.take(false) as WriteJob;
    expect(framesOf([seal])).toMatchObject([{ records: 0, seal: true }]);
    const copy = seal.bytes.slice();
    log.buffer.release((before.at(-1) as WriteJob).end); // A sync that began before the seal was written.
    while (log.buffer.hasMemoryFor(recordBytes(60 * KiB), 'new_slot')) log.append(60 * KiB, 1, 9);
    expect(Buffer.compare(copy, seal.bytes)).toBe(0);
  });
});

describe('the tail', () => {
  test('is found in memory, also after it was released, until its slot is used again', () => {
    const log = new Log();
    log.append(100);
    log.close();
    log.append(50);
    const found = log.buffer.find(1, 4096);
    expect(found?.base).toBe(4096);
    expect(found?.closedEnd).toBe(frameBytes(recordBytes(100)));
    expect(log.buffer.find(1, 4096 + frameBytes(recordBytes(100)))).toBeUndefined(); // In an open frame.
    expect(log.buffer.find(2, 4096)).toBeUndefined();
    log.append(60 * KiB);
    for (const job of log.takeAll()) log.buffer.release(job.end);
    expect(log.buffer.find(1, 4096)).toBeDefined();
    for (let count = 0; count < 2 * log.limits.slotsMax; count++) {
      log.append(60 * KiB);
      log.close();
      for (const job of log.takeAll()) log.buffer.release(job.end);
    }
    expect(log.buffer.find(1, 4096)).toBeUndefined();
  });
});

describe('a segment ends', () => {
  test('with a flag on the frame that is open', () => {
    const log = new Log();
    log.append(100);
    log.buffer.sealSegment(0, now);
    expect(framesOf(log.takeAll())).toMatchObject([{ records: 1, seal: true }]);
  });

  test('with an empty frame if none is open, for which there is always room', () => {
    const log = new Log({ frameBytesMax: 4 * KiB });
    const { segmentBytes } = log.limits;
    // The largest record there can be leaves room for its seal, and so does a segment filled to the last byte.
    log.append(log.limits.maxRecordBytes - 12);
    log.close();
    log.buffer.sealSegment(0, now);
    const [, seal] = framesOf(log.takeAll());
    expect(seal).toMatchObject({ records: 0, seal: true });
    expect(seal?.offset).toBeLessThanOrEqual(segmentBytes - sealBytes);
  });

  test('and the next one begins when a frame and a seal would not fit any more', () => {
    const log = new Log();
    const free = (): number => log.limits.segmentBytes - sealBytes - 4096;
    log.append(50 * KiB);
    log.close();
    const left = free() - frameBytes(recordBytes(50 * KiB));
    expect(log.buffer.placementOfFrame(left - 48)).toBe('new_slot');
    expect(log.buffer.placementOfFrame(left - 40)).toBe('new_segment');
  });
});

test('I6.5: plannedBytes is what the files will hold, whatever is appended', () => {
  const log = new Log({ frameBytesMax: 4 * KiB });
  let written = 0;
  for (let count = 0; count < 500; count++) {
    const byteLength = (count * 7919) % (count % 17 === 0 ? 90_000 : 5000);
    const bodyBytes = recordBytes(byteLength);
    const planned = log.buffer.plannedBytes;
    if (!log.buffer.fits(bodyBytes, 1)) {
      const placement = log.buffer.placementOfFrame(bodyBytes);
      const cost = log.buffer.costOfFrame(bodyBytes, placement);
      const openBefore = log.buffer.hasOpenRecords;
      log.place(bodyBytes);
      log.append(byteLength);
      // A frame that is open when its segment ends carries the seal that was planned for.
      const carried = placement === 'new_segment' && openBefore && log.segments > 1 ? sealBytes : 0;
      expect(log.buffer.plannedBytes - planned).toBe(cost - carried);
    } else {
      log.append(byteLength);
      expect(log.buffer.plannedBytes - planned).toBeLessThanOrEqual(bodyBytes + 7);
    }
    if (count % 3 === 0) log.close();
    for (const job of log.takeAll()) {
      written += job.bytes.length;
      log.buffer.release(job.end);
    }
  }
  log.buffer.sealSegment(0, now);
  for (const job of log.takeAll()) written += job.bytes.length;
  expect(log.buffer.plannedBytes).toBe(written + 4096 * log.segments);
});
