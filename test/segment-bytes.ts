// Segments as plain bytes for tests: made by the codec, damaged at will, read by a second reader that shares no code
// with the engine's and is too simple to be wrong in the same way.

import { checksumPortable } from '../src/base/checksum.ts';
import { StorageError } from '../src/base/errors.ts';
import { createFrameMemory, encodeFrame, encodeRecord, frameBytes, recordBytes } from '../src/engine/frame.ts';
import type { SegmentWalk, WalkStep } from '../src/engine/segment-walk.ts';
import type { FileHandle } from '../src/platform/file-system.ts';

export type TestRecord = { readonly payload: Uint8Array; readonly events: number; readonly metadata: number };

export type TestFrame = {
  readonly firstId: number;
  readonly records: readonly TestRecord[];
  readonly seal?: boolean;
  readonly appendedAt?: number;
  readonly durableId?: number;
};

/** One frame as bytes, padded to 8. */
export function frameOf(marker: number, frame: TestFrame): Uint8Array {
  const bodyBytes = frame.records.reduce((sum, { payload }) => sum + recordBytes(payload.length), 0);
  const memory = createFrameMemory(frameBytes(bodyBytes));
  memory.bytes.fill(0xa5); // Memory is reused in the engine; nothing of it may show.
  let offset = 48;
  for (const { payload, events, metadata } of frame.records) {
    offset = encodeRecord(memory, offset, payload, events, metadata);
  }
  const end = encodeFrame(memory, 0, bodyBytes, {
    marker,
    seal: frame.seal ?? false,
    recordCount: frame.records.length,
    firstId: frame.firstId,
    eventCount: frame.records.reduce((sum, { events }) => sum + events, 0),
    appendedAt: frame.appendedAt ?? 1_700_000_000_000,
    durableId: frame.durableId ?? frame.firstId - 1,
  });
  if (end !== memory.bytes.length) throw new Error(`the frame ends at ${end}, its memory at ${memory.bytes.length}`);
  return memory.bytes;
}

/** A payload of this length that differs from place to place and holds no zeros. */
export function payloadOf(byteLength: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: byteLength }, (_, place) => 1 + ((place * 31 + seed * 17) % 255));
}

/** One record of one event in one frame. */
export function simpleFrame(marker: number, firstId: number, byteLength: number): Uint8Array {
  return frameOf(marker, { firstId, records: [{ payload: payloadOf(byteLength, firstId), events: 1, metadata: 0 }] });
}

/** Sets the checksum of the frame at `offset` anew, for frames that lie with a straight face. */
export function resign(bytes: Uint8Array, offset = 0): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const bodyBytes = view.getUint32(offset + 8, true);
  view.setUint32(offset + 4, checksumPortable(bytes.subarray(offset + 8, offset + 48 + bodyBytes)), true);
  return bytes;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

export const headerRoom = 4096;
const blockBytes = 4096;

/** A segment's bytes: a block of zeros where the header would be, then the parts. */
export function segmentOf(...parts: readonly Uint8Array[]): Uint8Array {
  return concat(new Uint8Array(headerRoom), ...parts);
}

/** Numbers in [0, 1), the same for the same seed. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** A file in memory whose reads can be short and whose blocks can fail. */
export class MemoryFile implements FileHandle {
  readonly path: string = 'memory.seg';
  bytes: Uint8Array;
  /** Numbers of 4096-byte blocks that cannot be read. */
  readonly failing: Set<number> = new Set();
  reads: number = 0;
  longestRead: number = 0;
  readonly #draw: (() => number) | undefined;

