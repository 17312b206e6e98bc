// Chapter 8. The committer carries frames from memory to the disk: group commit.
//
// Two things are under way at most, one write and one sync. While they run, records gather; when they are done,
// whatever gathered is the next group. A lone appender therefore never waits for company, and a thousand share one
// sync.
//
//   idle      --somebody waits, end of the tick-->   close the open frame, write
//   any       --a slot is full-->                    write it
//   any       --lingerMs after the first byte-->     close the open frame, write
//   written   --a group waits for durable-->         sync; it covers what was written when it began (F21, I8.4)
//
// I8.4  the sync's result counts for the position captured before the call, never for what was written meanwhile
// I8.5  after the first failure nothing is written or synced any more (S32, F23)
// I8.6  a write that found no room is the next write, at the same offset
//
// No room (`full`) is `stalled`: the same write is tried again with backoff. Every other failure condemns the segment,
// and with it, for now, the writing side of the buffer: `failed`. Reading goes on in both.
//
// Next: writer.ts, who may append.

import { mark } from '../base/marks.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { SegmentFiles } from './committer-files.ts';
import { Pace } from './committer-pace.ts';
import { Stall } from './committer-stall.ts';
import { CommitTimes } from './committer-times.ts';
import type { EventHub, LogPosition } from './events.ts';
import type { Limits } from './limits.ts';
import type { LogBuffer, WriteJob } from './log-buffer.ts';
import { segmentHeaderBytes } from './segment-header.ts';
import type { Stability } from './stability.ts';

/**
 * `starting`: what the last run left is being made durable. `open`: writing. `stalled`: no room on the disk, trying
 * again. `failed`: writing has ended with this cause. `closed`: it has ended in good order.
 */
export type CommitterState =
  | { readonly kind: 'starting' | 'open' }
  | { readonly kind: 'stalled'; readonly cause: unknown }
  | { readonly kind: 'failed'; readonly cause: unknown }
  | { readonly kind: 'closed' };

/** Whom the committer tells what it did. */
export interface CommitObserver {
  /** Memory, state or frontiers changed: whoever could not append may try again. */
  progressed(): void;
  /** The frontier that readers may read up to moved. */
  readable(): void;
  /** The log came further than the ledger says. */
  advanced(): void;
  /** So much further that the ledger should say so now. */
  publishDue(): void;
}

export class Committer {
  readonly #limits: Limits;
  readonly #clock: Clock;
  readonly #events: EventHub;
  readonly #log: LogBuffer;
  readonly #stability: Stability;
  readonly #files: SegmentFiles;
  readonly #observer: CommitObserver;
  readonly #stall: Stall;
  readonly #pace = new Pace();

  #state: Exclude<CommitterState, { kind: 'stalled' }> = { kind: 'starting' };
  #written: LogPosition;
  #durable: LogPosition;
  #starting: Promise<void> | undefined;
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  /** Everything below this id is to be made durable though nobody may wait for it. */
  #syncEndId = 0;
  #flushEndId = 0;
  #watchers = 0;
  #tickArmed = false;
  #lingerTimer: Timer | undefined;
  #intervalTimer: Timer | undefined;
  readonly times: CommitTimes;

  constructor(options: {
    readonly limits: Limits;
    readonly clock: Clock;
    readonly events: EventHub;
    readonly log: LogBuffer;
    readonly stability: Stability;
    readonly files: SegmentFiles;
    readonly observer: CommitObserver;
    /** What survives for certain, and what is there but must be made durable first. */
    readonly start: { readonly durable: LogPosition; readonly written: LogPosition };
  }) {
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#log = options.log;
    this.#stability = options.stability;
    this.#files = options.files;
    this.#observer = options.observer;
    const { clock, events, observer } = options;
    this.#stall = new Stall({ clock, events, mayGoOn: () => !this.#ended, changed: () => observer.progressed() });
    this.times = new CommitTimes(options);
    this.#written = options.start.written;
    this.#durable = options.start.durable;
  }

