// Chapter 13, continued. The core puts the chapters together: who tells whom what, and nothing else.
//
//   append -> writer -> log buffer -> committer -> files          frontiers move
//   files or memory -> reader -> cursor -> delivery               and back: finalizer -> accounts
//   cursors, frontiers -> publisher -> ledger -> reclaimer        room comes back -> writer
//
// Next: disk-buffer-stats.ts.

import { assert } from '../base/assert.ts';
import type { Clock } from '../platform/clock.ts';
import type { FileSystem } from '../platform/file-system.ts';
import type { Random } from '../platform/random.ts';
import { Committer } from './committer.ts';
import { SegmentFiles } from './committer-files.ts';
import { CursorSet } from './disk-buffer-cursors.ts';
import { Reclaimer } from './disk-buffer-reclaimer.ts';
import type { EventHub, LogPosition } from './events.ts';
import { frameAlignment } from './frame.ts';
import type { Ledger } from './ledger.ts';
import { LedgerPublisher } from './ledger-publisher.ts';
import type { LedgerContent, LedgerCursor, LedgerTotals } from './ledger-slot.ts';
import type { Limits } from './limits.ts';
import { LogBuffer } from './log-buffer.ts';
import { Accounts } from './ordered-finalizer-accounts.ts';
import { FrameFeed } from './ordered-finalizer-feed.ts';
import { LogReader, type ReadContext } from './reader.ts';
import type { Recovered } from './recovery.ts';
import { Repairs } from './recovery-repairs.ts';
import type { SegmentCatalog } from './segment-catalog.ts';
import { formatVersion, type SegmentHeader } from './segment-header.ts';
import { Quarantine } from './segment-quarantine.ts';
import { Stability } from './stability.ts';
import { type DropReason, Writer } from './writer.ts';
import { Space } from './writer-space.ts';

/** In `os` and `memory` a publish syncs first: once a second is enough. */
const unsyncedPublishIntervalMs = 1_000;

export interface CoreOptions {
  readonly limits: Limits;
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventHub;
  readonly directory: string;
  readonly ledger: Ledger;
  readonly recovered: Recovered;
}

export class Core {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly events: EventHub;
  readonly uuid: string;
  readonly epoch: number;
  readonly catalog: SegmentCatalog;
  readonly quarantine: Quarantine;
  readonly ledger: Ledger;
  readonly log: LogBuffer;
  readonly stability: Stability;
  readonly committer: Committer;
  readonly space: Space;
  readonly writer: Writer;
  readonly accounts: Accounts;
  readonly cursors: CursorSet;
  readonly publisher: LedgerPublisher;
  readonly reclaimer: Reclaimer;
  readonly repairs: Repairs;
  /** Where a cursor begins that starts at the oldest record, as long as nothing was freed since open. */
  readonly #oldest: LedgerCursor;
  readonly #random: Random;
  #newestSegment: number;
  #publishes = 0;
  /** What the next publish says: whether the buffer was closed. */
  #clean = false;
  #capturedBytes = 0;
  #onProgress: () => void = () => undefined;

  constructor(options: CoreOptions) {
    const { limits, fileSystem, clock, events, directory, recovered } = options;
    const { catalog, end } = recovered;
    this.limits = limits;
    this.clock = clock;
    this.events = events;
    this.uuid = recovered.uuid;
    this.epoch = recovered.epoch;
    this.catalog = catalog;
    this.ledger = options.ledger;
    this.#random = options.random;
    this.#newestSegment = recovered.newestSegment;
    this.#oldest = recovered.oldest;
    this.quarantine = new Quarantine({
      fileSystem,
      events,
      directory,
      bytesMax: limits.quarantineBytesMax,
      spaceLeft: () => this.space.evidenceRoom,
    });
    const { quarantine } = this;
    this.repairs = new Repairs({ fileSystem, directory, recovered, quarantine, done: () => this.reclaimer.check() });
    this.log = new LogBuffer(limits, end);
    this.stability = new Stability({
      reserved: end.nextId,
      written: end.nextId,
      durable: recovered.durable.nextId,
    });
    const files = new SegmentFiles({ fileSystem, directory, catalog, events });
    this.committer = this.#createCommitter(files, recovered);
    this.space = new Space({
      limits,
      catalog,
      quarantine: this.quarantine,
      log: this.log,
      files,
      otherBytes: recovered.otherBytes,
    });
    this.writer = this.#createWriter();
    const positions = this.#startingPositions(recovered);
    const slowestId = Math.min(...positions.map((cursor) => cursor.nextId));
    this.accounts = new Accounts(recovered.ledger?.totals, slowestId, end.nextId);
    this.cursors = this.#createCursors(fileSystem, recovered);
    for (const position of positions) this.cursors.add(position.name, position);
    this.publisher = this.#createPublisher();
    this.reclaimer = new Reclaimer({
      fileSystem,
      directory,
      clock,
      events,
      catalog,
      cursors: this.cursors,
      log: this.log,
      ledger: options.ledger,
      publisher: this.publisher,
      committer: this.committer,
      isUnderRepair: (segment) => this.repairs.concerns(segment),
      freed: () => {
        this.committer.roomFreed();
        this.writer.progress();
      },
    });
  }

