// Chapter 1. The limits of a buffer: what the user may choose, what follows from it, and what is refused.
//
// All sizes of one buffer follow from `maxBytes`. They are fixed while the buffer is open, so that a record that fits
// once fits always, and so that the proof "every byte in the directory stays within maxBytes" needs one inequality:
//
//   used + new <= maxBytes - ledger (16 KiB) - one segment held in reserve
//
// Next: events.ts, what a buffer tells about itself.

import { assert } from '../base/assert.ts';
import { UsageError } from '../base/errors.ts';
import { alignDown, KiB, MiB } from '../base/units.ts';
import type { Clock } from '../platform/clock.ts';
import type { FileSystem } from '../platform/file-system.ts';
import type { Random } from '../platform/random.ts';

/**
 * What `accepted` means. `memory`: copied into the process. `os`: written to the operating system, survives a kill.
 * `interval`: like `os`, and durable within `syncIntervalMs` plus one sync. `sync`: durable before it is accepted.
 */
export type Durability = 'memory' | 'os' | 'interval' | 'sync';

/** What `append` does while the buffer has reached `maxBytes` or the disk is full. */
export type WhenFull = 'block' | 'drop_newest' | 'drop_oldest' | 'reject';

/** A cursor that nothing is freed before. `from`: where it begins if the buffer does not know it yet. */
export interface RequiredCursor {
  readonly name: string;
  /** `oldest`: at the oldest record still there. `newest`: behind everything that was there when `open` was called. */
  readonly from: 'oldest' | 'newest';
}

