// Chapter 6, first part. Slots: the memory in which frames are built, and how it goes round.
//
//   pool --activate--> active --retire--> in flight --release--> pool
//
// A slot that comes back to the pool keeps its bytes until it is used again, so that readers who keep up find the
// tail of the log in memory. The pool is used oldest first: what was written last stays readable longest.
//
// I6.1  memory is bounded: slotsMax slots, and one more for a frame that no slot can hold, or two while the first of
//       them is safe and only its seal is not
//
// Next: log-buffer.ts, which fills them.

import { assert } from '../base/assert.ts';
import type { LogPosition } from './events.ts';
import { createFrameMemory, type FrameMemory, frameBytes, frameHeaderBytes, readOwnFrame } from './frame.ts';
import type { Limits } from './limits.ts';
import type { SegmentHeader } from './segment-header.ts';

/** A seal is a frame without records. Every slot keeps room for one behind its frames. */
export const sealBytes: number = frameHeaderBytes;

/** One window of memory on a segment file. */
export interface Slot {
  readonly memory: FrameMemory;
  readonly view: DataView;
  /** Made for one frame that no other slot can hold; not kept. */
  readonly oversize: boolean;
  segment: SegmentHeader;
  base: number;
  /** End of the last closed frame. */
  closedEnd: number;
  /** What has been handed to the committer. */
  takenEnd: number;
  /** Records in closed frames that were not handed to the committer. */
  records: number;
  /** Nothing more is appended here. */
  retired: boolean;
  /** Id after the last closed frame, and the log's payload bytes there. */
  endId: number;
  endPayloadBytes: number;
}

/** A slot as a reader of the tail sees it. */
export type TailWindow = Pick<Slot, 'memory' | 'view' | 'segment' | 'base' | 'closedEnd'>;

export class SlotPool {
  readonly #limits: Limits;
  readonly #pool: Slot[] = [];
  /** Slots whose bytes are not safe yet, oldest first; the active one is the last. */
  readonly #inFlight: Slot[] = [];
  #allocated = 0;
  /** Everything below this id is safe. */
  #safeId = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** How many slots can be had at once. */
  get free(): number {
    return this.#pool.length + this.#limits.slotsMax - this.#allocated;
  }

  /** Whether some oversize slot holds, or is about to hold, a frame that is not safe. */
  get holdsOversize(): boolean {
    return this.#inFlight.some((slot) => slot.oversize && (slot.closedEnd === 0 || slot.endId > this.#safeId));
  }

  /** Slots whose bytes are not safe yet, in the order of the log. */
  get inFlight(): readonly Slot[] {
    return this.#inFlight;
  }

  /** Whether a frame with this body fits no slot. */
  isOversize(bodyBytes: number): boolean {
    return frameBytes(bodyBytes) > this.#limits.slotBytes;
  }

  /** Whether memory for a slot that begins with this body can be had at once; oversize frames go one at a time. */
  canActivate(bodyBytes: number): boolean {
    return this.isOversize(bodyBytes) ? !this.holdsOversize : this.free > 0;
  }

  /** The next slot of the log, empty, at file offset `base` of `segment`. */
  activate(segment: SegmentHeader, base: number, bodyBytes: number): Slot {
    assert(this.canActivate(bodyBytes), 'I6.1: a slot is free when one is activated');
    const oversize = this.isOversize(bodyBytes);
    const slot = oversize ? createSlot(segment, frameBytes(bodyBytes), true) : this.#take(segment);
    slot.segment = segment;
    slot.base = base;
    slot.closedEnd = 0;
    slot.takenEnd = 0;
    slot.records = 0;
    slot.retired = false;
    this.#inFlight.push(slot);
    return slot;
  }

  /**
   * Everything before `end` is safe: slots with nothing behind it go back to the pool, their bytes still readable. A
   * place and not an id says so: a seal has no id and may still be on its way when all records before it are safe.
   */
  release(end: LogPosition): void {
    this.#safeId = end.nextId;
    for (;;) {
      const slot = this.#inFlight[0];
      if (slot === undefined || !slot.retired || !endsBefore(slot, end)) return;
      this.#inFlight.shift();
      if (!slot.oversize) this.#pool.push(slot);
    }
  }

  /** The slot that holds closed frames of this segment at this file offset, if one still does. */
  find(segmentNumber: number, offset: number): Slot | undefined {
    const holds = (slot: Slot): boolean =>
      slot.segment.segmentNumber === segmentNumber && offset >= slot.base && offset < slot.base + slot.closedEnd;
    return this.#inFlight.find(holds) ?? this.#pool.find(holds);
  }

  /** When the frame was begun that holds this id, if it is closed and a slot still has it. */
  appendTimeOf(id: number): number | undefined {
    for (const { view, closedEnd, endId } of [...this.#inFlight, ...this.#pool]) {
      if (closedEnd === 0 || id >= endId || id < readOwnFrame(view, 0).firstId) continue;
      for (let at = 0; at < closedEnd; ) {
        const frame = readOwnFrame(view, at);
        if (frame.nextId > id) return frame.appendedAt;
        at += frame.byteLength;
      }
    }
    return undefined;
  }

  #take(segment: SegmentHeader): Slot {
    // New memory first, then the slot released longest ago: the younger ones still serve readers that keep up.
    const pooled = this.#allocated < this.#limits.slotsMax ? undefined : this.#pool.shift();
    if (pooled !== undefined) return pooled;
    this.#allocated += 1;
    return createSlot(segment, this.#limits.slotBytes, false);
  }
}

function endsBefore(slot: Slot, end: LogPosition): boolean {
  const { segmentNumber } = slot.segment;
  return segmentNumber < end.segment || (segmentNumber === end.segment && slot.base + slot.closedEnd <= end.offset);
}

function createSlot(segment: SegmentHeader, byteLength: number, oversize: boolean): Slot {
  const memory = createFrameMemory(byteLength + sealBytes);
  const view = new DataView(memory.bytes.buffer);
  const empty = { base: 0, closedEnd: 0, takenEnd: 0, records: 0, retired: false, endId: 0, endPayloadBytes: 0 };
  return { memory, view, oversize, segment, ...empty };
}
