// Chapter 5. One slot of the ledger as bytes.
//
//   0 magic u32 "SPWL"   4 CRC-32 of bytes 8 .. 24 + length   8 length u32   12 zero u32   16 generation u64   24 JSON
//
// Why JSON inside a checksum: the slot is written a few times a second, so its codec may cost microseconds; in return
// an operator can read it with `strings`, and a later version can add keys that this one passes over.
// Why 8192 bytes: the fullest ledger (32 cursors with the longest names, 16 ranges, every number 2^53 - 1) must fit,
// because a publish that does not fit could never be made smaller by waiting. A test holds it.
//
// Invariants
//   I5.4  a slot that is returned as valid has every field, of its type and in its range
//   I5.5  numbers saturate at 2^53 - 1: a counter that is full stays full, it does not wrap
// What can go wrong: a torn or rotten slot is `bad` and the other one serves (ledger.ts). A slot of a newer format is
// `unknown`: the buffer is left alone.
// Next: ledger.ts, which alternates between two slots.

import { assert } from '../base/assert.ts';
import { checksumPortable } from '../base/checksum.ts';
import { readWords, writeWords } from '../base/words.ts';
import { formatVersion } from './segment-header.ts';

/** One slot; the second begins at this offset of the file. */
export const ledgerSlotBytes = 8192;
export const ledgerBytes = 16_384;
/** What a slot has room for behind its head. */
export const ledgerJsonBytesMax = 8168;
/** The bytes `SPWL` as a little-endian u32. */
export const ledgerMagic = 0x4c57_5053;
export const cursorsMax = 32;
export const cursorNameLengthMax = 64;
export const unconfirmedRangesMax = 16;

const at = { magic: 0, checksum: 4, length: 8, zero: 12, generation: 16, json: 24 } as const;
const checkedFrom = at.length;
const cursorNamePattern = /^[A-Za-z0-9._-]{1,64}$/;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const epochMax = 2 ** 32 - 1; // A header holds it in a u32.

assert(ledgerBytes === 2 * ledgerSlotBytes, 'a ledger is two slots');
assert(at.json + ledgerJsonBytesMax === ledgerSlotBytes, 'head and JSON fill a slot');

/** What is counted, in events and in payload bytes. */
export interface Amount {
  readonly events: number;
  readonly bytes: number;
}

const removalReasons = ['rejected', 'dropped_oldest', 'dropped_newest', 'disk_full', 'unconfirmed'] as const;

/** Why records left the buffer without having been acknowledged; `unconfirmed`: lost in a crash, promised to nobody. */
export type RemovalReason = 'rejected' | 'dropped_oldest' | 'dropped_newest' | 'disk_full' | 'unconfirmed';

/** Sums over the life of the buffer. */
export interface LedgerTotals {
  readonly appended: Amount;
  readonly acknowledged: Amount;
  readonly removed: Readonly<Record<RemovalReason, Amount>>;
  readonly damaged: Amount;
}

/** Where a cursor is. Segment and offset are a hint that is verified before it is used. */
export interface LedgerCursor {
  readonly name: string;
  readonly nextId: number;
  readonly segment: number;
  readonly offset: number;
  /** Payload bytes that this cursor has passed in its life. */
  readonly payloadBytes: number;
}

/** Record ids from `from` up to, not including, `to`. */
export interface IdRange {
  readonly from: number;
  readonly to: number;
}

export interface LedgerContent {
  readonly uuid: string;
  readonly formatVersion: number;
  readonly epoch: number;
  readonly clean: boolean;
  readonly writer: {
    readonly segment: number;
    readonly offset: number;
    readonly nextId: number;
    readonly newestSegment: number;
  };
  readonly cursors: readonly LedgerCursor[];
  readonly totals: LedgerTotals;
  /** Gaps that a crash left above what was durable, until every cursor has passed them. */
  readonly unconfirmed: readonly IdRange[];
}

export type LedgerSlotReading =
  | { readonly kind: 'valid'; readonly generation: number; readonly content: LedgerContent }
  /** The checksum holds, the format is newer than this build. */
  | { readonly kind: 'unknown'; readonly formatVersion: number }
  | { readonly kind: 'bad' };

const bad: LedgerSlotReading = { kind: 'bad' };

/** The 8192 bytes of a slot. */
export function encodeLedgerSlot(generation: number, content: LedgerContent): Uint8Array {
  assert(Number.isSafeInteger(generation) && generation >= 0, 'a generation is an integer below 2^53', { generation });
  const json = new TextEncoder().encode(JSON.stringify(toJson(content)));
  // Paired with decode: what we would refuse to read must not be written over what we can read.
  assert(toContent(toJson(content)) !== undefined, 'I5.4: a ledger has every field in its range', { content });
  assert(json.length <= ledgerJsonBytesMax, 'the fullest ledger fits its slot', { length: json.length });
  const slot = new Uint8Array(ledgerSlotBytes);
  const view = new DataView(slot.buffer);
  view.setUint32(at.magic, ledgerMagic, true);
  view.setUint32(at.length, json.length, true);
  writeWords(view, at.generation, generation);
  slot.set(json, at.json);
  view.setUint32(at.checksum, checksumPortable(slot.subarray(checkedFrom, at.json + json.length)), true);
  return slot;
}

/** Reads a slot, which may be shorter than 8192 bytes (a torn file). Never throws. */
export function decodeLedgerSlot(bytes: Uint8Array): LedgerSlotReading {
  if (bytes.length < at.json) return bad;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(at.magic, true) !== ledgerMagic) return bad;
  const length = view.getUint32(at.length, true);
  if (length > ledgerJsonBytesMax || at.json + length > bytes.length) return bad;
  const end = at.json + length;
  if (view.getUint32(at.checksum, true) !== checksumPortable(bytes.subarray(checkedFrom, end))) return bad;
  const json = parse(bytes.subarray(at.json, end));
  const version = count(json, 'formatVersion');
  if (version !== undefined && version > formatVersion) return { kind: 'unknown', formatVersion: version };
  const generation = readWords(view, at.generation);
  const content = toContent(json);
  if (content === undefined || !Number.isSafeInteger(generation)) return bad;
  return { kind: 'valid', generation, content };
}

