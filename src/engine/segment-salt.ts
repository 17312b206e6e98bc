// Chapter 4, continued. Finding the marker of a segment when both copies of its header are bad.
//
// Rule: the marker of the first position (8-byte steps behind the header block) whose fields could be a frame's and
// whose checksum holds; preferred is a marker whose frame is directly followed by another frame with the same marker,
// because a payload may contain something that looks like one frame. The body of a frame that holds is not searched.
//
// Cost: a few loads per position, O(file length) together. The checksum is computed only where the fields agree with
// each other (the two length fields alone are equal by chance once in 2^32). Bytes made for the purpose could agree at
// every position and make this quadratic, so the checksummed bytes have a budget of a few times the file; when it is
// spent, the answer is what was found so far. Memory: one window (I4.6). Blocks that cannot be read match nothing.
// Next: segment-catalog.ts, the list of all segments.

import { mark } from '../base/marks.ts';
import { MiB } from '../base/units.ts';
import type { FileHandle } from '../platform/file-system.ts';
import { claimedBytes, type FrameReading, frameAlignment, frameHeaderBytes, readFrame } from './frame.ts';
import { segmentHeaderBytes } from './segment-header.ts';
import { SegmentWindow } from './segment-window.ts';

const checksumBudgetMin = 128 * MiB;
const checksumBudgetFactor = 4;

/** The salt of the segment whose frames lie in [4096, end), or undefined if no frame holds. */
export async function recoverSalt(file: FileHandle, end: number): Promise<number | undefined> {
  return await new SaltSearch(file, end).run();
}

class SaltSearch {
  readonly #window: SegmentWindow;
  readonly #end: number;
  #budget: number;

  constructor(file: FileHandle, end: number) {
    this.#window = new SegmentWindow({ file, unreadable: 'damage' });
    this.#end = end;
    this.#budget = Math.max(checksumBudgetMin, checksumBudgetFactor * end);
  }

  async run(): Promise<number | undefined> {
    let fallback: number | undefined;
    let offset = await this.#nextCandidate(segmentHeaderBytes);
    while (offset !== undefined && this.#budget > 0) {
      const marker = this.#window.view.getUint32(offset - this.#window.start, true);
      const byteLength = await this.#holdingBytes(offset, marker);
      if (byteLength > 0) {
        if ((await this.#holdingBytes(offset + byteLength, marker)) > 0) return marker;
        fallback ??= marker;
      }
      offset = await this.#nextCandidate(offset + Math.max(byteLength, frameAlignment));
    }
    if (this.#budget <= 0) mark('segment.salt_budget_spent');
    return fallback;
  }

  /** The first position from `from` on whose fields could be a frame's; its header is in the window then. */
  async #nextCandidate(from: number): Promise<number | undefined> {
    const window = this.#window;
    let offset = from;
    while (offset + frameHeaderBytes <= this.#limit()) {
      if (!window.covers(offset) || offset + frameHeaderBytes > window.end) {
        await window.load(offset, frameHeaderBytes, this.#end);
        continue; // Either the header is here now, or the file is known to end before it.
      }
      const lastStart = window.end - frameHeaderBytes;
      for (; offset <= lastStart; offset += frameAlignment) {
        const claim = claimedBytes(window.view, offset - window.start);
        if (claim > 0 && offset + claim <= this.#limit()) return offset;
      }
    }
    return undefined;
  }

  /** Bytes, with padding, of the frame at `offset` if its checksum holds, else 0. */
  async #holdingBytes(offset: number, marker: number): Promise<number> {
    const reading = await this.#read(offset, marker);
    switch (reading.kind) {
      case 'frame':
        return reading.frame.byteLength;
      case 'unknown':
        return reading.byteLength;
      default:
        return 0;
    }
  }

  async #read(offset: number, marker: number): Promise<FrameReading> {
    const window = this.#window;
    for (;;) {
      const hole = window.holeAfter(offset);
      const bound = hole === undefined ? this.#limit() : Math.min(this.#limit(), Math.max(offset, hole.from));
      const present = window.covers(offset) ? Math.min(window.end, bound) : offset;
      const { bytes, view, start } = window;
      const reading = readFrame(bytes, view, offset - start, present - start, marker);
      this.#budget -= present - offset >= frameHeaderBytes ? claimedBytes(view, offset - start) : 0;
      if (reading.kind !== 'short' || offset + reading.byteLength > bound) return reading;
      await window.load(offset, reading.byteLength, this.#end);
    }
  }

  #limit(): number {
    return Math.min(this.#end, this.#window.fileEnd);
  }
}