export interface DiskBufferOptions {
  /** Directory of this buffer, and of nothing else. Created with mode 0700 if missing, and its parents too. */
  readonly path: string;
  /** Most bytes that all files of the directory take together; at least 1 MiB. Default 256 MiB. */
  readonly maxBytes?: number;
  /** Default `sync`. */
  readonly durability?: Durability;
  /** Default `block`. */
  readonly whenFull?: WhenFull;
  /**
   * The required cursors: nothing is freed before each of them has passed it. A name alone begins at the oldest record.
   * Default `['default']`.
   */
  readonly cursors?: readonly (string | RequiredCursor)[];
  /** Bytes of one segment file, 128 KiB .. maxBytes/4. Default maxBytes/16 within 128 KiB .. 64 MiB. */
  readonly segmentBytes?: number;
  /** A frame is closed before its body passes this many bytes; 4 KiB .. slot size - 64. Default 64 KiB. */
  readonly frameBytesMax?: number;
  /** Longest time between a change and the ledger that records it; at least 1,000 in `os` and `memory`. Default 100. */
  readonly publishIntervalMs?: number;
  /** With `interval`: how long written bytes may stay unsynced before a sync begins. Default 100. */
  readonly syncIntervalMs?: number;
  /** How long a record nobody waits for may stay in an open frame. Default 5. */
  readonly lingerMs?: number;
  /**
   * Most bytes written and not yet synced, with `interval`; at most maxBytes/4, larger values count as that. A
   * write that passes it by itself (a slot of up to 1 MiB, or one large record) goes alone. Default 16 MiB.
   */
  readonly maxUnsyncedBytes?: number;
  /** Most bytes of frames handed out and not yet settled, per cursor; one frame may always be taken. Default 16 MiB. */
  readonly maxUnsettledBytes?: number;
  /** How long `close` waits for open deliveries, and for room on a full disk. Default 5,000. */
  readonly closeTimeoutMs?: number;
  /** How long `open` waits for a predecessor that still holds the directory. Default 30,000. */
  readonly lockTimeoutMs?: number;
  /** Default: the real ones. Tests give simulated ones. */
  readonly fileSystem?: FileSystem;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** All options with their values settled, and the sizes that follow from them. */
export interface Limits {
  readonly maxBytes: number;
  readonly durability: Durability;
  readonly whenFull: WhenFull;
  readonly cursors: readonly RequiredCursor[];
  readonly segmentBytes: number;
  readonly frameBytesMax: number;
  readonly publishIntervalMs: number;
  readonly syncIntervalMs: number;
  readonly lingerMs: number;
  readonly maxUnsyncedBytes: number;
  readonly maxUnsettledBytes: number;
  readonly closeTimeoutMs: number;
  readonly lockTimeoutMs: number;
  /** Whether records are handed out when they are durable, not when they are written. */
  readonly readsDurable: boolean;
  /** Whether memory is kept until its records are durable, not until they are written. */
  readonly keepsUntilDurable: boolean;
  /** Bytes of one slot: appends gather here until they are written. */
  readonly slotBytes: number;
  /** Slots there may be at once; they are allocated when first needed. */
  readonly slotsMax: number;
  /** Largest body of one frame: one record with its header, or one batch. */
  readonly maxRecordBytes: number;
  /** Bytes that all files but the ledger may take after an admission. */
  readonly admissionBytes: number;
  /** Most bytes that copies of damaged bytes may take. */
  readonly quarantineBytesMax: number;
}

export const bufferBytesMin: number = 1 * MiB;
export const segmentBytesMin: number = 128 * KiB;
export const segmentBytesDefaultMax: number = 64 * MiB;
export const slotBytesMax: number = 1 * MiB;
export const recordBytesMax: number = 32 * MiB;
/** Room that every segment keeps for its header, a seal and the frame around the largest record. */
export const segmentOverheadBytes: number = 12 * KiB;
/** The ledger is published at least once for this many bytes: it bounds the scan of the next open. */
export const publishBytesMax: number = 16 * MiB;
export const cursorNamePattern: RegExp = /^[A-Za-z0-9._-]{1,64}$/;

const ledgerReserveBytes: number = 16 * KiB;
// Slots hold what is not safe yet: all that may be unsynced and two to go on with, or else only what is being written.
const slotsUntilWritten = 4;
const largestOption = Number.MAX_SAFE_INTEGER;
export const largestTimeoutMs: number = 2 ** 31 - 1;

assert(segmentBytesMin <= bufferBytesMin / 4, 'the smallest buffer holds four of the smallest segments');

/** Checks every option and derives the sizes. Throws a UsageError that names the first option out of range. */
export function resolveLimits(options: DiskBufferOptions): Limits {
  const maxBytes = whole('maxBytes', options.maxBytes ?? 256 * MiB, bufferBytesMin, largestOption);
  const segmentBytes = segmentBytesOf(options, maxBytes);
  const slotBytes = Math.min(slotBytesMax, alignDown(segmentBytes / 2, 8));
  const frameBytesDefault = Math.min(64 * KiB, slotBytes - 64);
  const durability = oneOf('durability', options.durability ?? 'sync', ['memory', 'os', 'interval', 'sync']);
  const keepsUntilDurable = durability === 'sync' || durability === 'interval';
  const maxUnsyncedBytes = Math.min(
    whole('maxUnsyncedBytes', options.maxUnsyncedBytes ?? 16 * MiB, 64 * KiB, largestOption),
    Math.floor(maxBytes / 4),
  );
  return {
    maxBytes,
    durability,
    whenFull: oneOf('whenFull', options.whenFull ?? 'block', ['block', 'drop_newest', 'drop_oldest', 'reject']),
    cursors: requiredCursorsOf(options.cursors ?? ['default']),
    segmentBytes,
    frameBytesMax: alignDown(
      whole('frameBytesMax', options.frameBytesMax ?? frameBytesDefault, 4 * KiB, slotBytes - 64),
      8,
    ),
    publishIntervalMs: whole('publishIntervalMs', options.publishIntervalMs ?? 100, 1, largestTimeoutMs),
    syncIntervalMs: whole('syncIntervalMs', options.syncIntervalMs ?? 100, 1, largestTimeoutMs),
    lingerMs: whole('lingerMs', options.lingerMs ?? 5, 0, largestTimeoutMs),
    maxUnsyncedBytes,
    maxUnsettledBytes: whole('maxUnsettledBytes', options.maxUnsettledBytes ?? 16 * MiB, 1, largestOption),
    closeTimeoutMs: whole('closeTimeoutMs', options.closeTimeoutMs ?? 5_000, 0, largestTimeoutMs),
    lockTimeoutMs: whole('lockTimeoutMs', options.lockTimeoutMs ?? 30_000, 0, largestTimeoutMs),
    readsDurable: durability === 'sync',
    keepsUntilDurable,
    slotBytes,
    slotsMax: keepsUntilDurable ? Math.ceil(maxUnsyncedBytes / slotBytes) + 2 : slotsUntilWritten,
    maxRecordBytes: Math.min(segmentBytes - segmentOverheadBytes, recordBytesMax),
    admissionBytes: maxBytes - ledgerReserveBytes - segmentBytes,
    quarantineBytesMax: Math.min(64 * MiB, Math.floor(maxBytes / 8)),
  };
}

/** Refuses a cursor name that the ledger could not hold. */
export function checkCursorName(name: string): void {
  if (typeof name === 'string' && cursorNamePattern.test(name)) return;
  throw new UsageError({
    code: 'SPILLWAY_USAGE_CURSOR',
    message: `Cannot use the cursor name ${JSON.stringify(name)}: expected 1 to 64 of the characters A-Z a-z 0-9 . _ -`,
  });
}

function segmentBytesOf(options: DiskBufferOptions, maxBytes: number): number {
  const largest = Math.floor(maxBytes / 4);
  const usual = Math.min(Math.max(maxBytes / 16, segmentBytesMin), segmentBytesDefaultMax);
  const chosen = options.segmentBytes ?? Math.min(Math.floor(usual), largest);
  return alignDown(whole('segmentBytes', chosen, segmentBytesMin, largest), 4096);
}

function requiredCursorsOf(given: readonly (string | RequiredCursor)[]): readonly RequiredCursor[] {
  const cursors = Array.isArray(given) ? given.map(requiredCursorOf) : [];
  const names = new Set(cursors.map(({ name }) => name));
  if (cursors.length === 0 || cursors.length > 32 || names.size !== cursors.length) {
    throw new UsageError({
      code: 'SPILLWAY_USAGE_CURSOR',
      message: `Cannot open a buffer with the cursors ${JSON.stringify(given)}: expected 1 to 32 different names`,
    });
  }
  for (const { name } of cursors) checkCursorName(name);
  return cursors;
}

function requiredCursorOf(given: string | RequiredCursor): RequiredCursor {
  if (typeof given !== 'object' || given === null) return { name: given, from: 'oldest' };
  return { name: given.name, from: oneOf('cursors[].from', given.from, ['oldest', 'newest']) };
}

function whole(name: string, value: number, smallest: number, largest: number): number {
  if (Number.isSafeInteger(value) && value >= smallest && value <= largest) return value;
  throw optionError(name, value, `a whole number from ${smallest} to ${largest}`);
}

function oneOf<Value extends string>(name: string, value: string, choices: readonly Value[]): Value {
  const choice = choices.find((candidate) => candidate === value);
  if (choice !== undefined) return choice;
  throw optionError(name, value, `one of ${choices.join(', ')}`);
}

function optionError(name: string, value: unknown, expected: string): UsageError {
  return new UsageError({
    code: 'SPILLWAY_USAGE_OPTION',
    message: `Cannot open a buffer with ${name} = ${JSON.stringify(value)}: expected ${expected}`,
  });
}
