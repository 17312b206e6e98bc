// Chapter 12. Recovery: from whatever bytes are in the directory to a buffer that can be used.
//
//   1. ledger     where writer and cursors were                 (ledger.ts)
//   2. listing    which segments there are, and their lengths
//   3. ending     clean: nothing to scan. Otherwise a new epoch and
//   4. scan       what lies beyond the hint                      (recovery-scan.ts)
//   5. table      what happens to each file                      (recovery-table.ts)
//   6. ledger     epoch and `clean: false` become durable        (disk-buffer.ts)
//   7. repairs    copies aside, cuts, removals                   (recovery-repairs.ts)
//   8. confirm    what was scanned is written again and synced   (recovery-repairs.ts)
//
// Steps 1 to 5 change nothing on disk. Step 6 comes before the first change, so that a crash in 7 or 8 is seen as
// what it is. Writing begins after 8, in a new segment; reading need not wait.
//
// I12.4  the cost is one listing, the headers at and behind the hint, and the scan behind it
// I12.5  an epoch is higher than any that was ever used for a record
//
// Next: recovery-repairs.ts.

import { DamageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import type { DirectoryEntry, FileSystem } from '../platform/file-system.ts';
import type { Random } from '../platform/random.ts';
import type { EventHub, LogPosition } from './events.ts';
import { type LedgerReading, ledgerName } from './ledger.ts';
import {
  type IdRange,
  type LedgerContent,
  type LedgerCursor,
  ledgerBytes,
  unconfirmedRangesMax,
} from './ledger-slot.ts';
import { type ScannedSegment, type ScanResult, scan } from './recovery-scan.ts';
import { type Action, endedCleanly, judge } from './recovery-table.ts';
import { letGo, readHeader, type Segment, SegmentCatalog } from './segment-catalog.ts';
import { parseSegmentFileName, readSegmentHeader, segmentHeaderBytes } from './segment-header.ts';
import { quarantineName } from './segment-quarantine.ts';

/** A file with a higher number is foreign: no buffer comes that far, and there must be numbers left behind it. */
const segmentNumberMax = 2 ** 52;

/** How many of the youngest segments are asked whose they are, when no ledger says so. */
const headersAsked = 9;

/** A segment that was scanned, with what happens to it. */
export interface Repair extends ScannedSegment {
  readonly action: Action;
}

export interface Recovered {
  readonly uuid: string;
  readonly epoch: number;
  /** Whether there was neither a ledger nor a segment to go by. */
  readonly fresh: boolean;
  /** Whether the last run ended with close. */
  readonly clean: boolean;
  readonly catalog: SegmentCatalog;
  /** Where the durable part of the log certainly ends, and where it ends once the repairs are done. */
  readonly durable: LogPosition;
  readonly end: LogPosition;
  /** The highest segment number that was ever given. */
  readonly newestSegment: number;
  /** What the ledger says, if there is one. */
  readonly ledger: LedgerContent | undefined;
  readonly cursors: readonly LedgerCursor[];
  /** Where a cursor begins that starts at the oldest record. */
  readonly oldest: LedgerCursor;
  readonly unconfirmed: readonly IdRange[];
  readonly repairs: readonly Repair[];
  readonly damage: ScanResult['damage'];
  /** Bytes of files that are neither segments, ledger nor quarantine. */
  readonly otherBytes: number;
}

export interface RecoveryContext {
  readonly fileSystem: FileSystem;
  readonly events: EventHub;
  readonly random: Random;
  readonly directory: string;
}

/** Steps 2 to 5. Reads only. */
export async function recover(
  context: RecoveryContext,
  entries: readonly DirectoryEntry[],
  reading: LedgerReading,
): Promise<Recovered> {
  const catalog = new SegmentCatalog(context.fileSystem, context.events);
  const { otherBytes, highestNumber } = listSegments(catalog, context.directory, entries);
  const ledger = reading.content;
  const uuid = ledger?.uuid ?? (await uuidFromSegments(context.fileSystem, catalog)) ?? newUuid(context.random);
  catalog.identify(uuid, 0); // The epoch follows: rebuilt headers that need it get it then.
  if (reading.existed && reading.validSlots < 2)
    context.events.emit('damage', ledgerDamage(context.directory, reading));
  const hint = ledger === undefined ? await hintWithoutLedger(catalog) : hintOf(ledger);
  const newestSegment = Math.max(ledger?.writer.newestSegment ?? 0, highestNumber);
  const oldest = await oldestPosition(catalog, hint, ledger);
  const fresh = ledger === undefined && catalog.last === undefined;
  const clean = fresh || endedCleanly(endingOf(reading, catalog, hint));
  if (!clean) mark('recovery.unclean');
  const behind = clean ? [] : catalog.segments.filter((segment) => segment.number >= hint.segment);
  const found = await scan({ ...context, catalog }, behind, hint);
  const repairs = judgeAll(found.segments);
  const epoch = epochOf(ledger, catalog, clean);
  catalog.identify(uuid, epoch);
  const cursors = ledger?.cursors ?? [];
  return {
    uuid,
    epoch,
    fresh,
    clean,
    catalog,
    durable: hint,
    end: found.end,
    newestSegment,
    ledger,
    cursors,
    oldest,
    unconfirmed: unconfirmedRanges(ledger, found, Math.max(hint.nextId - 1, found.durableId)),
    repairs,
    damage: found.damage,
    otherBytes,
  };
}

/** Sorts a listing: segments into the catalog, everything else but ledger and quarantine into one sum. */
function listSegments(
  catalog: SegmentCatalog,
  directory: string,
  entries: readonly DirectoryEntry[],
): { readonly otherBytes: number; readonly highestNumber: number } {
  let otherBytes = 0;
  let highestNumber = 0; // Of whatever bears the name of a segment: a name that is taken cannot be given.
  for (const entry of entries) {
    const named = parseSegmentFileName(entry.name);
    const segmentNumber = named !== undefined && named <= segmentNumberMax ? named : undefined;
    highestNumber = Math.max(highestNumber, segmentNumber ?? 0);
    if (segmentNumber !== undefined && entry.kind === 'file') {
      catalog.add(segmentNumber, `${directory}/${entry.name}`, entry.byteLength);
    } else if (entry.name !== ledgerName && entry.name !== quarantineName) {
      otherBytes += entry.byteLength;
    }
  }
  return { otherBytes, highestNumber };
}

function ledgerDamage(directory: string, reading: LedgerReading): DamageError {
  const follows =
    reading.validSlots === 1
      ? 'The other one holds; what was acknowledged last may be delivered again'
      : 'Every cursor starts again at the oldest record that is there';
  return new DamageError({
    code: 'SPILLWAY_DAMAGE_LEDGER',
    path: `${directory}/${ledgerName}`,
    offset: 0,
    byteLength: ledgerBytes,
    message: `${2 - reading.validSlots} of the 2 slots of ${directory}/${ledgerName} cannot be used. ${follows}`,
  });
}

function hintOf(ledger: LedgerContent): LogPosition {
  const { segment, offset, nextId } = ledger.writer;
  return { segment, offset, nextId, payloadBytes: ledger.totals.appended.bytes };
}

/**
 * Both slots are lost: the last two segments that hold frames are scanned, with whatever lies between and behind them;
 * what lies before is taken for durable.
 */
async function hintWithoutLedger(catalog: SegmentCatalog): Promise<LogPosition> {
  if (catalog.last !== undefined) mark('recovery.ledger_lost');
  let first: Segment | undefined;
  let usable = 0;
  for (const segment of catalog.segments.toReversed()) {
    await catalog.describe(segment).catch(() => undefined);
    if ((segment.header?.firstId ?? 0) === 0) continue;
    first = segment;
    usable += 1;
    if (usable === 2) break;
  }
  const segment = first ?? catalog.first;
  const nextId = first?.header?.firstId ?? 1;
  return { segment: segment?.number ?? 0, offset: segmentHeaderBytes, nextId, payloadBytes: 0 };
}

/** The oldest record there is; where that cannot be found out, the oldest that any cursor may still want. */
async function oldestPosition(
  catalog: SegmentCatalog,
  hint: LogPosition,
  ledger: LedgerContent | undefined,
): Promise<LedgerCursor> {
  const wanted = Math.min(...(ledger?.cursors ?? []).map((cursor) => cursor.nextId), ledger?.writer.nextId ?? 1);
  for (const segment of catalog.segments) {
    const place = { name: '', segment: segment.number, offset: segmentHeaderBytes, payloadBytes: 0 };
    await catalog.describe(segment).catch(() => undefined);
    if (segment.state === 'stranger' || segment.state === 'empty') continue;
    const firstId = segment.header?.firstId ?? 0;
    return { ...place, nextId: firstId > 0 ? Math.min(firstId, hint.nextId) : wanted };
  }
  return { name: '', segment: hint.segment, offset: segmentHeaderBytes, nextId: hint.nextId, payloadBytes: 0 };
}

function endingOf(reading: LedgerReading, catalog: SegmentCatalog, hint: LogPosition) {
  const last = catalog.last;
  const atHint = catalog.at(hint.segment);
  const lengthens = atHint !== undefined && atHint.byteLength !== hint.offset;
  const beyondHint = (last !== undefined && last.number > hint.segment) || lengthens;
  return { validSlots: reading.validSlots, clean: reading.content?.clean ?? false, beyondHint };
}

// From the last segment back: whether one is the last depends on what becomes of those behind it.
function judgeAll(segments: readonly ScannedSegment[]): readonly Repair[] {
  const repairs: Repair[] = [];
  let last = true;
  for (const scanned of segments.toReversed()) {
    const row = judge({ ...scanned.situation, last });
    mark(`recovery.row_${row.letter}`);
    repairs.unshift({ ...scanned, action: row.action });
    if (row.action !== 'remove' && row.action !== 'quarantine_and_remove') last = false;
  }
  return repairs;
}

/**
 * I12.5. After a clean end the epoch goes on; otherwise it is one above all that can have been used. Without a ledger,
 * each segment behind the last one whose epoch is known may have had one of its own.
 */
function epochOf(ledger: LedgerContent | undefined, catalog: SegmentCatalog, clean: boolean): number {
  if (clean && ledger !== undefined) return ledger.epoch;
  let highest = ledger?.epoch ?? 0;
  let unknown = 0;
  for (const { header, state } of catalog.segments) {
    const known = header !== undefined && header.epoch > 0;
    if (known) highest = Math.max(highest, header.epoch);
    unknown = known ? 0 : unknown + (state === 'stranger' ? 0 : 1);
  }
  return highest + 1 + (ledger === undefined ? unknown : 0);
}

// Ranges of the ledger that some cursor may still meet, and what this scan adds above the highest id known durable.
function unconfirmedRanges(ledger: LedgerContent | undefined, found: ScanResult, durableId: number): IdRange[] {
  const slowest = Math.min(...(ledger?.cursors ?? []).map((cursor) => cursor.nextId), Number.POSITIVE_INFINITY);
  const ranges = (ledger?.unconfirmed ?? []).filter((range) => range.to > slowest);
  for (const gap of found.gaps) {
    const from = Math.max(gap.from, durableId + 1);
    if (from < gap.to) ranges.push({ from, to: gap.to });
  }
  return ranges.slice(0, unconfirmedRangesMax); // More than the ledger can hold count as damaged.
}

/** The identity that most of the youngest headers agree on: one of them may be a stranger that bears our number. */
async function uuidFromSegments(fileSystem: FileSystem, catalog: SegmentCatalog): Promise<string | undefined> {
  const votes = new Map<string, number>();
  let failure: unknown;
  for (const segment of catalog.segments.slice(-headersAsked).toReversed()) {
    const uuid = await readUuid(fileSystem, segment).catch((cause: unknown) => {
      failure = cause;
      return undefined;
    });
    if (uuid !== undefined) votes.set(uuid, (votes.get(uuid) ?? 0) + 1);
  }
  // A disk that does not answer at all must not make a buffer begin anew: its segments would be strangers for ever.
  if (votes.size === 0 && failure !== undefined) throw failure;
  const most = Math.max(...votes.values(), 0);
  return [...votes].find(([, count]) => count === most)?.[0];
}

async function readUuid(fileSystem: FileSystem, segment: Segment): Promise<string | undefined> {
  const file = await fileSystem.open(segment.path, 'read');
  try {
    const block = new Uint8Array(segmentHeaderBytes);
    await readHeader(file, block);
    const reading = readSegmentHeader(block);
    const own = reading.kind !== 'bad' && reading.header.segmentNumber === segment.number;
    return own ? reading.header.uuid : undefined;
  } finally {
    await letGo(file);
  }
}

/** A random identity in the form of RFC 9562, version 4. */
export function newUuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
