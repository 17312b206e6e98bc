// Chapter 13, continued. Looking into a buffer's directory without opening it: what is there, who reads it, how far.
//
// It takes no lock and changes nothing, so that it works beside the process that has the buffer open. It sees what the
// recovery of an open would see at this moment (recovery.ts reads only), in the middle of whatever the writer does: a
// tail that is being written looks torn, a cursor is where the last ledger placed it, up to one publish ago.
//
// What can go wrong: a segment is freed between the listing and a look into it. Then everything is read once more.
//
// Next: disk-buffer-verification.ts.

import { isStorageError, type SpillwayError } from '../base/errors.ts';
import { type LockHolder, readHolder } from '../platform/directory-lock.ts';
import type { FileSystem } from '../platform/file-system.ts';
import { nodePlatform } from '../platform/node-platform.ts';
import type { Random } from '../platform/random.ts';
import { listDirectory } from './disk-buffer-directory.ts';
import { ledgerOf, type OpeningReport } from './disk-buffer-opening.ts';
import { EventHub } from './events.ts';
import { Ledger, type LedgerReading } from './ledger.ts';
import type { Amount, LedgerCursor, LedgerTotals } from './ledger-slot.ts';
import { type Recovered, recover } from './recovery.ts';
import { letGo, type Segment, type SegmentState } from './segment-catalog.ts';
import { segmentHeaderBytes } from './segment-header.ts';
import { quarantineName } from './segment-quarantine.ts';
import { SegmentWalk } from './segment-walk.ts';

export interface InspectedSegment {
  readonly number: number;
  readonly path: string;
  readonly byteLength: number;
  readonly state: SegmentState;
  /** Undefined where the header does not say. */
  readonly firstId: number | undefined;
  readonly epoch: number | undefined;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly createdMs: number | undefined;
}

export interface InspectedCursor {
  readonly name: string;
  readonly nextId: number;
  /** What it has still to acknowledge; bytes are payload bytes. */
  readonly backlog: Amount;
  /** When the oldest of it was appended, ms since 1970-01-01 UTC; undefined without a backlog, or if it is lost. */
  readonly oldestMs: number | undefined;
}

export interface BufferInspection {
  readonly directory: string;
  /** Who opened it last, as the file `holder` says; that process may have ended. */
  readonly holder: LockHolder | undefined;
  readonly uuid: string;
  /** The epoch of the newest records; where no ledger says it, the one that the next open would take. */
  readonly epoch: number;
  /** Whether the last run ended with close, so that nothing lies beyond the ledger. */
  readonly clean: boolean;
  readonly ledger: OpeningReport['ledger'];
  /** The id that the next record gets. */
  readonly nextId: number;
  readonly totals: LedgerTotals | undefined;
  readonly segments: readonly InspectedSegment[];
  readonly cursors: readonly InspectedCursor[];
  /** Bytes of every file in the directory. */
  readonly usedBytes: number;
  readonly quarantine: { readonly files: number; readonly bytes: number };
  /** What is damaged, as far as a look at headers, ledger and the end of the log shows. `verify` reads everything. */
  readonly damage: readonly SpillwayError[];
}

export interface InspectionOptions {
  readonly path: string;
  /** Default: the real ones. Tests give simulated ones. */
  readonly fileSystem?: FileSystem;
  readonly random?: Random;
}

/** The world in which a look is taken. */
export interface Eyes {
  readonly fileSystem: FileSystem;
  readonly random: Random;
}

const triesMax = 20;

/**
 * Rejects with StorageError `missing` where there is no such directory, with FormatError when a newer version wrote the
 * ledger, and with StorageError when the directory or a file in it cannot be read.
 */
export async function inspectBuffer(options: InspectionOptions): Promise<BufferInspection> {
  const eyes = eyesOf(options);
  const directory = await eyes.fileSystem.resolve(options.path);
  return await whileFilesVanish(() => look(eyes, directory));
}

export function eyesOf({ fileSystem, random }: InspectionOptions): Eyes {
  if (fileSystem !== undefined && random !== undefined) return { fileSystem, random };
  const platform = nodePlatform();
  return { fileSystem: fileSystem ?? platform.fileSystem, random: random ?? platform.random };
}

/** What is in use changes under the eyes: when a file is gone that was listed, the look begins anew. */
export async function whileFilesVanish<Value>(look: () => Promise<Value>): Promise<Value> {
  for (let tries = 1; ; tries++) {
    try {
      return await look();
    } catch (cause) {
      if (!isStorageError(cause, 'missing') || tries === triesMax) throw cause;
    }
  }
}

/** Everything that inspection and verification start from. */
export interface Found {
  readonly recovered: Recovered;
  readonly reading: LedgerReading;
  readonly damage: readonly SpillwayError[];
  readonly usedBytes: number;
}