  constructor(bytes: Uint8Array, draw?: () => number) {
    this.bytes = bytes;
    this.#draw = draw;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    this.reads += 1;
    this.longestRead = Math.max(this.longestRead, target.length);
    let end = Math.min(position + target.length, this.bytes.length);
    if (this.#draw !== undefined && end > position && this.#draw() < 0.5) {
      end = position + 1 + Math.floor(this.#draw() * (end - position));
    }
    for (let block = Math.floor(position / blockBytes); block * blockBytes < end; block++) {
      if (!this.failing.has(block)) continue;
      // A real disk may deliver what lies before the bad block, or nothing.
      const before = block * blockBytes;
      if (before > position && this.#draw !== undefined && this.#draw() < 0.5) {
        end = before;
        break;
      }
      throw failedRead();
    }
    if (end <= position) return 0;
    target.set(this.bytes.subarray(position, end));
    return end - position;
  }

  async byteLength(): Promise<number> {
    return this.bytes.length;
  }

  async write(): Promise<number> {
    throw new Error('a walk does not write');
  }

  async syncData(): Promise<void> {
    throw new Error('a walk does not sync');
  }

  async truncate(): Promise<void> {
    throw new Error('a walk does not truncate');
  }

  async close(): Promise<void> {
    this.reads = 0;
  }
}

export function failedRead(kind: 'io' | 'limit' = 'io'): StorageError {
  return new StorageError({
    kind,
    operation: 'read',
    path: 'memory.seg',
    message: 'Cannot read memory.seg: made to fail',
  });
}

/** What a walk says, without the memory it says it about. */
export type Told =
  | { readonly frame: number; readonly firstId: number; readonly nextId: number; readonly byteLength: number }
  | { readonly unknown: number }
  | { readonly damage: readonly [number, number]; readonly unreadable: boolean }
  | { readonly end: number; readonly tail: string };

export function tell(step: WalkStep): Told {
  switch (step.kind) {
    case 'frame':
      return {
        frame: step.offset,
        firstId: step.frame.firstId,
        nextId: step.frame.nextId,
        byteLength: step.frame.byteLength,
      };
    case 'unknown_frame':
      return { unknown: step.offset };
    case 'damage':
      return { damage: [step.from, step.to], unreadable: step.unreadable };
    case 'end':
      return { end: step.offset, tail: step.tail };
    case 'load':
      throw new Error('a load tells nothing');
  }
}

/** Walks until the end or an unknown frame. */
export async function walkAll(walk: SegmentWalk): Promise<Told[]> {
  const told: Told[] = [];
  let loads = 0;
  for (;;) {
    const step = walk.next();
    if (step.kind === 'load') {
      if (loads++ === 20_000) throw new Error(`the walk does not get on at ${walk.offset}`);
      await walk.load();
      continue;
    }
    loads = 0;
    told.push(tell(step));
    if (step.kind === 'end' || step.kind === 'unknown_frame') return told;
  }
}

type NaiveOptions = {
  readonly marker: number;
  readonly alignment: number;
  readonly from: number;
  readonly end: number;
  readonly failing?: ReadonlySet<number>;
};

/** The reading rule of docs/format.md on a whole buffer, position by position. */
export function naiveWalk(bytes: Uint8Array, options: NaiveOptions): Told[] {
  const { marker, alignment, from, end } = options;
  const limit = Math.min(end, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const unreadable = (start: number, stop: number): boolean => {
    for (const block of options.failing ?? []) {
      if (start < (block + 1) * blockBytes && stop > block * blockBytes) return true;
    }
    return false;
  };
  const told: Told[] = [];
  let position = from;
  for (;;) {
    let next = position;
    let found: NaiveFrame | undefined;
    while (next < limit) {
      found = naiveFrame(bytes, view, next, limit, marker);
      if (found !== undefined && !unreadable(next, next + 48 + found.bodyBytes)) break;
      found = undefined;
      next += 8;
    }
    const stop = found === undefined ? limit : next;
    const bad = unreadable(position, stop);
    const zeros = bytes.subarray(position, stop).every((byte) => byte === 0);
    if (found === undefined) {
      const tail = position >= limit ? 'none' : bad ? 'unreadable' : zeros ? 'zeros' : 'bytes';
      told.push({ end: position, tail });
      return told;
    }
    const padding = zeros && !bad && next === Math.ceil(position / alignment) * alignment;
    if (next > position && !padding) told.push({ damage: [position, next], unreadable: bad });
    if (found.unknown) {
      told.push({ unknown: next });
      return told;
    }
    const { firstId, nextId, byteLength } = found;
    told.push({ frame: next, firstId, nextId, byteLength });
    position = next + byteLength;
  }
}

type NaiveFrame = {
  readonly bodyBytes: number;
  readonly byteLength: number;
  readonly firstId: number;
  readonly nextId: number;
  readonly unknown: boolean;
};

function naiveFrame(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  limit: number,
  marker: number,
): NaiveFrame | undefined {
  if (offset + 48 > limit || view.getUint32(offset, true) !== marker) return undefined;
  const bodyBytes = view.getUint32(offset + 8, true);
  const bodyEnd = offset + 48 + bodyBytes;
  if (bodyBytes > 2 ** 26 || bodyEnd > limit) return undefined;
  if (checksumPortable(bytes.subarray(offset + 8, bodyEnd)) !== view.getUint32(offset + 4, true)) return undefined;
  const flags = view.getUint16(offset + 12, true);
  const firstId = Number(view.getBigUint64(offset + 16, true));
  const eventCount = view.getUint32(offset + 24, true);
  const byteLength = Math.ceil((48 + bodyBytes) / 8) * 8;
  const nextId = firstId + eventCount;
  return { bodyBytes, byteLength, firstId, nextId, unknown: flags > 1 };
}
