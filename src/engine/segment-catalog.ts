// Chapter 4, continued. The catalog: which segment files there are, in order, and what is known of each.
//
// Opening a buffer must cost the same whatever the backlog, so the catalog starts from a directory listing alone: names
// and lengths. A segment's header is read when somebody needs it for the first time.
//
// I4.1  segments are held in ascending order of their numbers, and a number is never given twice
// I4.2  the sum of byteLength over all segments is what their files take on disk, as far as writes have resolved
//
// A file whose header names another number or buffer is a stranger: not read, not deleted, counted in disk bytes. One
// with a newer format is held for a newer program. One with two bad headers is rebuilt from its frames.
//
// Next: segment-quarantine.ts, where copies of damaged bytes go.

import { assert } from '../base/assert.ts';
import { DamageError, FormatError, isStorageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import type { FileHandle, FileSystem } from '../platform/file-system.ts';
import type { EventHub } from './events.ts';
import { frameAlignment } from './frame.ts';
import {
  formatVersion,
  readSegmentHeader,
  type SegmentHeader,
  segmentHeaderBytes,
  segmentHeaderCopyOffset,
} from './segment-header.ts';
import { recoverSalt } from './segment-salt.ts';
import { SegmentWalk } from './segment-walk.ts';
import type { UnreadableMode } from './segment-window.ts';

/**
 * What is known of a segment. `unread`: name and length only. `known`: its header says so. `rebuilt`: both headers were
 * bad. `empty`: both headers were bad and there is no frame to rebuild them from. `stranger`: belongs to another buffer
 * or number. `newer`: written by a newer format.
 */
export type SegmentState = 'unread' | 'known' | 'rebuilt' | 'empty' | 'stranger' | 'newer';

export interface Segment {
  readonly number: number;
  readonly path: string;
  /** Bytes on disk, as far as writes have resolved. */
  byteLength: number;
  /** Whether all is written that ever will be. */
  complete: boolean;
  /** Whether its file is being removed: nobody begins to read here any more. */
  leaving: boolean;
  state: SegmentState;
  /** Present in the states `known` and `rebuilt`. */
  header: SegmentHeader | undefined;
  describing: Promise<void> | undefined;
}

export class SegmentCatalog {
  readonly #fileSystem: FileSystem;
  readonly #events: EventHub;
  readonly #segments: Segment[] = [];
  /** The buffer that segments must belong to; the epoch for a rebuilt segment that nothing follows. */
  #identity: { readonly uuid: string; readonly epoch: number } | undefined;

  constructor(fileSystem: FileSystem, events: EventHub) {
    this.#fileSystem = fileSystem;
    this.#events = events;
  }

  /** In ascending order of their numbers. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }

  get first(): Segment | undefined {
    return this.#segments[0];
  }

  get last(): Segment | undefined {
    return this.#segments.at(-1);
  }

  /** What all segment files take on disk. */
  get byteLength(): number {
    let sum = 0;
    for (const segment of this.#segments) sum += segment.byteLength;
    return sum;
  }

  /** Says whose segments these are; needed before anything is described. */
  identify(uuid: string, epoch: number): void {
    this.#identity = { uuid, epoch };
    for (const segment of this.#segments) {
      // Rebuilt before the epoch of this open was known.
      if (segment.state === 'rebuilt' && segment.header?.epoch === 0) segment.header = { ...segment.header, epoch };
    }
  }

  /** A segment that was found on disk. */
  add(segmentNumber: number, path: string, byteLength: number): Segment {
    return this.#insert({
      number: segmentNumber,
      path,
      byteLength,
      complete: true,
      leaving: false,
      state: 'unread',
      header: undefined,
      describing: undefined,
    });
  }

  /** A segment that the writer has begun. */
  addCreated(header: SegmentHeader, path: string): Segment {
    return this.#insert({
      number: header.segmentNumber,
      path,
      byteLength: 0,
      complete: false,
      leaving: false,
      state: 'known',
      header,
      describing: undefined,
    });
  }

  remove(segment: Segment): void {
    const at = this.#segments.indexOf(segment);
    assert(at >= 0, 'a segment is removed once', { segment: segment.number });
    this.#segments.splice(at, 1);
  }

  /** The segment with this number, if it is still there. */
  at(segmentNumber: number): Segment | undefined {
    const at = this.#indexFrom(segmentNumber);
    const segment = this.#segments[at];
    return segment?.number === segmentNumber ? segment : undefined;
  }

  /** The first segment whose number is at least this. */
  from(segmentNumber: number): Segment | undefined {
    return this.#segments[this.#indexFrom(segmentNumber)];
  }

  /** The segment before this number, strangers left out. */
  before(segmentNumber: number): Segment | undefined {
    let at = this.#indexFrom(segmentNumber) - 1;
    while (this.#segments[at]?.state === 'stranger') at -= 1;
    return this.#segments[at];
  }

  /** The segment that follows, strangers left out. */
  after(segmentNumber: number): Segment | undefined {
    let at = this.#indexFrom(segmentNumber + 1);
    while (this.#segments[at]?.state === 'stranger') at += 1;
    return this.#segments[at];
  }

  /** Makes sure that the segment's state is known. Rejects with a StorageError if its header cannot be read now. */
  async describe(segment: Segment): Promise<void> {
    if (segment.state !== 'unread') return;
    segment.describing ??= this.#describe(segment).finally(() => {
      segment.describing = undefined;
    });
    await segment.describing;
  }

  /** Blocks that cannot be read stay so, and a file that is gone: frames that are left are found, else it is empty. */
  async giveUp(segment: Segment): Promise<void> {
    if (segment.header !== undefined) {
      segment.state = 'empty'; // Described, and gone since.
      return;
    }
    try {
      await this.#describe(segment, 'damage');
    } catch (cause) {
      if (!isUnopened(cause)) segment.state = 'empty';
    }
  }

  async #describe(segment: Segment, unreadable: UnreadableMode = 'reject'): Promise<void> {
    const file = await this.#fileSystem.open(segment.path, 'read');
    try {
      const block = new Uint8Array(Math.min(segmentHeaderBytes, segment.byteLength));
      await readHeader(file, block).catch((cause: unknown) => {
        if (unreadable === 'reject') throw cause;
      });
      const reading = readSegmentHeader(block);
      if (reading.kind === 'bad') await this.#rebuild(segment, file);
      else this.#judge(segment, reading.kind === 'unknown', reading.header);
      if (reading.kind === 'valid' && reading.copies === 1) this.#reportHeader(segment, 'one of its two copies is bad');
    } finally {
      await letGo(file);
    }
  }

  #judge(segment: Segment, newer: boolean, header: SegmentHeader): void {
    const identity = this.#identity;
    assert(identity !== undefined, 'the buffer is identified before its segments are');
    if (header.segmentNumber !== segment.number || header.uuid !== identity.uuid) {
      mark('segment.stranger');
      segment.state = 'stranger';
      this.#reportHeader(segment, `it belongs to buffer ${header.uuid}, segment ${header.segmentNumber}`);
    } else if (newer) {
      mark('segment.newer');
      segment.state = 'newer';
      this.#events.emit('damage', newerFormat(segment.path));
    } else {
      segment.header = header;
      segment.state = 'known';
    }
  }

  async #rebuild(segment: Segment, file: FileHandle): Promise<void> {
    const identity = this.#identity;
    assert(identity !== undefined, 'the buffer is identified before its segments are');
    const salt = await recoverSalt(file, segment.byteLength);
    const next = this.after(segment.number);
    // One that cannot be read tells no epoch; that this segment cannot be read does not follow.
    if (next !== undefined && salt !== undefined) await this.describe(next).catch(() => undefined);
    this.#reportHeader(segment, salt === undefined ? 'and no frame is left' : 'rebuilt from its frames');
    mark(salt === undefined ? 'segment.empty_header' : 'segment.rebuilt');
    if (salt === undefined) {
      segment.state = 'empty';
      return;
    }
    segment.header = {
      formatVersion,
      features: 0,
      uuid: identity.uuid,
      segmentNumber: segment.number,
      epoch: next?.header?.epoch ?? identity.epoch,
      salt,
      firstId: await firstIdOf(file, salt, segment.byteLength),
      createdAt: 0,
      alignment: frameAlignment,
    };
    segment.state = 'rebuilt';
  }

  #reportHeader(segment: Segment, found: string): void {
    this.#events.emit(
      'damage',
      new DamageError({
        code: 'SPILLWAY_DAMAGE_HEADER',
        path: segment.path,
        offset: 0,
        byteLength: segmentHeaderBytes,
        message: `The header of segment ${segment.path} is not what was written there: ${found}`,
      }),
    );
  }

  #insert(segment: Segment): Segment {
    const at = this.#indexFrom(segment.number);
    assert(this.#segments[at]?.number !== segment.number, 'I4.1: a number is never given twice', {
      segment: segment.number,
    });
    this.#segments.splice(at, 0, segment);
    return segment;
  }

  #indexFrom(segmentNumber: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle] as Segment).number < segmentNumber) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * Whether a file was there and could not even be opened. That says nothing about its blocks: a path that fails over,
 * or a device that is reset, comes back, and nothing may be given up for it.
 */
