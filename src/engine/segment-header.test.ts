import { describe, expect, it } from 'vitest';
import { byScale } from '../../test/sweep.ts';
import { checksumPortable } from '../base/checksum.ts';
import {
  encodeSegmentHeader,
  parseSegmentFileName,
  readSegmentHeader,
  type SegmentHeader,
  segmentFileName,
  segmentHeaderBytes,
  segmentHeaderCopyOffset,
} from './segment-header.ts';

const largest = Number.MAX_SAFE_INTEGER;
const header: SegmentHeader = {
  formatVersion: 1,
  features: 0,
  uuid: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0',
  segmentNumber: 7,
  epoch: 3,
  salt: 0x9e37_79b9,
  firstId: 123_456_789_012_345,
  createdAt: 1_700_000_000_000,
  alignment: 8,
};
const block = encodeSegmentHeader(header);
const copyBytes = 68;

/** A block in which one copy, or both, has a field stored anew under a checksum that holds. */
function forged(starts: readonly number[], change: (view: DataView) => void): Uint8Array {
  const bytes = block.slice();
  for (const start of starts) {
    const view = new DataView(bytes.buffer, start, copyBytes);
    change(view);
    view.setUint32(64, checksumPortable(bytes.subarray(start, start + 64)), true);
  }
  return bytes;
}
const both = [0, segmentHeaderCopyOffset];

