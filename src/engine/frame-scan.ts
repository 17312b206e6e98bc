// Chapter 3, continued. Finding the next frame behind bytes that are none.
//
// A damaged frame's length cannot be believed, so nothing is skipped by it: the search looks at every multiple of 8.
// The marker is random per segment and found by one native search over the whole memory; what stands behind it must
// pass the checksum. The cost is linear in the bytes searched, plus one checksum for each place where the marker
// stands.
//
// Invariant: what is reported is the first place, from `from` on, that is or may be a frame; no frame is ever passed
// over.
// What can go wrong: a place that may be a frame reaches beyond the bytes present. It is reported as `short`, and the
// caller, who knows whether more bytes exist, loads them or goes on behind it.
// Next: segment-header.ts, the block that tells the marker.

import { frameAlignment, readFrame } from './frame.ts';

export type FrameFinding =
  | { readonly kind: 'found'; readonly offset: number }
  /** The checksum holds, the flags are unknown to this build. */
  | { readonly kind: 'unknown'; readonly offset: number }
  /** May be a frame; `byteLength` bytes from `offset` on would decide it. */
  | { readonly kind: 'short'; readonly offset: number; readonly byteLength: number }
  | { readonly kind: 'none' };

/**
 * The first frame at a multiple of 8 in [from, end). Multiples of 8 in `bytes` must be multiples of 8 in the file.
 */
export function findFrame(bytes: Uint8Array, view: DataView, from: number, end: number, marker: number): FrameFinding {
  const searched = Buffer.from(bytes.buffer, bytes.byteOffset, end);
  const pattern = Buffer.from(Uint32Array.of(marker).buffer);
  let offset = searched.indexOf(pattern, from + (-from & (frameAlignment - 1)));
  while (offset >= 0) {
    if (offset % frameAlignment === 0) {
      const reading = readFrame(bytes, view, offset, end, marker);
      if (reading.kind === 'frame') return { kind: 'found', offset };
      if (reading.kind === 'unknown') return { kind: 'unknown', offset };
      if (reading.kind === 'short') return { kind: 'short', offset, byteLength: reading.byteLength };
    }
    offset = searched.indexOf(pattern, offset + 1);
  }
  return findBeginning(bytes, view, from, end, marker);
}

/** The last multiple of 8 may have less than a whole marker behind it, which the native search does not see. */
function findBeginning(bytes: Uint8Array, view: DataView, from: number, end: number, marker: number): FrameFinding {
  const offset = end - (end % frameAlignment);
  if (offset < from || offset === end || end - offset >= 4) return { kind: 'none' };
  const reading = readFrame(bytes, view, offset, end, marker);
  return reading.kind === 'short' ? { kind: 'short', offset, byteLength: reading.byteLength } : { kind: 'none' };
}
