// Chapter 3. The frame: a group of records as bytes, the unit of checksum and of damage.
//
//   0        4        8            12     14       16        24      28       32         40         48
//   | marker | CRC-32 | body bytes | flags| records| first id| events| plain  | appended | durable  | body, zeros to 8
//                     '------------------------ covered by the CRC ----------------------------------------'
//   body: per record | payload bytes u32 | events u32 | metadata u32 | payload, zeros to 4 |
//
// Why this form: one native checksum call per frame instead of one per record, and a damaged bit costs one frame. The
// marker is the random salt of the segment, so that neither an old frame of a recycled file nor a payload can pass for
// a frame of this segment; it stands outside the checksum, so that a frame can be restamped for another segment.
// The writer composes frames in place: encodeRecord appends to the body, encodeFrame completes the header around it.
//
// Invariants
//   I3.1  a frame that readFrame returns adds up: the records fill the body exactly, their events sum to the event
//         count
//   I3.2  every id, time and size is an integer below 2^53, so that plain numbers are exact
//   I3.3  readFrame looks at no byte outside [offset, end) and throws nothing, whatever the bytes are
// What can go wrong: anything in the bytes. All of it has one name here, `none`; what that means is decided by the
// walk (segment-walk.ts). A checksum that holds over fields that do not add up is our own bug or a forgery, never used.
// Next: frame-scan.ts, which finds the next frame behind damage.

import { assert } from '../base/assert.ts';
import { checksum } from '../base/checksum.ts';
import { highWord, lowWord, readWords } from '../base/words.ts';

/** Bytes before a frame's body. */
export const frameHeaderBytes = 48;
/** Bytes before a record's payload. */
export const recordHeaderBytes = 12;
/** Frames begin at multiples of this many bytes from the start of their file. */
export const frameAlignment = 8;
/** The record count is a u16. */
export const recordsPerFrameMax = 65_535;
export const eventsPerRecordMax: number = 2 ** 24;
/** The event count is a u32. */
export const eventsPerFrameMax: number = 2 ** 32 - 1;
/** Longer bodies are never written and never believed: a damaged length is seen before anything is read for it. */
export const frameBodyBytesMax: number = 2 ** 26;

/** Flag: the last frame of its segment. The only frame that may hold no records. */
export const frameFlagSeal = 0b0_0001;
/** Flags reserved for the compression method of the body (later). */
export const frameFlagsCompression = 0b0_1110;
/** Flag reserved for encrypted bodies (later). */
export const frameFlagEncrypted = 0b1_0000;

const flagsOfThisBuild = frameFlagSeal;
const flagsOfFormat = frameFlagSeal | frameFlagsCompression | frameFlagEncrypted;

const at = {
  checksum: 4,
  bodyBytes: 8,
  flags: 12,
  recordCount: 14,
  firstId: 16,
  eventCount: 24,
  plainBytes: 28,
  appendedAt: 32,
  durableId: 40,
} as const;
const checkedFrom = at.bodyBytes;

assert(frameHeaderBytes % frameAlignment === 0, 'a body begins aligned when its frame does');
assert(recordsPerFrameMax * recordHeaderBytes <= frameBodyBytesMax, 'a frame can hold as many records as it can count');
assert(
  new Uint8Array(Uint32Array.of(1).buffer)[0] === 1,
  'this host is little-endian, as the format is: records are stored through a Uint32Array',
);

/** Two views of the same memory: byte 0 is the first byte of word 0. */
export interface FrameMemory {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
}

/** What a frame's header says besides what follows from its body. */
export interface FrameFields {
  readonly marker: number;
  readonly seal: boolean;
  readonly recordCount: number;
  readonly firstId: number;
  readonly eventCount: number;
  readonly appendedAt: number;
  readonly durableId: number;
}

/** A frame whose checksum held and whose records add up. */
export interface Frame {
  /** With header and with the padding to a multiple of 8: the next frame may begin this many bytes further on. */
  readonly byteLength: number;
  readonly bodyBytes: number;
  readonly seal: boolean;
  readonly recordCount: number;
  readonly firstId: number;
  readonly eventCount: number;
  /** The id that the record after this frame has. */
  readonly nextId: number;
  readonly appendedAt: number;
  readonly durableId: number;
  /** Sum of the records' payload lengths, without headers and padding. */
  readonly payloadBytes: number;
}