  get state(): CommitterState {
    const stalled = this.#stall.isStalled && (this.#state.kind === 'open' || this.#state.kind === 'starting');
    return stalled ? { kind: 'stalled', cause: this.#stall.cause } : this.#state;
  }

  /** Where the written part of the log ends. */
  get written(): LogPosition {
    return this.#written;
  }

  /** Where the durable part of the log ends. */
  get durable(): LogPosition {
    return this.#durable;
  }

  /** Frame bytes made durable since open. */
  get bytesDurable(): number {
    return this.#pace.bytesDurable;
  }

  /** Everything below this id may be handed to consumers. */
  get readableId(): number {
    return this.#limits.readsDurable ? this.#stability.durable.value : this.#stability.written.value;
  }

  /**
   * Runs what must come before the first write: `prepare` with the rules for a full disk, then `sync`, whose success
   * makes durable everything that was there at open.
   */
  start(prepare: () => Promise<void>, sync: () => Promise<void>): Promise<void> {
    this.#starting = this.#start(prepare, sync);
    return this.#starting;
  }

  async #start(prepare: () => Promise<void>, sync: () => Promise<void>): Promise<void> {
    try {
      await this.#stall.run(prepare);
      await sync();
      if (this.#ended) return;
      this.#state = { kind: 'open' };
      this.#advanceDurable(this.#written, 0);
      this.#afterWork();
    } catch (cause) {
      this.fail(cause);
    }
  }

  /** HOT. A record was appended: it will be written soon, at the end of the tick if somebody waits. */
  appended(): void {
    if (this.#tickArmed || this.#lingerTimer !== undefined) return;
    this.times.gathers();
    if (this.#watchers > 0) this.#armTick();
    else this.#armLinger();
  }

  /** A slot was filled: it can be written without waiting for anybody. */
  slotFilled(): void {
    this.#pump();
  }

  /** Resolves when everything below `endId` is written, undefined if it is. */
  reachWritten(endId: number): Promise<void> | undefined {
    const reached = this.#stability.written.reach(endId);
    if (reached !== undefined) this.#armTick();
    return reached;
  }

  /** Resolves when everything below `endId` is durable, undefined if it is. */
  reachDurable(endId: number): Promise<void> | undefined {
    const reached = this.#stability.durable.reach(endId);
    if (reached === undefined) return undefined;
    this.#armTick();
    this.#trySync();
    return reached;
  }

  /** Makes durable what is written now, without waiting for what only lies in memory. */
  syncWritten(): Promise<void> {
    const reached = this.#stability.durable.reach(this.#written.nextId);
    if (reached === undefined) return Promise.resolve();
    this.#requestSync(this.#written.nextId);
    return reached;
  }

  /** A reader that has everything waits for more: from now until `unwatch`, records are written at once. */
  watch(): void {
    this.#watchers += 1;
    if (this.#log.hasOpenRecords || this.readableId < this.#log.nextId) this.#armTick();
  }

  unwatch(): void {
    this.#watchers -= 1;
  }

  /** Room may have come back: a stalled write is tried again now. */
  roomFreed(): void {
    this.#stall.retry();
  }

  /** The ledger now says that the log is durable up to here (a value of {@link bytesDurable}), or could not say so. */
  ledgerPublished(bytesDurable: number | 'failed'): void {
    this.#pace.published(bytesDurable);
    this.#pump();
  }

  /** Resolves when no sync is under way: the moment for calls that would slow one down. */
  async betweenSyncs(): Promise<void> {
    await this.#syncing;
  }

  /** Ends writing for good. The first cause stays. */
  fail(cause: unknown): void {
    if (this.#ended) return;
    mark('committer.failed');
    this.#state = { kind: 'failed', cause }; // Before anybody is woken (L34).
    this.#stopTimers();
    this.#stall.retry();
    this.#stability.fail(cause);
    this.#events.emit('failed', { cause });
    this.#observer.progressed();
    this.#observer.readable();
  }

  /**
   * Ends writing in good order: waits for what is under way and gives the files back. Makes nothing durable; whoever
   * still waits for that is told `cause`.
   */
  async close(cause: unknown): Promise<void> {
    this.#stopTimers();
    if (this.#state.kind !== 'failed') this.#state = { kind: 'closed' };
    this.#stall.retry();
    await Promise.all([this.#starting, this.#writing, this.#syncing]);
    this.#stability.fail(cause);
    await this.#files.close();
  }

  // When to write.

  #armTick(): void {
    if (this.#tickArmed || this.#ended) return;
    this.#tickArmed = true;
    this.#clock.defer(() => {
      this.#tickArmed = false;
      // Busy: what gathers until the work under way is done becomes one group; afterWork comes back here.
      if (!this.#busy) this.#flush();
    });
  }

  #armLinger(): void {
    this.#lingerTimer = this.#clock.setTimer(this.#limits.lingerMs, () => {
      this.#lingerTimer = undefined;
      this.#flush();
      if (this.#limits.readsDurable) this.#requestSync(this.#log.nextId); // `sync` leaves nothing unsynced for long.
    });
  }

  get #ended(): boolean {
    return this.#state.kind === 'failed' || this.#state.kind === 'closed';
  }

  get #busy(): boolean {
    return this.#writing !== undefined || (this.#syncing !== undefined && this.#limits.readsDurable);
  }

  /** Whether somebody waits for records that no write has taken yet. */
  get #awaited(): boolean {
    if (this.#stability.submitted.value >= this.#log.nextId) return false;
    return this.#watchers > 0 || this.#stability.lastAwaited > this.#stability.submitted.value;
  }

  #flush(): void {
    if (this.#ended) return;
    this.#lingerTimer?.cancel();
    this.#lingerTimer = undefined;
    this.#log.closeFrame(this.#stability.durable.value - 1, false);
    this.#flushEndId = this.#log.nextId;
    this.#pump();
    this.#trySync();
  }

  #pump(): void {
    if (this.#writing !== undefined || this.#state.kind !== 'open' || this.#mustHold()) return;
    const job = this.#log.take(this.#flushEndId > this.#stability.submitted.value);
    if (job === undefined) return;
    this.#stability.submit(job.end.nextId);
    this.times.writeBegan(job);
    this.#writing = this.#write(job);
  }

  /** Whether writing waits for a sync or a publish, so that a crash loses and a start scans no more than promised. */
  #mustHold(): boolean {
    if (this.#unsyncedIsFull) this.#trySync();
    return this.#unsyncedIsFull || this.#pace.mustHold;
  }

  /** Whether the next write would leave too much unsynced. One that is too large by itself goes alone. */
  get #unsyncedIsFull(): boolean {
    const { durability, maxUnsyncedBytes } = this.#limits;
    const unsynced = durability === 'interval' ? this.#files.unsyncedBytes : 0;
    return unsynced > 0 && unsynced + this.#log.bytesToTake + segmentHeaderBytes > maxUnsyncedBytes;
  }

  async #write(job: WriteJob): Promise<void> {
    try {
      await this.#stall.run(() => this.#files.write(job));
      if (this.#state.kind === 'failed') return;
      this.times.wrote(job);
      this.#pace.wrote(job.bytes.length);
      this.#written = job.end;
      this.#stability.advanceWritten(job.end.nextId);
      if (!this.#limits.keepsUntilDurable) this.#log.release(job.end);
      if (!this.#limits.readsDurable) this.#observer.readable();
      this.#observer.advanced();
      this.#armInterval();
    } catch (cause) {
      this.fail(cause);
    } finally {
      this.#writing = undefined;
      this.#afterWork();
    }
  }

  // When to sync.

  #armInterval(): void {
    if (this.#limits.durability !== 'interval' || this.#ended) return;
    this.#intervalTimer ??= this.#clock.setTimer(this.#limits.syncIntervalMs, () => {
      this.#intervalTimer = undefined;
      this.#requestSync(this.#written.nextId);
    });
  }

  /** Syncs, as soon as may be, until everything below `endId` is durable. */
  #requestSync(endId: number): void {
    this.#syncEndId = Math.max(this.#syncEndId, endId);
    this.#trySync();
  }

  #trySync(): void {
    if (this.#syncing !== undefined || this.#state.kind !== 'open' || this.#durable === this.#written) return;
    if (this.#syncDue()) this.#syncing = this.#sync();
  }

  #syncDue(): boolean {
    if (this.#syncEndId > this.#durable.nextId) return true;
    const awaited = this.#stability.durable.firstAwaited;
    if (awaited !== undefined && awaited <= this.#written.nextId) return true;
    if (this.#unsyncedIsFull || (this.#limits.readsDurable && this.#watchers > 0)) return true;
    return this.#limits.keepsUntilDurable && this.#log.isShortOfMemory;
  }

  async #sync(): Promise<void> {
    const captured = this.#written; // I8.4, F21
    const capturedBytes = this.#pace.bytesWritten;
    this.#intervalTimer?.cancel();
    this.#intervalTimer = undefined;
    try {
      const tookMs = await this.times.ofSync(this.#files.sync());
      if (this.#state.kind === 'failed') return;
      this.times.synced(this.#durable, captured, tookMs);
      this.#advanceDurable(captured, capturedBytes);
      if (this.#written !== captured) this.#armInterval();
    } catch (cause) {
      this.fail(cause); // Never tried again on these bytes (A4).
    } finally {
      this.#syncing = undefined;
      this.#afterWork();
    }
  }

  #advanceDurable(position: LogPosition, bytes: number): void {
    this.#durable = position;
    this.#pace.synced(bytes);
    this.#events.emit('durable', position);
    this.#stability.advanceDurable(position.nextId);
    if (this.#limits.keepsUntilDurable) this.#log.release(position);
    if (this.#limits.readsDurable) this.#observer.readable();
    this.#observer.advanced();
  }

  #afterWork(): void {
    if (this.#pace.publishDue()) this.#observer.publishDue();
    this.#pump();
    this.#trySync();
    this.#observer.progressed();
    if (this.#awaited) this.#armTick();
    // Whoever waited for the rest has gone: it is written after lingerMs, like everything that nobody waits for.
    else if (this.#stability.submitted.value < this.#log.nextId && !this.#ended) this.appended();
  }

  #stopTimers(): void {
    this.#lingerTimer?.cancel();
    this.#intervalTimer?.cancel();
  }
}
