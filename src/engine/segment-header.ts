// Chapter 4. The head of a segment: whose file it is, which one, and the marker of its frames.
//
//   0 magic "SPILLWAY"   8 version u16   10 features u16   12 uuid (16)   28 segment number u64   36 epoch u32
//   40 salt u32   44 first id u64   52 created at u64   60 alignment u32   64 CRC-32 of bytes 0 .. 64
//
// Why twice in its block (at 0 and at 2048): without the salt no frame of the file can be told from foreign bytes, so
// one rotten sector must not cost a whole segment. Frames begin behind the block, at 4096.
//
// Invariants
//   I4.3  a salt is never zero and different for every use of a file: zeros and old frames never pass for frames
//   I4.4  a version or feature that this build does not know is reported as such, never as damage: such a file is left
//         alone
// What can go wrong: one copy is bad - the other serves. Both are bad - segment-salt.ts finds the marker in the frames.
// Next: segment-window.ts and segment-walk.ts, which read what stands behind the header.

import { assert } from '../base/assert.ts';
import { checksumPortable } from '../base/checksum.ts';
import { readWords, writeWords } from '../base/words.ts';
import { frameAlignment } from './frame.ts';

/** The header's block; the first frame begins behind it. */
export const segmentHeaderBytes = 4096;
/** Where the second copy stands: in another sector, and in another half of the block. */
export const segmentHeaderCopyOffset = 2048;
/** The version of headers, frames and ledger that this build writes. */
export const formatVersion = 1;
/** The first eight bytes of every segment, in ASCII. */
const segmentMagic = 'SPILLWAY';
/** Alignments beyond this are not believed. */
const alignmentMax = 65_536;

const segmentFileSuffix = '.seg';
const segmentFileDigits = 16;
const featuresOfThisBuild = 0;

const at = {
  magic: 0,
  formatVersion: 8,
  features: 10,
  uuid: 12,
  segmentNumber: 28,
  epoch: 36,
  salt: 40,
  firstId: 44,
  createdAt: 52,
  alignment: 60,
  checksum: 64,
} as const;
const copyBytes = at.checksum + 4;

assert(segmentHeaderBytes % frameAlignment === 0, 'the first frame begins aligned');
assert(segmentHeaderCopyOffset + copyBytes <= segmentHeaderBytes, 'both copies lie in the block');

export interface SegmentHeader {
  readonly formatVersion: number;
  /** Bits of features that a reader must know; none are defined in version 1. */
  readonly features: number;
  /** The buffer's identity in canonical form, 8-4-4-4-12 lower-case hexadecimal digits. */
  readonly uuid: string;
  readonly segmentNumber: number;
  readonly epoch: number;
  /** The marker of this segment's frames. */
  readonly salt: number;
  readonly firstId: number;
  readonly createdAt: number;
  /** What the file is padded to after each commit. */
  readonly alignment: number;
}

export type SegmentHeaderReading =
  | { readonly kind: 'valid'; readonly header: SegmentHeader; readonly copies: 1 | 2 }
  /** The checksum holds, but the version is newer or a feature is unknown; fields as far as version 1 defines them. */
  | { readonly kind: 'unknown'; readonly header: SegmentHeader }
  | { readonly kind: 'bad' };

/** The whole block of 4096 bytes with both copies. */
export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  assert(header.formatVersion === formatVersion && header.features === 0, 'this build writes version 1', { header });
  assert(isBelievable(header), 'I4.3: every field of a header is inside its range', { header });
  const block = new Uint8Array(segmentHeaderBytes);
  const view = new DataView(block.buffer);
  for (let place = 0; place < segmentMagic.length; place++) block[at.magic + place] = segmentMagic.charCodeAt(place);
  view.setUint16(at.formatVersion, header.formatVersion, true);
  view.setUint16(at.features, header.features, true);
  block.set(uuidBytes(header.uuid), at.uuid);
  writeWords(view, at.segmentNumber, header.segmentNumber);
  view.setUint32(at.epoch, header.epoch, true);
  view.setUint32(at.salt, header.salt, true);
  writeWords(view, at.firstId, header.firstId);
  writeWords(view, at.createdAt, header.createdAt);
  view.setUint32(at.alignment, header.alignment, true);
  view.setUint32(at.checksum, checksumPortable(block.subarray(0, at.checksum)), true);
  block.copyWithin(segmentHeaderCopyOffset, 0, copyBytes);
  return block;
}

