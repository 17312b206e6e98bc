// Chapter 6. The log buffer: memory in which records gather into frames until the committer writes them.
//
// Appends copy into the active slot; the committer takes whatever frames are closed and writes them while further
// records go into the same slot behind them, or into the next one. A slot is a window on one segment file: byte 0 of
// the slot is byte `base` of the file, so a frame is written from where it was built, without another copy. After its
// bytes are safe a slot goes back to the pool but keeps them until it is used again: a reader that keeps up finds the
// tail of the log here and never touches the disk.
//
//   slot    | frame | frame | open frame: record record ....|          free          | room for a seal |
//           0               frameStart                      bodyEnd                  limit
//
// I6.2  frames of one slot lie without gaps in one segment: file offset = base + slot offset
// I6.3  a slot's memory is not written below `closedEnd`: a write in flight reads there
// I6.4  record ids are given without gaps: the next frame's first id is the last frame's next id
// I6.5  plannedBytes is exact: what the files will hold once all that was reserved is written and sealed
//
// Who may append when is the writer's business; nothing here waits, and nothing here fails but by a broken invariant.
//
// Next: stability.ts, how far the log has come.

import { assert } from '../base/assert.ts';
import type { LogPosition } from './events.ts';
import {
  encodeFrame,
  encodeRecord,
  eventsPerFrameMax,
  frameBytes,
  frameHeaderBytes,
  recordsPerFrameMax,
} from './frame.ts';
import type { Limits } from './limits.ts';
import { type Slot, SlotPool, sealBytes, type TailWindow } from './log-buffer-slots.ts';
import { type SegmentHeader, segmentHeaderBytes } from './segment-header.ts';

/** A run of closed frames on its way to the disk. */
export interface WriteJob {
  readonly segment: SegmentHeader;
  readonly bytes: Uint8Array;
  /** Byte offset of `bytes` in the segment file. */
  readonly offset: number;
  /** Records in it. */
  readonly records: number;
  /** Where the log is once this is written. */
  readonly end: LogPosition;
}

/** What a record needs, from the cheapest place on. */
export type Placement = 'open_frame' | 'new_frame' | 'new_slot' | 'new_segment';

export class LogBuffer {
  readonly #limits: Limits;
  readonly #slots: SlotPool;
  #active: Slot | undefined;
  #segment: SegmentHeader | undefined;
  /** File offset at which the next slot of this segment begins. */
  #nextBase: number = segmentHeaderBytes;

  // The open frame. Plain numbers in one object: this is the hot path.
  #frameStart = 0;
  #bodyEnd = 0;
  #frameLimit = -1; // Below every body end while no frame is open, so that nothing fits.
  #frameRecords = 0;
  #frameEvents = 0;
  #frameFirstId: number;
  #frameTime = 0;

  #nextId: number;
  #payloadBytes: number;
  #plannedBytes = 0;
  #bytesClosed = 0;

  constructor(limits: Limits, start: { readonly nextId: number; readonly payloadBytes: number }) {
    this.#limits = limits;
    this.#slots = new SlotPool(limits);
    this.#nextId = start.nextId;
    this.#frameFirstId = start.nextId;
    this.#payloadBytes = start.payloadBytes;
  }

  /** The id that the next record gets. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Payload bytes of everything appended over the buffer's lifetime. */
  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  /** Bytes that segments started here take on disk once everything reserved is written, seals included (I6.5). */
  get plannedBytes(): number {
    return this.#plannedBytes + (this.#frameRecords === 0 ? 0 : frameBytes(this.#bodyEnd - this.#bodyStart));
  }

  /** Frame bytes closed so far, for whoever paces by bytes. */
  get bytesClosed(): number {
    return this.#bytesClosed;
  }

  /** Whether records wait in a frame that is not closed. */
  get hasOpenRecords(): boolean {
    return this.#frameRecords > 0;
  }

  /** Whether appends will soon have to wait for memory. */
  get isShortOfMemory(): boolean {
    return this.#slots.free < 2 || this.#slots.holdsOversize;
  }

  /** The segment being filled, if one was started. */
  get segment(): SegmentHeader | undefined {
    return this.#segment;
  }

