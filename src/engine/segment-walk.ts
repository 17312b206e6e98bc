// Chapter 4, continued. The walk: the one place that decides what the bytes of a segment are.
//
// Recovery, readers, drop_oldest and verify all walk by the same rule, so that they can never disagree about what is in
// a file: at position p there is a frame, or the next frame is searched from p on. If one is found, zeros up to the
// segment's alignment before it are padding and anything else is damage; if none is found, p is the end. Nothing is
// ever skipped by a length that was not verified.
//
// Why a step at a time and `load` apart: a reader takes thousands of frames from one chunk, and an await for each would
// cost more than reading it. `next` never waits; when it needs bytes it says so.
//
// Invariants
//   I4.8  frames come in file order, each at a multiple of 8, none is left out and none overlaps another
//   I4.9  [offset of the first step, `end` step) is covered by frames, padding and damage without a gap
//   I4.10  memory stays within the window's bound (I4.6) however long a gap is: it is judged piece by piece
// What can go wrong: see the window for reads. Frames with ids that go backwards are frames; the caller judges them.
// Next: segment-salt.ts, for a segment whose marker is lost.

import { assert, unreachable } from '../base/assert.ts';
import { mark } from '../base/marks.ts';
import { alignDown, alignUp } from '../base/units.ts';
import type { FileHandle } from '../platform/file-system.ts';
import { type Frame, frameAlignment, frameHeaderBytes, readFrame } from './frame.ts';
import { findFrame } from './frame-scan.ts';
import { SegmentWindow, type UnreadableMode } from './segment-window.ts';

export type WalkStep =
  /** A frame at `offset` of the file and `start` of `bytes`; `bytes` and `view` are reused by the next `load`. */
  | {
      readonly kind: 'frame';
      readonly offset: number;
      readonly frame: Frame;
      readonly bytes: Uint8Array;
      readonly view: DataView;
      readonly start: number;
    }
  /** A whole frame that this build cannot read. The walk stays here; asking again repeats this step. */
  | { readonly kind: 'unknown_frame'; readonly offset: number }
  /** [from, to) lies before a frame and is neither a frame nor padding; `unreadable`: partly because reads failed. */
  | { readonly kind: 'damage'; readonly from: number; readonly to: number; readonly unreadable: boolean }
  /** No frame at or behind `offset`. An unreadable tail may hold frames and must not be cut. */
  | { readonly kind: 'end'; readonly offset: number; readonly tail: 'none' | 'zeros' | 'bytes' | 'unreadable' }
  /** Bytes are missing: await `load()`, then ask again. */
  | { readonly kind: 'load' };

/** What is known about [offset, judgedTo) while the next frame is being searched. */
interface Gap {
  searchAt: number;
  judgedTo: number;
  zeros: boolean;
  unreadable: boolean;
}

const loadStep: WalkStep = { kind: 'load' };

export class SegmentWalk {
  readonly #marker: number;
  readonly #alignment: number;
  readonly #window: SegmentWindow;
  #end: number;
  #offset: number;
  #gap: Gap | undefined;
  #last: WalkStep | undefined; // An end or an unknown frame: repeated until the walk is moved or extended.
  #need: { readonly from: number; readonly byteLength: number } | undefined;
  #loading = false;
  #extended = false;

  constructor(options: {
    file: FileHandle;
    marker: number;
    alignment: number;
    /** File offset of the first step, a multiple of 8. */
    from: number;
    /** Nothing at or behind this file offset is looked at. */
    end: number;
    unreadable: UnreadableMode;
    chunkBytes?: number;
  }) {
    const { file, unreadable, chunkBytes } = options;
    assert(options.marker !== 0, 'I4.3: a marker is never zero');
    assert(options.from % frameAlignment === 0, 'I4.8: a walk starts at a multiple of 8', { from: options.from });
    this.#marker = options.marker;
    this.#alignment = options.alignment;
    this.#offset = options.from;
    this.#end = options.end;
    this.#window = new SegmentWindow({ file, unreadable, chunkBytes });
  }