/** The JSON form: one short object per cursor, pairs for amounts and ranges. docs/format.md lists the keys. */
function toJson(content: LedgerContent): object {
  const { writer, totals } = content;
  return {
    formatVersion: content.formatVersion,
    uuid: content.uuid,
    epoch: saturate(content.epoch),
    clean: content.clean,
    writer: {
      segment: saturate(writer.segment),
      offset: saturate(writer.offset),
      next: saturate(writer.nextId),
      newest: saturate(writer.newestSegment),
    },
    cursors: content.cursors.map((cursor) => ({
      name: cursor.name,
      next: saturate(cursor.nextId),
      segment: saturate(cursor.segment),
      offset: saturate(cursor.offset),
      payload: saturate(cursor.payloadBytes),
    })),
    totals: {
      appended: pair(totals.appended),
      acknowledged: pair(totals.acknowledged),
      ...Object.fromEntries(removalReasons.map((reason) => [reason, pair(totals.removed[reason])])),
      damaged: pair(totals.damaged),
    },
    unconfirmed: content.unconfirmed.map((range) => [saturate(range.from), saturate(range.to)]),
  };
}

function pair(amount: Amount): [number, number] {
  return [saturate(amount.events), saturate(amount.bytes)];
}

/** The content behind parsed JSON of this version, or undefined if a field is missing, mistyped or out of range. */
function toContent(json: unknown): LedgerContent | undefined {
  const uuid = field(json, 'uuid');
  const epoch = count(json, 'epoch');
  const clean = field(json, 'clean');
  const writer = toWriter(field(json, 'writer'));
  const cursors = toList(field(json, 'cursors'), cursorsMax, toCursor);
  const totals = toTotals(field(json, 'totals'));
  const unconfirmed = toList(field(json, 'unconfirmed'), unconfirmedRangesMax, toRange);
  if (field(json, 'formatVersion') !== formatVersion || typeof uuid !== 'string' || !uuidPattern.test(uuid)) return;
  if (epoch === undefined || epoch > epochMax || typeof clean !== 'boolean') return;
  if (writer === undefined || cursors === undefined || totals === undefined || unconfirmed === undefined) return;
  if (new Set(cursors.map((cursor) => cursor.name)).size !== cursors.length) return;
  return { uuid, formatVersion, epoch, clean, writer, cursors, totals, unconfirmed };
}

function toWriter(json: unknown): LedgerContent['writer'] | undefined {
  const segment = count(json, 'segment');
  const offset = count(json, 'offset');
  const nextId = count(json, 'next');
  const newestSegment = count(json, 'newest');
  if (segment === undefined || offset === undefined || nextId === undefined || newestSegment === undefined) return;
  return { segment, offset, nextId, newestSegment };
}

function toCursor(json: unknown): LedgerCursor | undefined {
  const name = field(json, 'name');
  const nextId = count(json, 'next');
  const segment = count(json, 'segment');
  const offset = count(json, 'offset');
  const payloadBytes = count(json, 'payload');
  if (typeof name !== 'string' || !cursorNamePattern.test(name)) return;
  if (nextId === undefined || segment === undefined || offset === undefined || payloadBytes === undefined) return;
  return { name, nextId, segment, offset, payloadBytes };
}

function toTotals(json: unknown): LedgerTotals | undefined {
  const amounts: Partial<Record<RemovalReason | 'appended' | 'acknowledged' | 'damaged', Amount>> = {};
  for (const key of ['appended', 'acknowledged', 'damaged', ...removalReasons] as const) {
    const numbers = toNumbers(field(json, key));
    if (numbers === undefined) return;
    amounts[key] = { events: numbers[0], bytes: numbers[1] };
  }
  const { appended, acknowledged, damaged, ...removed } = amounts as Required<typeof amounts>;
  return { appended, acknowledged, removed, damaged };
}

function toRange(json: unknown): IdRange | undefined {
  const numbers = toNumbers(json);
  if (numbers === undefined || numbers[0] > numbers[1]) return;
  return { from: numbers[0], to: numbers[1] };
}

function toNumbers(json: unknown): [number, number] | undefined {
  if (!Array.isArray(json)) return;
  const first = toCount(json[0]);
  const second = toCount(json[1]);
  return first === undefined || second === undefined ? undefined : [first, second];
}

function toList<Item>(json: unknown, max: number, toItem: (json: unknown) => Item | undefined): Item[] | undefined {
  if (!Array.isArray(json) || json.length > max) return;
  const items: Item[] = [];
  for (const entry of json) {
    const item = toItem(entry);
    if (item === undefined) return;
    items.push(item);
  }
  return items;
}

/** An own property of a parsed object: what stands on a prototype, or under the key `__proto__`, is never seen. */
function field(json: unknown, key: string): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json) || !Object.hasOwn(json, key)) return undefined;
  return (json as Readonly<Record<string, unknown>>)[key];
}

function count(json: unknown, key: string): number | undefined {
  return toCount(field(json, key));
}

/** A whole number from 0 on, at most 2^53 - 1. */
function toCount(value: unknown): number | undefined {
  if (typeof value !== 'number' || value < 0 || !Number.isInteger(value)) return undefined;
  return saturate(value);
}

function saturate(value: number): number {
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined; // Behind a checksum that holds this is a forgery or our bug; either way there is no ledger in it.
  }
}
