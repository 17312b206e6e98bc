// Chapter 10, first part. The file a reader reads, and the copies it hands out.
//
// Next: reader.ts.

import { assert } from '../base/assert.ts';
import type { FileHandle } from '../platform/file-system.ts';
import type { Frame } from './frame.ts';
import type { Segment } from './segment-catalog.ts';
import { SegmentWalk } from './segment-walk.ts';

/** A frame in memory of its own. */
export interface FrameCopy {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly frame: Frame;
  readonly segment: number;
  readonly offset: number;
  readonly epoch: number;
}

/** The file being read. */
export interface OpenFile {
  readonly segment: Segment;
  readonly file: FileHandle;
  walk: SegmentWalk;
  /** How far the walk looks: the file may have grown since. */
  end: number;
  /** The id at which this segment ends because the next one begins there (I10.3). */
  readonly endId: number;
}

/** A walk over a described segment. */
export function walkOf(
  segment: Segment,
  file: FileHandle,
  from: number,
  end: number,
  unreadable: 'reject' | 'damage',
): SegmentWalk {
  const header = segment.header;
  assert(header !== undefined, 'a segment that is walked has a header', { segment: segment.number });
  return new SegmentWalk({ file, marker: header.salt, alignment: header.alignment, from, end, unreadable });
}

/** The id at which a segment ends because the next one begins there (I10.3). */
export function endIdOf(segment: Segment, next: Segment | undefined): number {
  if (!segment.complete || next?.header === undefined) return Number.POSITIVE_INFINITY;
  return next.header.firstId === 0 ? Number.POSITIVE_INFINITY : next.header.firstId;
}

/** A frame in memory of its own, wherever it was found. */
export function copyFrame(
  bytes: Uint8Array,
  start: number,
  frame: Frame,
  segment: number,
  offset: number,
  epoch: number,
): FrameCopy {
  const copy = bytes.slice(start, start + frame.byteLength);
  return { bytes: copy, view: new DataView(copy.buffer), frame, segment, offset, epoch };
}