  get publishes(): number {
    return this.#publishes;
  }

  /** Where a cursor begins that asks for the oldest record still there. */
  get oldest(): LedgerCursor {
    const first = this.catalog.segments.find((segment) => !segment.leaving);
    const start = { ...this.#oldest, payloadBytes: this.accounts.settledBytes };
    if (first?.number === this.#oldest.segment) return start;
    // Freed since open: the next one was described on that occasion. Or nothing is on disk, and what there is lies in
    // memory, in a segment that is still to be created.
    const header = first === undefined ? this.log.segment : first.header;
    if (header === undefined) return { ...this.newest, nextId: this.cursors.slowest.nextId };
    return { ...start, segment: header.segmentNumber, nextId: header.firstId };
  }

  /** Where a cursor begins that asks for what comes from now on. */
  get newest(): LedgerCursor {
    const { segment, offset } = this.committer.written;
    return { name: '', segment, offset, nextId: this.log.nextId, payloadBytes: this.log.payloadBytes };
  }

  /** Calls `listener` whenever something was settled, written or failed. */
  onProgress(listener: () => void): void {
    this.#onProgress = listener;
  }

  /** From now on publishes say that the buffer was closed: nothing changes any more. */
  markClean(): void {
    this.#clean = true;
  }

  /** Whether all that was appended is durable. */
  get settledOnDisk(): boolean {
    return this.committer.state.kind !== 'failed' && this.stability.durable.value === this.log.nextId;
  }

  #createCommitter(files: SegmentFiles, recovered: Recovered): Committer {
    return new Committer({
      limits: this.limits,
      clock: this.clock,
      events: this.events,
      log: this.log,
      stability: this.stability,
      files,
      observer: {
        progressed: () => {
          this.writer.progress();
          this.#onProgress();
        },
        readable: () => this.cursors.wake(),
        advanced: () => this.publisher.changed(),
        publishDue: () => this.publisher.hurry(),
      },
      start: { durable: recovered.durable, written: recovered.end },
    });
  }

  #createWriter(): Writer {
    return new Writer({
      limits: this.limits,
      clock: this.clock,
      events: this.events,
      log: this.log,
      stability: this.stability,
      committer: this.committer,
      space: this.space,
      nextSegment: (firstId) => this.#nextSegment(firstId),
      observer: {
        roomWanted: () => this.reclaimer.makeRoom(),
        rolled: () => this.publisher.hurry(),
        dropped: (reason, events, bytes) => this.#refused(reason, events, bytes),
      },
    });
  }