/**
 * Reads a header block, which may be shorter than 4096 bytes (a torn file). Never throws.
 *
 * Two whole copies that differ cannot come from one write: they are halves of two uses of the file, and then neither
 * write was ever synced, so no frame behind them was promised to anybody. The first is taken, as one copy. Unless one
 * of them is of a newer format: then the file is left alone, because I4.4 weighs more.
 */
export function readSegmentHeader(block: Uint8Array): SegmentHeaderReading {
  const first = readCopy(block, 0);
  const second = readCopy(block, segmentHeaderCopyOffset);
  const header = first ?? second;
  if (header === undefined) return { kind: 'bad' };
  for (const copy of [first, second]) {
    if (copy !== undefined && isUnknown(copy)) return { kind: 'unknown', header: copy };
  }
  return { kind: 'valid', header, copies: sameBytes(block, first, second) ? 2 : 1 };
}

/** `0000000000000007.seg` for 7: sorted by name is sorted by number. */
export function segmentFileName(segmentNumber: number): string {
  assert(isCount(segmentNumber), 'a segment number is an integer below 2^53', { segmentNumber });
  return String(segmentNumber).padStart(segmentFileDigits, '0') + segmentFileSuffix;
}

/** The number in a segment's file name; undefined for every other name. */
export function parseSegmentFileName(name: string): number | undefined {
  if (!/^[0-9]{16}\.seg$/.test(name)) return undefined;
  const segmentNumber = Number(name.slice(0, segmentFileDigits));
  return isCount(segmentNumber) ? segmentNumber : undefined;
}

/** One copy, if its checksum holds and its fields can be believed. */
function readCopy(block: Uint8Array, start: number): SegmentHeader | undefined {
  if (block.length < start + copyBytes) return undefined;
  const copy = block.subarray(start, start + copyBytes);
  const view = new DataView(copy.buffer, copy.byteOffset, copyBytes);
  if (String.fromCharCode(...copy.subarray(at.magic, at.magic + segmentMagic.length)) !== segmentMagic)
    return undefined;
  if (view.getUint32(at.checksum, true) !== checksumPortable(copy.subarray(0, at.checksum))) return undefined;
  const header: SegmentHeader = {
    formatVersion: view.getUint16(at.formatVersion, true),
    features: view.getUint16(at.features, true),
    uuid: uuidText(copy.subarray(at.uuid, at.uuid + 16)),
    segmentNumber: readWords(view, at.segmentNumber),
    epoch: view.getUint32(at.epoch, true),
    salt: view.getUint32(at.salt, true),
    firstId: readWords(view, at.firstId),
    createdAt: readWords(view, at.createdAt),
    alignment: view.getUint32(at.alignment, true),
  };
  return isUnknown(header) || isBelievable(header) ? header : undefined;
}

function isUnknown(header: SegmentHeader): boolean {
  return header.formatVersion > formatVersion || (header.features & ~featuresOfThisBuild) !== 0;
}

function isBelievable(header: SegmentHeader): boolean {
  return (
    header.formatVersion === formatVersion &&
    uuidPattern.test(header.uuid) &&
    isCount(header.segmentNumber) &&
    isU32(header.epoch) &&
    isU32(header.salt) &&
    header.salt !== 0 &&
    isCount(header.firstId) &&
    header.firstId >= 1 &&
    isCount(header.createdAt) &&
    isAlignment(header.alignment)
  );
}

/** A power of two from 8 on: frames must be able to begin at every multiple of it. */
function isAlignment(value: number): boolean {
  return value >= frameAlignment && value <= alignmentMax && (value & (value - 1)) === 0;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isU32(value: number): boolean {
  return value === value >>> 0;
}

function sameBytes(block: Uint8Array, first: SegmentHeader | undefined, second: SegmentHeader | undefined): boolean {
  if (first === undefined || second === undefined) return false;
  for (let place = 0; place < copyBytes; place++) {
    if (block[place] !== block[segmentHeaderCopyOffset + place]) return false;
  }
  return true;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function uuidBytes(uuid: string): Uint8Array {
  const digits = uuid.replaceAll('-', '');
  return Uint8Array.from({ length: 16 }, (_, place) => Number.parseInt(digits.slice(2 * place, 2 * place + 2), 16));
}

function uuidText(bytes: Uint8Array): string {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const groups = [0, 8, 12, 16, 20, 32];
  return groups
    .slice(1)
    .map((end, place) => digits.slice(groups[place], end))
    .join('-');
}
