import { describe, expect, it } from 'vitest';
import { concat, resign, simpleFrame } from '../../test/segment-bytes.ts';
import { findFrame } from './frame-scan.ts';

const marker = 0x0101_0102; // Its own bytes overlap when shifted, which a search must not stumble over.

function find(bytes: Uint8Array, from = 0, end = bytes.length): ReturnType<typeof findFrame> {
  return findFrame(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), from, end, marker);
}

const frame = simpleFrame(marker, 1, 20);
const markerBytes = frame.slice(0, 4);

describe('findFrame', () => {
  it('finds the first of several, from any position before it', () => {
    const bytes = concat(new Uint8Array(24), frame, frame);
    for (let from = 0; from <= 24; from++) expect(find(bytes, from)).toEqual({ kind: 'found', offset: 24 });
    expect(find(bytes, 25)).toEqual({ kind: 'found', offset: 24 + frame.length });
  });

  it('passes over frames that begin at no multiple of 8', () => {
    for (let shift = 1; shift < 8; shift++) {
      const bytes = concat(new Uint8Array(shift), frame, new Uint8Array(8 - shift), frame);
      expect(find(bytes)).toEqual({ kind: 'found', offset: frame.length + 8 });
    }
  });

  it('does not pass over a frame right behind a marker at no multiple of 8', () => {
    for (let place = 1; place <= 4; place++) {
      const before = new Uint8Array(8);
      before.set(markerBytes, place);
      expect(find(concat(before, frame))).toEqual({ kind: 'found', offset: 8 });
    }
  });

  it('passes over markers in front of other bytes', () => {
    const bytes = concat(markerBytes, new Uint8Array(60).fill(0xff), frame);
    expect(find(bytes)).toEqual({ kind: 'found', offset: 64 });
  });

  it('reports a candidate that the end cuts, down to its first byte', () => {
    for (let cut = 1; cut < frame.length - 1; cut++) {
      const bytes = concat(new Uint8Array(16), frame.slice(0, cut));
      const byteLength = cut < 48 ? 48 : 48 + 32;
      if (cut >= 48 + 32) expect(find(bytes)).toEqual({ kind: 'found', offset: 16 });
      else expect(find(bytes), `cut ${cut}`).toEqual({ kind: 'short', offset: 16, byteLength });
    }
    expect(find(new Uint8Array(16))).toEqual({ kind: 'none' });
    expect(find(concat(new Uint8Array(16), markerBytes), 17)).toEqual({ kind: 'none' });
  });

  it('looks at nothing behind the end', () => {
    const bytes = concat(new Uint8Array(16), frame);
    expect(find(bytes, 0, 16)).toEqual({ kind: 'none' });
    expect(find(bytes, 0, 17)).toEqual({ kind: 'short', offset: 16, byteLength: 48 });
  });

  it('reports a whole frame with unknown flags', () => {
    const flagged = frame.slice();
    flagged[13] = 0x80;
    expect(find(concat(new Uint8Array(8), resign(flagged), frame))).toEqual({ kind: 'unknown', offset: 8 });
  });

  it('works in a view that begins inside its memory', () => {
    const memory = concat(frame, new Uint8Array(8), frame);
    expect(find(memory.subarray(frame.length))).toEqual({ kind: 'found', offset: 8 });
  });
});