describe('segment header', () => {
  it('gives back what went in, at the limits too', () => {
    expect(readSegmentHeader(block)).toEqual({ kind: 'valid', header, copies: 2 });
    const limits: SegmentHeader = {
      ...header,
      uuid: 'ffffffff-ffff-ffff-ffff-ffffffffffff',
      segmentNumber: largest,
      epoch: 2 ** 32 - 1,
      salt: 2 ** 32 - 1,
      firstId: largest,
      createdAt: largest,
      alignment: 4096,
    };
    expect(readSegmentHeader(encodeSegmentHeader(limits))).toEqual({ kind: 'valid', header: limits, copies: 2 });
  });

  it('fills its block with two equal copies and zeros', () => {
    expect(block.length).toBe(segmentHeaderBytes);
    const first = block.slice(0, copyBytes);
    expect(block.slice(segmentHeaderCopyOffset, segmentHeaderCopyOffset + copyBytes)).toEqual(first);
    expect(block.filter((byte) => byte !== 0).length).toBe(2 * first.filter((byte) => byte !== 0).length);
  });

  it('refuses fields that no reader would believe', () => {
    const wrong: Partial<SegmentHeader>[] = [
      { formatVersion: 2 },
      { features: 1 },
      { uuid: header.uuid.toUpperCase() },
      { uuid: 'not-a-uuid' },
      { segmentNumber: -1 },
      { segmentNumber: 1.5 },
      { epoch: 2 ** 32 },
      { salt: 0 },
      { salt: -1 },
      { firstId: 0 },
      { createdAt: largest + 1 },
      { alignment: 4 },
      { alignment: 24 },
      { alignment: 2 ** 20 },
    ];
    for (const change of wrong) {
      expect(() => encodeSegmentHeader({ ...header, ...change }), JSON.stringify(change)).toThrow('Invariant violated');
    }
  });

  it('is whole as long as one copy is, wherever the other is damaged', () => {
    for (const start of both) {
      for (let place = start; place < start + copyBytes; place++) {
        for (const bit of byScale({ sample: [place & 7], full: [0, 1, 2, 3, 4, 5, 6, 7] })) {
          const damaged = block.slice();
          damaged[place] = (damaged[place] ?? 0) ^ (1 << bit);
          expect(readSegmentHeader(damaged), `byte ${place}, bit ${bit}`).toEqual({ kind: 'valid', header, copies: 1 });
          const other = start === 0 ? segmentHeaderCopyOffset : 0;
          damaged[other + 11] = ~(damaged[other + 11] ?? 0);
          expect(readSegmentHeader(damaged), `byte ${place}, bit ${bit}, both`).toEqual({ kind: 'bad' });
        }
      }
    }
  });

  it('survives a cut anywhere, also in a view that begins inside its memory', () => {
    for (let cut = 0; cut <= segmentHeaderBytes; cut++) {
      const copies = cut >= segmentHeaderCopyOffset + copyBytes ? 2 : 1;
      const expected = cut < copyBytes ? { kind: 'bad' } : { kind: 'valid', header, copies };
      expect(readSegmentHeader(block.subarray(0, cut)), `cut at ${cut}`).toEqual(expected);
    }
    const memory = new Uint8Array(segmentHeaderBytes + 3);
    memory.set(block, 3);
    expect(readSegmentHeader(memory.subarray(3))).toEqual({ kind: 'valid', header, copies: 2 });
  });

  it('is bad in zeros and in other bytes', () => {
    expect(readSegmentHeader(new Uint8Array(segmentHeaderBytes))).toEqual({ kind: 'bad' });
    expect(readSegmentHeader(new Uint8Array(segmentHeaderBytes).fill(0xff))).toEqual({ kind: 'bad' });
  });

  it('takes the first of two whole copies that differ, and counts one', () => {
    const other = forged([segmentHeaderCopyOffset], (view) => view.setUint32(40, 5, true));
    expect(readSegmentHeader(other)).toEqual({ kind: 'valid', header, copies: 1 });
  });

  it('tells a newer format or an unknown feature from damage, in either copy', () => {
    for (const starts of [both, [0], [segmentHeaderCopyOffset]]) {
      const newer = readSegmentHeader(forged(starts, (view) => view.setUint16(8, 2, true)));
      expect(newer).toEqual({ kind: 'unknown', header: { ...header, formatVersion: 2 } });
      const featured = readSegmentHeader(forged(starts, (view) => view.setUint16(10, 0x8000, true)));
      expect(featured).toEqual({ kind: 'unknown', header: { ...header, features: 0x8000 } });
    }
    // Of a newer header this build knows nothing but that it is newer: its other fields are not judged.
    const strange = forged(both, (view) => {
      view.setUint16(8, 9, true);
      view.setUint32(40, 0, true);
    });
    expect(readSegmentHeader(strange)).toMatchObject({ kind: 'unknown', header: { formatVersion: 9 } });
  });

  it('believes no field outside its range, checksum or not', () => {
    const lies: ((view: DataView) => void)[] = [
      (view) => view.setUint16(8, 0, true),
      (view) => view.setUint32(40, 0, true),
      (view) => view.setUint32(32, 2 ** 21, true),
      (view) => view.setBigUint64(44, 0n, true),
      (view) => view.setBigUint64(44, 2n ** 53n, true),
      (view) => view.setBigUint64(52, 2n ** 64n - 1n, true),
      (view) => view.setUint32(60, 0, true),
      (view) => view.setUint32(60, 12, true),
      (view) => view.setUint32(60, 2 ** 31, true),
      (view) => view.setUint8(0, 0x73),
    ];
    for (const [place, lie] of lies.entries()) {
      expect(readSegmentHeader(forged(both, lie)), `lie ${place}`).toEqual({ kind: 'bad' });
    }
  });
});

describe('segment file names', () => {
  it('are sixteen digits, in the order of the numbers', () => {
    expect(segmentFileName(7)).toBe('0000000000000007.seg');
    expect(segmentFileName(largest)).toBe('9007199254740991.seg');
    for (const segmentNumber of [0, 1, 99, 2 ** 32, largest]) {
      expect(parseSegmentFileName(segmentFileName(segmentNumber))).toBe(segmentNumber);
    }
    expect(() => segmentFileName(-1)).toThrow('Invariant violated');
    expect(() => segmentFileName(largest + 1)).toThrow('Invariant violated');
  });

  it('are nothing else', () => {
    const others = [
      '',
      '7.seg',
      '00000000000000007.seg',
      '000000000000007.seg',
      '0000000000000007.seg ',
      '0000000000000007.seg\n',
      'x0000000000000007.seg',
      '0000000000000007.SEG',
      '00000000000000-7.seg',
      '000000000000007e.seg',
      '0000000000000007',
      '9007199254740992.seg',
      'spare-0000000000000007.seg',
      '\u0660000000000000007.seg',
    ];
    for (const name of others) expect(parseSegmentFileName(name), JSON.stringify(name)).toBeUndefined();
  });
});