/** The directory as a recovery sees it, every header read. */
export async function findBuffer({ fileSystem, random }: Eyes, directory: string): Promise<Found> {
  const events = new EventHub();
  const damage: SpillwayError[] = [];
  events.on('damage', (error) => damage.push(error));
  const entries = await listDirectory(fileSystem, directory);
  const reading = await readLedger(fileSystem, directory);
  const recovered = await recover({ fileSystem, random, events, directory }, entries, reading);
  for (const segment of recovered.catalog.segments) await recovered.catalog.describe(segment);
  const usedBytes = entries.reduce((sum, entry) => sum + (entry.kind === 'file' ? entry.byteLength : 0), 0);
  return { recovered, reading, damage, usedBytes };
}

/** A slot that is being written at this moment is no damage: it is whole a moment later. */
async function readLedger(fileSystem: FileSystem, directory: string): Promise<LedgerReading> {
  let reading = await Ledger.look(fileSystem, directory);
  for (let tries = 1; tries < triesMax && reading.existed && reading.validSlots < 2; tries++) {
    reading = await Ledger.look(fileSystem, directory);
  }
  return reading;
}

async function look(eyes: Eyes, directory: string): Promise<BufferInspection> {
  const { fileSystem } = eyes;
  const { recovered, reading, damage, usedBytes } = await findBuffer(eyes, directory);
  const { catalog, end, ledger } = recovered;
  const cursors: InspectedCursor[] = [];
  for (const cursor of recovered.cursors) cursors.push(await inspectCursor(fileSystem, recovered, cursor));
  const quarantine = await quarantineOf(fileSystem, directory);
  return {
    directory,
    holder: await readHolder(fileSystem, directory),
    uuid: recovered.uuid,
    epoch: ledger?.epoch ?? recovered.epoch,
    clean: recovered.clean,
    ledger: ledgerOf(recovered, reading),
    nextId: end.nextId,
    totals: ledger?.totals,
    segments: catalog.segments.map(inspectSegment),
    cursors,
    usedBytes: usedBytes + quarantine.bytes,
    quarantine,
    damage,
  };
}

function inspectSegment({ number, path, byteLength, state, header }: Segment): InspectedSegment {
  return {
    number,
    path,
    byteLength,
    state,
    firstId: header === undefined || header.firstId === 0 ? undefined : header.firstId,
    epoch: header?.epoch,
    createdMs: header === undefined || header.createdAt === 0 ? undefined : header.createdAt,
  };
}

async function inspectCursor(
  fileSystem: FileSystem,
  { catalog, end }: Recovered,
  cursor: LedgerCursor,
): Promise<InspectedCursor> {
  const { name, nextId, payloadBytes } = cursor;
  const events = Math.max(0, end.nextId - nextId);
  const backlog = { events, bytes: events === 0 ? 0 : Math.max(0, end.payloadBytes - payloadBytes) };
  let oldestMs: number | undefined;
  for (const segment of events === 0 ? [] : catalog.segments) {
    if (segment.number < cursor.segment || segment.header === undefined) continue;
    const from = segment.number === cursor.segment ? cursor.offset : segmentHeaderBytes;
    oldestMs = await appendTimeFrom(fileSystem, segment, from, nextId);
    if (oldestMs !== undefined) break;
  }
  return { name, nextId, backlog, oldestMs };
}

/** When the first record at or behind `nextId` was appended, if it stands in this segment. */
export async function appendTimeFrom(
  fileSystem: FileSystem,
  segment: Segment,
  from: number,
  nextId: number,
): Promise<number | undefined> {
  const { header } = segment;
  if (header === undefined) return undefined;
  const file = await fileSystem.open(segment.path, 'read');
  try {
    const { salt: marker, alignment } = header;
    const end = segment.byteLength;
    const walk = new SegmentWalk({ file, marker, alignment, from, end, unreadable: 'damage' });
    for (;;) {
      const step = walk.next();
      if (step.kind === 'load') await walk.load();
      else if (step.kind === 'end' || step.kind === 'unknown_frame') return undefined;
      else if (step.kind === 'frame' && step.frame.nextId > nextId && step.frame.recordCount > 0)
        return step.frame.appendedAt;
    }
  } finally {
    await letGo(file);
  }
}

async function quarantineOf(fileSystem: FileSystem, directory: string): Promise<BufferInspection['quarantine']> {
  const path = `${directory}/${quarantineName}`;
  if ((await fileSystem.facts(path))?.kind !== 'directory') return { files: 0, bytes: 0 };
  const entries = await fileSystem.list(path);
  return { files: entries.length, bytes: entries.reduce((sum, { byteLength }) => sum + byteLength, 0) };
}