  #createCursors(fileSystem: FileSystem, recovered: Recovered): CursorSet {
    const { limits, clock, events, catalog, log, quarantine, committer, accounts, uuid } = this;
    const context: ReadContext = {
      fileSystem,
      clock,
      events,
      catalog,
      log,
      quarantine,
      readableId: () => committer.readableId,
      written: () => committer.written,
    };
    const { maxUnsettledBytes } = limits;
    return new CursorSet({
      clock,
      events,
      required: limits.cursors.map(({ name }) => name),
      feed: (_name, start, given) =>
        new FrameFeed({ ...given, reader: new LogReader(context, start), start, uuid, maxUnsettledBytes }),
      accounts,
      unconfirmed: recovered.unconfirmed,
      watch: () => {
        committer.watch();
        return () => committer.unwatch();
      },
      moved: () => {
        this.#moved();
        this.#onProgress(); // A gap that was passed settles nothing, and may have been the last thing to come.
      },
      settled: () => this.#onProgress(),
    });
  }

  #createPublisher(): LedgerPublisher {
    const { publishIntervalMs, durability } = this.limits;
    const syncsFirst = durability === 'os' || durability === 'memory';
    return new LedgerPublisher({
      ledger: this.ledger,
      clock: this.clock,
      events: this.events,
      intervalMs: syncsFirst ? Math.max(publishIntervalMs, unsyncedPublishIntervalMs) : publishIntervalMs,
      capture: () => this.#capture(),
      published: () => {
        this.#publishes += 1;
        this.committer.ledgerPublished(this.#capturedBytes);
        this.reclaimer.check();
      },
      failed: () => this.committer.ledgerPublished('failed'),
    });
  }

  /** Every cursor that the ledger knows, and every required one that it does not. */
  #startingPositions(recovered: Recovered): readonly LedgerCursor[] {
    const known = recovered.cursors;
    const names = new Set(known.map((cursor) => cursor.name));
    const added = this.limits.cursors.filter(({ name }) => !names.has(name));
    const oldest = { ...recovered.oldest, payloadBytes: settledBytesOf(recovered.ledger?.totals) };
    // Without a ledger nobody knows who is new: whoever asks for the newest may be one who had not seen the oldest.
    // What the scan found is not durable yet; until it is, the ledger places a cursor before it: repeats, no loss.
    const newest = recovered.ledger === undefined ? oldest : recovered.end;
    return [...known, ...added.map(({ name, from }) => ({ ...(from === 'newest' ? newest : oldest), name }))];
  }

  #nextSegment(firstId: number): SegmentHeader {
    this.#newestSegment += 1;
    return {
      formatVersion,
      features: 0,
      uuid: this.uuid,
      segmentNumber: this.#newestSegment,
      epoch: this.epoch,
      salt: newSalt(this.#random),
      firstId,
      createdAt: this.clock.now(),
      alignment: frameAlignment,
    };
  }

  #refused(reason: DropReason, events: number, bytes: number): void {
    const heading = reason === 'disk_full' ? 'disk_full' : 'dropped_newest';
    this.accounts.refused(heading, events, bytes);
    this.events.emit('lost', { reason: heading, events, bytes });
    this.publisher.changed();
  }

  #moved(): void {
    // Somebody waits for room: the sooner the ledger says that segments are passed, the sooner they are freed.
    if (this.writer.waiting > 0) this.publisher.hurry();
    else this.publisher.changed();
  }

  /** What the ledger is to say: positions first, then what is durable, so that the former never exceed the latter. */
  async #capture(): Promise<LedgerContent> {
    const cursors = this.cursors.all.map((cursor) => ({ name: cursor.name, ...cursor.position }));
    const settled = this.accounts.totals({ events: 0, bytes: 0 });
    const unconfirmed = this.cursors.unconfirmed;
    await this.#syncFor(cursors);
    const durable = this.committer.durable;
    this.#capturedBytes = this.committer.bytesDurable;
    return {
      uuid: this.uuid,
      formatVersion,
      epoch: this.epoch,
      clean: this.#clean,
      writer: {
        segment: durable.segment,
        offset: durable.offset,
        nextId: durable.nextId,
        newestSegment: this.#newestSegment,
      },
      cursors: cursors.map((cursor) => clip(cursor, durable)),
      totals: { ...settled, appended: { events: durable.nextId - 1, bytes: durable.payloadBytes } },
      unconfirmed,
    };
  }

  // I5.6. With `sync` nothing unsynced is ever handed out. Otherwise a cursor may be ahead of what is durable, and in
  // `os` and `memory` the publish is what makes the log durable at all.
  async #syncFor(cursors: readonly LedgerCursor[]): Promise<void> {
    const { durability } = this.limits;
    const state = this.committer.state.kind;
    if (durability === 'sync' || state === 'starting' || state === 'failed') return;
    const ahead = cursors.some((cursor) => cursor.nextId > this.committer.durable.nextId);
    if (durability === 'interval' && !ahead) return;
    await this.committer.syncWritten().catch(() => undefined); // Failed: positions are clipped to what is durable.
  }
}

function clip(cursor: LedgerCursor, durable: LogPosition): LedgerCursor {
  if (cursor.nextId <= durable.nextId) return cursor;
  return { name: cursor.name, ...durable };
}

/** Payload bytes that have left the buffer, by what the ledger says. */
function settledBytesOf(totals: LedgerTotals | undefined): number {
  if (totals === undefined) return 0;
  const { acknowledged, damaged, removed } = totals;
  return acknowledged.bytes + damaged.bytes + removed.rejected.bytes + removed.dropped_oldest.bytes;
}

/** Random, because a foreseeable salt would let a payload forge a frame; zero means none. */
function newSalt(random: Random): number {
  for (;;) {
    const bytes = random.bytes(4);
    const salt = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    assert(bytes.length === 4, 'four random bytes make a salt');
    if (salt !== 0) return salt;
  }
}