export type FrameReading =
  | { readonly kind: 'frame'; readonly frame: Frame }
  /** The checksum holds, but flags are set that this build does not know. */
  | { readonly kind: 'unknown'; readonly byteLength: number; readonly flags: number }
  /** It may be a frame, but the bytes end first: ask again with `byteLength` bytes from `offset`, if there are any. */
  | { readonly kind: 'short'; readonly byteLength: number }
  | { readonly kind: 'none' };

const none: FrameReading = { kind: 'none' };
const shortOfHeader: FrameReading = { kind: 'short', byteLength: frameHeaderBytes };

/** Bytes that a record takes in a frame's body. */
export function recordBytes(payloadBytes: number): number {
  return recordHeaderBytes + payloadBytes + (-payloadBytes & 3);
}

/** Bytes that a frame takes in its segment. */
export function frameBytes(bodyBytes: number): number {
  return frameHeaderBytes + bodyBytes + (-bodyBytes & 7);
}

export function createFrameMemory(byteLength: number): FrameMemory {
  assert(byteLength % frameAlignment === 0, 'frame memory is a whole number of alignments', { byteLength });
  const memory = new ArrayBuffer(byteLength);
  return { bytes: new Uint8Array(memory), words: new Uint32Array(memory) };
}

/**
 * Writes one record at `offset` (a multiple of 4) and returns where the next one goes. `events` and `metadata` must
 * have been checked. This runs once per record: three stores and one copy, no allocation.
 */
export function encodeRecord(
  memory: FrameMemory,
  offset: number,
  payload: Uint8Array,
  events: number,
  metadata: number,
): number {
  const { bytes, words } = memory;
  const payloadBytes = payload.length;
  const word = offset >>> 2;
  words[word] = payloadBytes;
  words[word + 1] = events;
  words[word + 2] = metadata;
  // The memory is reused: old bytes in the padding would leak into the file and make equal records differ.
  if ((payloadBytes & 3) !== 0) words[word + 3 + (payloadBytes >>> 2)] = 0;
  bytes.set(payload, offset + recordHeaderBytes); // Throws if the record does not fit: stores beyond the end do not.
  return offset + recordBytes(payloadBytes);
}

/**
 * Completes the frame at `offset` (a multiple of 8) whose body already lies at `offset + 48`: header, zeros to a
 * multiple of 8, checksum last. Returns the offset behind it.
 */
export function encodeFrame(memory: FrameMemory, offset: number, bodyBytes: number, fields: FrameFields): number {
  assertEncodable(memory, offset, bodyBytes, fields);
  const { bytes, words } = memory;
  const word = offset >>> 2;
  words[word] = fields.marker;
  words[word + 2] = bodyBytes;
  words[word + 3] = (fields.seal ? frameFlagSeal : 0) | (fields.recordCount << 16); // Two u16 in one store.
  words[word + 4] = lowWord(fields.firstId);
  words[word + 5] = highWord(fields.firstId);
  words[word + 6] = fields.eventCount;
  words[word + 7] = bodyBytes; // Neither compressed nor encrypted: the plain length is the length.
  words[word + 8] = lowWord(fields.appendedAt);
  words[word + 9] = highWord(fields.appendedAt);
  words[word + 10] = lowWord(fields.durableId);
  words[word + 11] = highWord(fields.durableId);
  if ((bodyBytes & 7) !== 0) words[word + 12 + (bodyBytes >>> 2)] = 0;
  words[word + 1] = checksumOf(bytes, offset, bodyBytes);
  return offset + frameBytes(bodyBytes);
}

/**
 * Reads the frame at `offset`, if there is one of this marker. `bytes` and `view` show the same memory, and `end` lies
 * within both. Never throws and never looks outside [offset, end), whatever the bytes are.
 */
export function readFrame(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  end: number,
  marker: number,
): FrameReading {
  const present = end - offset;
  if (present < frameHeaderBytes) return mayBegin(bytes, offset, end, marker) ? shortOfHeader : none;
  if (view.getUint32(offset, true) !== marker) return none;
  const bodyBytes = view.getUint32(offset + at.bodyBytes, true);
  const flags = view.getUint16(offset + at.flags, true);
  const known = (flags & ~flagsOfThisBuild) === 0;
  // What unknown flags do to the other fields is unknown too: only the length must be believable.
  if (known ? !addsUp(view, offset) : bodyBytes > frameBodyBytesMax) return none;
  if (frameHeaderBytes + bodyBytes > present) return { kind: 'short', byteLength: frameHeaderBytes + bodyBytes };
  if (view.getUint32(offset + at.checksum, true) !== checksumOf(bytes, offset, bodyBytes)) return none;
  if (!known) return { kind: 'unknown', byteLength: frameBytes(bodyBytes), flags };
  return readVerified(view, offset, bodyBytes, (flags & frameFlagSeal) !== 0);
}