  /** File offset of the next step. */
  get offset(): number {
    return this.#offset;
  }

  /** The next step, without waiting. */
  next(): WalkStep {
    assert(!this.#loading, 'a walk is not asked while it loads');
    this.#takeExtension();
    if (this.#last !== undefined) return this.#last;
    for (;;) {
      const step = this.#gap === undefined ? this.#readHere() : this.#search(this.#gap);
      if (step !== undefined) return step;
    }
  }

  /** Loads what the last `load` step asked for. After a rejection it can be called again; the walk has not moved. */
  async load(): Promise<void> {
    assert(!this.#loading, 'a walk loads once at a time');
    this.#takeExtension();
    const need = this.#need;
    if (need === undefined) return;
    this.#loading = true;
    try {
      await this.#window.load(need.from, need.byteLength, this.#end);
      this.#need = undefined;
    } finally {
      this.#loading = false;
    }
  }

  /** The file has grown to `end`, or may be read that far now. Legal at any time, also during a load. */
  extend(end: number): void {
    assert(end >= this.#end, 'a walk is never shortened', { end, before: this.#end });
    this.#end = end;
    this.#extended = true;
  }

  /** Moves to `offset`, a multiple of 8 at which a frame may begin. */
  seek(offset: number): void {
    assert(!this.#loading, 'a walk does not move while it loads');
    assert(offset % frameAlignment === 0, 'I4.8: frames begin at multiples of 8', { offset });
    this.#offset = offset;
    this.#gap = undefined;
    this.#last = undefined;
    this.#need = undefined;
  }

  #takeExtension(): void {
    if (!this.#extended) return;
    this.#extended = false;
    if (this.#last?.kind === 'end' || this.#gap !== undefined) {
      // What was no frame so far may have been one half written, or one that the old end cut off.
      this.#window.forget(this.#offset);
      this.#gap = undefined;
      this.#last = undefined;
      this.#need = undefined;
    } else {
      this.#window.forgetFileEnd();
    }
  }

  /** The frame at the walk's position, or undefined once a gap is open there. */
  #readHere(): WalkStep | undefined {
    const offset = this.#offset;
    if (offset >= this.#limit()) return this.#finish('none');
    const bound = this.#bound(offset);
    const present = this.#present(offset, bound);
    if (present < bound && present - offset < frameHeaderBytes) return this.#ask(offset, frameHeaderBytes);
    const { bytes, view, start } = this.#window;
    const reading = readFrame(bytes, view, offset - start, present - start, this.#marker);
    switch (reading.kind) {
      case 'frame':
        this.#offset = offset + reading.frame.byteLength;
        return { kind: 'frame', offset, frame: reading.frame, bytes, view, start: offset - start };
      case 'unknown':
        this.#last = { kind: 'unknown_frame', offset };
        return this.#last;
      case 'short':
        if (offset + reading.byteLength <= bound) return this.#ask(offset, reading.byteLength);
        break; // It claims bytes that do not exist: no frame.
      case 'none':
        break;
      default:
        unreachable(reading);
    }
    this.#gap = { searchAt: offset + frameAlignment, judgedTo: offset, zeros: true, unreadable: false };
    return undefined;
  }

  /** The step that ends the gap, or undefined if the gap was padding and a frame stands at the position now. */
  #search(gap: Gap): WalkStep | undefined {
    while (gap.searchAt < this.#limit()) {
      const offset = gap.searchAt;
      const bound = this.#bound(offset);
      const present = this.#present(offset, bound);
      if (present < bound && present - offset < frameAlignment) return this.#askToSearch(gap);
      const { bytes, view, start } = this.#window;
      const finding = findFrame(bytes, view, offset - start, present - start, this.#marker);
      if (finding.kind === 'none') {
        this.#searchBehind(gap, present, bound);
        continue;
      }
      const candidate = start + finding.offset;
      this.#judge(gap, candidate);
      if (finding.kind !== 'short') return this.#closeGap(gap, candidate);
      gap.searchAt = candidate;
      if (candidate + finding.byteLength <= bound) return this.#ask(candidate, finding.byteLength);
      gap.searchAt += frameAlignment; // It claims bytes that do not exist: no frame.
    }
    this.#judge(gap, this.#limit());
    return this.#finish(gap.unreadable ? 'unreadable' : gap.zeros ? 'zeros' : 'bytes');
  }

  /** Nothing was found up to `present`: go on there, or behind the hole that begins there. */
  #searchBehind(gap: Gap, present: number, bound: number): void {
    const hole = present === bound ? this.#window.holeAfter(present) : undefined;
    const reached = hole !== undefined && hole.from <= present ? hole.to : present;
    this.#judge(gap, reached);
    // With more bytes to come, the last position may be only partly here: it is asked for again, not passed over.
    const next = reached < bound ? alignDown(reached, frameAlignment) : alignUp(reached, frameAlignment);
    gap.searchAt = Math.max(gap.searchAt, next);
  }

  #closeGap(gap: Gap, to: number): WalkStep | undefined {
    const from = this.#offset;
    this.#gap = undefined;
    this.#offset = to;
    if (gap.zeros && !gap.unreadable && to === alignUp(from, this.#alignment)) {
      mark('segment.padding');
      return undefined;
    }
    mark(gap.unreadable ? 'segment.damage_unreadable' : 'segment.damage');
    return { kind: 'damage', from, to, unreadable: gap.unreadable };
  }

  /** Takes the bytes up to `to` into what is known about the gap; they must be here and may be dropped next. */
  #judge(gap: Gap, to: number): void {
    const from = gap.judgedTo;
    if (to <= from) return;
    const { view, start, end } = this.#window;
    assert(from >= start && to <= end, 'I4.9: no byte of a gap is passed unseen', { from, to, start, end });
    const hole = this.#window.holeAfter(from);
    if (hole !== undefined && hole.from < to) gap.unreadable = true;
    if (gap.zeros) gap.zeros = isZero(view, from - start, to - start);
    gap.judgedTo = to;
  }

  #ask(from: number, byteLength: number): WalkStep {
    this.#need = { from, byteLength };
    return loadStep;
  }

  /** Asks for the place where the search goes on, and for bytes before it that were not judged yet. */
  #askToSearch(gap: Gap): WalkStep {
    const from = alignDown(Math.min(gap.judgedTo, gap.searchAt), frameAlignment);
    return this.#ask(from, gap.searchAt + frameHeaderBytes - from);
  }

  #finish(tail: 'none' | 'zeros' | 'bytes' | 'unreadable'): WalkStep {
    this.#last = { kind: 'end', offset: this.#offset, tail };
    return this.#last;
  }

  /** Where the bytes end, as far as is known. */
  #limit(): number {
    return Math.min(this.#end, this.#window.fileEnd);
  }

  /** How far a frame at `offset` can reach at most: to the end of the bytes, or to a hole. */
  #bound(offset: number): number {
    const hole = this.#window.holeAfter(offset);
    const limit = this.#limit();
    return hole === undefined ? limit : Math.min(limit, Math.max(offset, hole.from));
  }

  /** How far the bytes from `offset` on are in memory. */
  #present(offset: number, bound: number): number {
    return this.#window.covers(offset) ? Math.min(this.#window.end, bound) : offset;
  }
}

function isZero(view: DataView, from: number, to: number): boolean {
  let offset = from;
  for (; offset + 4 <= to; offset += 4) if (view.getUint32(offset, true) !== 0) return false;
  for (; offset < to; offset++) if (view.getUint8(offset) !== 0) return false;
  return true;
}