export function isUnopened(cause: unknown): boolean {
  return isStorageError(cause, 'io') && cause.operation === 'open';
}

/** The error for whoever wants to read a segment of a newer format. */
export function newerFormat(path: string): FormatError {
  return new FormatError({
    code: 'SPILLWAY_FORMAT_FEATURE',
    path,
    message:
      `Cannot read ${path}: it was written with a version or feature this build does not know. It is ` +
      'kept as it is; open the buffer with a newer Spillway',
  });
}

/** Reads a header block. If that fails, its halves one by one: in each of them stands a copy. */
export async function readHeader(file: FileHandle, block: Uint8Array): Promise<void> {
  try {
    await readFully(file, block, 0);
  } catch (cause) {
    if (!isStorageError(cause, 'io')) throw cause;
    mark('segment.header_by_halves');
    const half = segmentHeaderCopyOffset;
    const first = readFully(file, block.subarray(0, half), 0);
    const second = readFully(file, block.subarray(half), half);
    const halves = await Promise.allSettled([first, second]);
    if (halves.every(({ status }) => status === 'rejected')) throw cause;
  }
}

/** Gives a descriptor back whose bytes are safe already, or were only read: that this can fail changes nothing. */
export async function letGo(file: FileHandle): Promise<void> {
  await file.close().catch(() => mark('segment.close_failed'));
}

/** Reads until `target` is full or the file ends; resolves with the bytes read. */
export async function readFully(file: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const count = await file.read(target.subarray(done), position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

async function firstIdOf(file: FileHandle, marker: number, end: number): Promise<number> {
  const from = segmentHeaderBytes;
  const walk = new SegmentWalk({ file, marker, alignment: frameAlignment, from, end, unreadable: 'damage' });
  for (;;) {
    const step = walk.next();
    if (step.kind === 'load') await walk.load();
    else if (step.kind === 'frame') return step.frame.firstId;
    else if (step.kind !== 'damage') return 0;
  }
}