/**
 * Bytes that a frame at `offset` would have (without padding) if its fields can be a frame's, else 0. Goes by the
 * format rather than by what this build can read, and by a few loads instead of a checksum; 48 bytes must be present.
 * For the search without a known marker (segment-salt.ts).
 */
export function claimedBytes(view: DataView, offset: number): number {
  if (view.getUint32(offset, true) === 0) return 0;
  const flags = view.getUint16(offset + at.flags, true);
  if ((flags & ~flagsOfFormat) !== 0) return 0;
  const bodyBytes = view.getUint32(offset + at.bodyBytes, true);
  const believable =
    (flags & ~flagsOfThisBuild) === 0
      ? addsUp(view, offset)
      : Math.max(bodyBytes, view.getUint32(offset + at.plainBytes, true)) <= frameBodyBytesMax &&
        numbersFit(view, offset);
  return believable ? frameHeaderBytes + bodyBytes : 0;
}

/** The frame at `offset` of memory where `encodeFrame` made it: nothing can have damaged it, so no checksum. */
export function readOwnFrame(view: DataView, offset: number): Frame {
  const bodyBytes = view.getUint32(offset + at.bodyBytes, true);
  const seal = (view.getUint16(offset + at.flags, true) & frameFlagSeal) !== 0;
  const reading = readVerified(view, offset, bodyBytes, seal);
  assert(reading.kind === 'frame', 'I3.1: a frame that was made here adds up', { offset });
  return reading.frame;
}

/** Where the records of a frame lie. One table serves all frames of a reader; its arrays grow and are never shrunk. */
export interface RecordTable {
  recordCount: number;
  /** Offset of each payload in the memory that was decoded. */
  payloadOffsets: Uint32Array;
  payloadLengths: Uint32Array;
  events: Uint32Array;
  metadata: Uint32Array;
}

export function createRecordTable(capacity = 256): RecordTable {
  return {
    recordCount: 0,
    payloadOffsets: new Uint32Array(capacity),
    payloadLengths: new Uint32Array(capacity),
    events: new Uint32Array(capacity),
    metadata: new Uint32Array(capacity),
  };
}

/**
 * Lists the records of a frame that `readFrame` has returned and whose body begins at `bodyStart` of `view`. Arrays of
 * plain words instead of an object per record: a reader that hands out runs of records needs no more than this.
 */
export function decodeRecords(view: DataView, bodyStart: number, recordCount: number, into: RecordTable): void {
  if (into.payloadOffsets.length < recordCount) growTable(into, recordCount);
  const { payloadOffsets, payloadLengths, events, metadata } = into;
  let offset = bodyStart;
  for (let record = 0; record < recordCount; record++) {
    const payloadBytes = view.getUint32(offset, true);
    payloadOffsets[record] = offset + recordHeaderBytes;
    payloadLengths[record] = payloadBytes;
    events[record] = view.getUint32(offset + 4, true);
    metadata[record] = view.getUint32(offset + 8, true);
    offset += recordBytes(payloadBytes);
  }
  into.recordCount = recordCount;
}

function growTable(table: RecordTable, recordCount: number): void {
  const capacity = Math.min(recordsPerFrameMax, Math.max(recordCount, 2 * table.payloadOffsets.length));
  assert(recordCount <= capacity, 'a frame has at most recordsPerFrameMax records', { recordCount });
  Object.assign(table, createRecordTable(capacity));
}