  /** HOT. Whether a record of `bytes` (header and padding included) fits the open frame as it stands. */
  fits(bytes: number, events: number): boolean {
    return (
      this.#bodyEnd + bytes <= this.#frameLimit &&
      this.#frameRecords < recordsPerFrameMax &&
      this.#frameEvents + events <= eventsPerFrameMax
    );
  }

  /** HOT. Copies a record that `fits` into the open frame and returns its id. */
  append(payload: Uint8Array, events: number, metadata: number): number {
    const id = this.#nextId;
    this.#bodyEnd = encodeRecord((this.#active as Slot).memory, this.#bodyEnd, payload, events, metadata);
    this.#frameRecords += 1;
    this.#frameEvents += events;
    this.#nextId = id + events;
    this.#payloadBytes += payload.length;
    return id;
  }

  /** The cheapest place for a body of `bodyBytes` that makes up a frame of its own or begins one. */
  placementOfFrame(bodyBytes: number): Exclude<Placement, 'open_frame'> {
    const slot = this.#active;
    if (this.#segment === undefined || slot === undefined) return this.#placementWithoutSlot(bodyBytes);
    const length = frameBytes(bodyBytes);
    const start = this.#openEnd;
    if (slot.base + start + length > this.#segmentLimit) return 'new_segment';
    return start + length <= this.#slotLimit(slot) ? 'new_frame' : 'new_slot';
  }

  /** What a frame with this body, placed there, adds to {@link plannedBytes}. */
  costOfFrame(bodyBytes: number, placement: Placement): number {
    return frameBytes(bodyBytes) + (placement === 'new_segment' ? segmentHeaderBytes + sealBytes : 0);
  }

  /** Whether the memory for a frame with this body, placed there, can be had at once. */
  hasMemoryFor(bodyBytes: number, placement: Placement): boolean {
    if (placement === 'new_frame' || placement === 'open_frame') return true;
    return this.#slots.canActivate(bodyBytes);
  }

  /**
   * Opens a frame in that place. `room` is how far its body may grow: no further than `frameBytesMax` and what the
   * writer can still admit, but at least the `bodyBytes` that it is opened for.
   */
  openFrame(bodyBytes: number, placement: Exclude<Placement, 'open_frame'>, room: number, appendedAt: number): void {
    assert(this.#frameRecords === 0, 'a frame is opened after the one before is closed');
    if (placement !== 'new_frame') this.#activateSlot(bodyBytes);
    const slot = this.#active as Slot;
    this.#frameStart = slot.closedEnd;
    this.#bodyEnd = slot.closedEnd + frameHeaderBytes;
    this.#frameFirstId = this.#nextId;
    this.#frameTime = appendedAt;
    const body = Math.max(bodyBytes, Math.min(this.#limits.frameBytesMax, room));
    // Every limit is a multiple of 8, so that a frame padded to 8 ends inside it as well.
    const inSlot = this.#slotLimit(slot) - this.#bodyEnd;
    const inSegment = this.#segmentLimit - slot.base - this.#bodyEnd;
    this.#frameLimit = this.#bodyEnd + Math.min(body, inSlot, inSegment);
  }

  /** Closes the open frame: from now on the committer may take it. Does nothing if it holds no record. */
  closeFrame(durableId: number, seal: boolean): void {
    this.#frameLimit = -1;
    if (this.#frameRecords === 0) return;
    const slot = this.#active as Slot;
    const bodyBytes = this.#bodyEnd - this.#bodyStart;
    const end = encodeFrame(slot.memory, this.#frameStart, bodyBytes, {
      marker: slot.segment.salt,
      seal,
      recordCount: this.#frameRecords,
      firstId: this.#frameFirstId,
      eventCount: this.#frameEvents,
      appendedAt: this.#frameTime,
      durableId,
    });
    slot.records += this.#frameRecords;
    this.#frameRecords = 0;
    this.#frameEvents = 0;
    this.#closed(slot, end);
    this.#plannedBytes += frameBytes(bodyBytes);
  }

  /** Ends the segment being filled with a seal: a flag on the open frame, or an empty frame. */
  sealSegment(durableId: number, now: number): void {
    const slot = this.#active;
    if (this.#segment === undefined || slot === undefined) return;
    if (this.#frameRecords > 0) {
      this.closeFrame(durableId, true);
      this.#plannedBytes -= sealBytes; // The frame that was open anyway carries the seal.
    } else {
      const end = encodeFrame(slot.memory, slot.closedEnd, 0, {
        marker: slot.segment.salt,
        seal: true,
        recordCount: 0,
        firstId: this.#nextId,
        eventCount: 0,
        appendedAt: now,
        durableId,
      });
      this.#closed(slot, end);
    }
    this.#retireActive();
    this.#segment = undefined;
  }

  /** The next slot begins this segment. Its header and its seal are planned for from now on. */
  startSegment(segment: SegmentHeader): void {
    assert(this.#segment === undefined, 'a segment is started after the one before is sealed');
    this.#segment = segment;
    this.#nextBase = segmentHeaderBytes;
    this.#plannedBytes += segmentHeaderBytes + sealBytes;
  }

  /**
   * The oldest closed frames that no write has taken yet, as one write, or undefined. Frames of a slot that still fills
   * are handed out only on request: writes are best when they are large.
   */
  take(alsoFromActive: boolean): WriteJob | undefined {
    const slot = this.#slots.inFlight.find((candidate) => candidate.takenEnd < candidate.closedEnd);
    if (slot === undefined || !(slot.retired || alsoFromActive)) return undefined;
    const { takenEnd: from, records } = slot;
    slot.takenEnd = slot.closedEnd;
    slot.records = 0;
    return {
      segment: slot.segment,
      bytes: slot.memory.bytes.subarray(from, slot.closedEnd),
      offset: slot.base + from,
      records,
      end: {
        segment: slot.segment.segmentNumber,
        offset: slot.base + slot.closedEnd,
        nextId: slot.endId,
        payloadBytes: slot.endPayloadBytes,
      },
    };
  }

  /** Bytes that {@link take} would hand out now, the active slot included. */
  get bytesToTake(): number {
    const slot = this.#slots.inFlight.find((candidate) => candidate.takenEnd < candidate.closedEnd);
    return slot === undefined ? 0 : slot.closedEnd - slot.takenEnd;
  }

  /** Everything before `end` is safe: its memory may be used again. */
  release(end: LogPosition): void {
    this.#slots.release(end);
  }

  /** The memory that holds closed frames of this segment at this file offset, if some still does. */
  find(segmentNumber: number, offset: number): TailWindow | undefined {
    return this.#slots.find(segmentNumber, offset);
  }

  /** When the frame was begun that holds this id, if memory still has it; milliseconds since 1970-01-01 UTC. */
  appendTimeOf(id: number): number | undefined {
    if (this.#frameRecords > 0 && id >= this.#frameFirstId) return this.#frameTime;
    return this.#slots.appendTimeOf(id);
  }

  get #bodyStart(): number {
    return this.#frameStart + frameHeaderBytes;
  }

  /** Slot offset at which a frame opened now would begin, if the open one were closed first. */
  get #openEnd(): number {
    const closed = (this.#active as Slot).closedEnd;
    return this.#frameRecords === 0 ? closed : closed + frameBytes(this.#bodyEnd - this.#bodyStart);
  }

  /** File offset up to which frames may reach: a seal must still fit behind them. */
  get #segmentLimit(): number {
    return this.#limits.segmentBytes - sealBytes;
  }

  #slotLimit(slot: Slot): number {
    return slot.memory.bytes.length - sealBytes;
  }

  #placementWithoutSlot(bodyBytes: number): 'new_slot' | 'new_segment' {
    if (this.#segment === undefined) return 'new_segment';
    return this.#nextBase + frameBytes(bodyBytes) > this.#segmentLimit ? 'new_segment' : 'new_slot';
  }

  #activateSlot(bodyBytes: number): void {
    const segment = this.#segment;
    assert(segment !== undefined, 'a slot belongs to a segment');
    if (this.#active !== undefined) this.#retireActive();
    this.#active = this.#slots.activate(segment, this.#nextBase, bodyBytes);
    this.#active.endId = this.#nextId;
    this.#active.endPayloadBytes = this.#payloadBytes;
  }

  #retireActive(): void {
    const slot = this.#active as Slot;
    slot.retired = true;
    this.#nextBase = slot.base + slot.closedEnd;
    this.#active = undefined;
  }

  #closed(slot: Slot, end: number): void {
    this.#bytesClosed += end - slot.closedEnd;
    slot.closedEnd = end;
    slot.endId = this.#nextId;
    slot.endPayloadBytes = this.#payloadBytes;
  }
}