function assertEncodable(memory: FrameMemory, offset: number, bodyBytes: number, fields: FrameFields): void {
  const { marker, seal, recordCount, eventCount, firstId, appendedAt, durableId } = fields;
  assert(offset % frameAlignment === 0, 'a frame begins at a multiple of 8', { offset });
  assert(offset + frameBytes(bodyBytes) <= memory.bytes.length, 'a frame lies inside its memory', {
    offset,
    bodyBytes,
  });
  assert(marker !== 0 && marker === marker >>> 0, 'a marker is a u32 and never zero', { marker });
  assert(recordCount === 0 ? seal : recordCount <= recordsPerFrameMax, 'I3.1: 1..65535 records, none only in a seal', {
    recordCount,
  });
  assert(
    bodyBytes % 4 === 0 && bodyBytes >= recordCount * recordHeaderBytes && bodyBytes <= frameBodyBytesMax,
    'I3.1: a body holds its records',
    { bodyBytes, recordCount },
  );
  assert(eventCount >= recordCount && eventCount <= eventsPerFrameMax, 'I3.1: a record has at least one event', {
    eventCount,
    recordCount,
  });
  assert(firstId >= 1 && Number.isSafeInteger(firstId + eventCount), 'I3.2: ids stay below 2^53', {
    firstId,
    eventCount,
  });
  assert(isCount(appendedAt) && isCount(durableId), 'I3.2: times and ids stay below 2^53', { appendedAt, durableId });
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Whether the fewer than 48 bytes that are left could be the beginning of a frame. */
function mayBegin(bytes: Uint8Array, offset: number, end: number, marker: number): boolean {
  const known = Math.min(4, end - offset);
  for (let place = 0; place < known; place++) {
    if (bytes[offset + place] !== ((marker >>> (8 * place)) & 0xff)) return false;
  }
  return end >= offset;
}

/** Whether the header fields of a frame without unknown flags agree with each other. */
function addsUp(view: DataView, offset: number): boolean {
  const bodyBytes = view.getUint32(offset + at.bodyBytes, true);
  if (bodyBytes > frameBodyBytesMax || bodyBytes !== view.getUint32(offset + at.plainBytes, true)) return false;
  const recordCount = view.getUint16(offset + at.recordCount, true);
  const eventCount = view.getUint32(offset + at.eventCount, true);
  if (recordCount === 0) {
    const seal = (view.getUint16(offset + at.flags, true) & frameFlagSeal) !== 0;
    if (!seal || bodyBytes !== 0 || eventCount !== 0) return false;
  }
  return bodyBytes >= recordCount * recordHeaderBytes && eventCount >= recordCount && numbersFit(view, offset);
}

function numbersFit(view: DataView, offset: number): boolean {
  const firstId = readWords(view, offset + at.firstId);
  return (
    firstId >= 1 &&
    firstId + view.getUint32(offset + at.eventCount, true) <= Number.MAX_SAFE_INTEGER &&
    readWords(view, offset + at.appendedAt) <= Number.MAX_SAFE_INTEGER &&
    readWords(view, offset + at.durableId) <= Number.MAX_SAFE_INTEGER
  );
}

/** The frame behind a checksum that holds: only its records can still contradict its header. */
function readVerified(view: DataView, offset: number, bodyBytes: number, seal: boolean): FrameReading {
  const recordCount = view.getUint16(offset + at.recordCount, true);
  const eventCount = view.getUint32(offset + at.eventCount, true);
  const bodyEnd = offset + frameHeaderBytes + bodyBytes;
  let record = offset + frameHeaderBytes;
  let eventSum = 0;
  let payloadSum = 0;
  for (let rest = recordCount; rest > 0; rest--) {
    if (record + recordHeaderBytes > bodyEnd) return none; // A payload that is too long shows here, or behind the loop.
    const payloadBytes = view.getUint32(record, true);
    const events = view.getUint32(record + 4, true);
    if (events === 0 || events > eventsPerRecordMax) return none;
    eventSum += events;
    payloadSum += payloadBytes;
    record += recordBytes(payloadBytes);
  }
  if (record !== bodyEnd || eventSum !== eventCount) return none;
  const firstId = readWords(view, offset + at.firstId);
  const frame: Frame = {
    byteLength: frameBytes(bodyBytes),
    bodyBytes,
    seal,
    recordCount,
    firstId,
    eventCount,
    nextId: firstId + eventCount,
    appendedAt: readWords(view, offset + at.appendedAt),
    durableId: readWords(view, offset + at.durableId),
    payloadBytes: payloadSum,
  };
  return { kind: 'frame', frame };
}

function checksumOf(bytes: Uint8Array, offset: number, bodyBytes: number): number {
  const start = bytes.byteOffset + offset + checkedFrom;
  return checksum(new Uint8Array(bytes.buffer, start, frameHeaderBytes - checkedFrom + bodyBytes));
}
