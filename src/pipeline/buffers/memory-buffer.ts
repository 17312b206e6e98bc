// Buffer type `memory`: records in order, several cursors, nothing on disk, nothing left after the process.
//
// Settling, retries, order and counting are the engine's, fed from memory. A record is kept until every cursor has
// settled it, so what is handed out and not settled counts against the limits; each cursor's consumer holds a copy of
// what it was handed besides.
//
// MB1  what is held = what the slowest cursor has not passed
// MB2  usedBytes <= maxBytes; events <= maxEvents, but one record may always be held

import { CursorSet } from '../../engine/disk-buffer-cursors.ts';
import { EventHub, type EventSource } from '../../engine/events.ts';
import type { Amount, LedgerTotals } from '../../engine/ledger-slot.ts';
import { checkCursorName, type WhenFull } from '../../engine/limits.ts';
import { Accounts } from '../../engine/ordered-finalizer-accounts.ts';
import type { Cursor, CursorPosition } from '../../engine/ordered-finalizer-cursor.ts';
import { newUuid } from '../../engine/recovery.ts';
import type { AppendResult, TryAppendResult } from '../../engine/writer.ts';
import { closedError, type RecordInput } from '../../engine/writer-records.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Random } from '../../platform/random.ts';
import type { PipelineBuffer, PipelineBufferStats } from '../contract/buffer.ts';
import { MemoryFeed } from './memory-feed.ts';
import { MemoryIntake } from './memory-intake.ts';
import { MemoryRecords } from './memory-records.ts';
import { Progress } from './progress.ts';

export interface MemoryBufferOptions {
  /** Names of the cursors that may not be removed. At least one. */
  readonly cursors: readonly string[];
  readonly maxBytes: number;
  /** Infinity: no limit. */
  readonly maxEvents: number;
  readonly whenFull: WhenFull;
  readonly clock: Clock;
  readonly random: Random;
  /** How long `close` waits for open deliveries. Default 5,000. */
  readonly closeTimeoutMs?: number;
}

export interface MemoryBufferStats extends PipelineBufferStats {
  readonly state: 'open' | 'closing' | 'closed';
  /** Since open. Bytes are payload bytes. */
  readonly totals: LedgerTotals;
}

type AppendOptions = { readonly events?: number; readonly metadata?: number; readonly signal?: AbortSignal };

export class MemoryBuffer implements PipelineBuffer {
  readonly #options: MemoryBufferOptions;
  readonly #uuid: string;
  readonly #events = new EventHub();
  readonly #records = new MemoryRecords();
  readonly #accounts = new Accounts(undefined, 1, 1);
  readonly #feeds = new Map<string, MemoryFeed>();
  readonly #cursors: CursorSet;
  readonly #intake: MemoryIntake;
  readonly #progress = new Progress();
  #state: MemoryBufferStats['state'] = 'open';
  #closing: Promise<void> | undefined;
  #drains = true;
  /** Reads that wait for something new, and whether they will be woken at the end of the tick. */
  #watching = 0;
  #wakes = false;

  constructor(options: MemoryBufferOptions) {
    this.#options = options;
    this.#uuid = newUuid(options.random);
    const { clock, maxBytes, maxEvents, whenFull, cursors } = options;
    for (const name of cursors) checkCursorName(name);
    this.#intake = new MemoryIntake({
      records: this.#records,
      clock,
      maxBytes,
      maxEvents,
      whenFull,
      appended: () => this.#appended(),
      makeRoom: (isEnough) => this.#dropOldest(isEnough),
      dropped: (events, bytes) => this.#droppedNewest(events, bytes),
      full: () => this.#events.emit('full', { usedBytes: this.#records.usedBytes }),
    });
    this.#cursors = new CursorSet({
      clock,
      events: this.#events,
      required: cursors,
      accounts: this.#accounts,
      unconfirmed: [],
      feed: (name, { nextId, offset }, context) => {
        const origin = `${this.#uuid}/1-`;
        const feed = new MemoryFeed(context, { records: this.#records, number: offset, nextId, origin });
        this.#feeds.set(name, feed);
        return feed;
      },
      watch: () => this.#watch(),
      moved: () => this.#moved(),
      settled: () => this.#progress.made(),
    });
    for (const name of cursors) this.#cursors.add(name, this.#oldest);
  }

  get events(): EventSource {
    return this.#events;
  }

  tryAppend(payload: Uint8Array, { events = 1, metadata = 0 }: AppendOptions = {}): TryAppendResult {
    return this.#intake.tryAppend(payload, events, metadata);
  }

  /** As `tryAppend`, of all the records or none. */
  tryAppendBatch(records: readonly RecordInput[]): TryAppendResult {
    return this.#intake.tryAppendBatch(records);
  }

  ready(signal?: AbortSignal): Promise<void> {
    return this.#intake.ready(signal);
  }

  append(payload: Uint8Array, { signal, ...options }: AppendOptions = {}): Promise<AppendResult> {
    return this.#intake.append([{ payload, ...options }], signal);
  }

  appendBatch(
    records: readonly RecordInput[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<AppendResult> {
    return this.#intake.append(records, signal);
  }

  /** There is nothing to make durable: what was accepted is as safe as it will ever be. */
  async commit(): Promise<void> {
    if (this.#state === 'closed') throw closedError();
  }

  cursor(name: string, { from = 'oldest' }: { readonly from?: 'oldest' | 'newest' } = {}): Cursor {
    if (this.#state !== 'open') throw closedError();
    checkCursorName(name);
    return this.#cursors.get(name) ?? this.#cursors.add(name, from === 'newest' ? this.#newest : this.#oldest);
  }

  async removeCursor(name: string): Promise<void> {
    if (this.#state !== 'open') throw closedError();
    const cursor = this.#cursors.remove(name);
    this.#feeds.delete(name);
    await cursor.end();
    this.#moved();
  }

  stats(): MemoryBufferStats {
    const records = this.#records;
    const cursors = this.#cursors.all.map(({ name, nextId, position }) => {
      return { name, nextId, backlog: this.#backlogBehind(position) };
    });
    return {
      state: this.#state,
      failure: undefined,
      uuid: this.#uuid,
      maxRecordBytes: this.#options.maxBytes,
      backlog: this.#backlogBehind(this.#cursors.slowest.position),
      totals: this.#accounts.totals({ events: records.nextId - 1, bytes: records.appendedBytes }),
      disk: { usedBytes: records.usedBytes, maxBytes: this.#options.maxBytes },
      waitingAppends: this.#intake.waiting,
      cursors,
    };
  }

  /**
   * Refuses appends, hands out nothing more, waits for open deliveries and forgets what is left; with `drain` it first
   * goes on delivering until every cursor is at the end. A second `close`, without `drain`, ends the draining.
   */
  close({ drain = false }: { readonly drain?: boolean } = {}): Promise<void> {
    if (!drain) this.#drains = false;
    this.#progress.made();
    this.#closing ??= this.#close(drain);
    return this.#closing;
  }

  async #close(drain: boolean): Promise<void> {
    const { clock, closeTimeoutMs = 5_000 } = this.#options;
    this.#state = 'closing';
    this.#intake.close();
    if (drain) await this.#progress.until(() => !this.#drains || this.#records.recordCount === 0);
    for (const cursor of this.#cursors.all) cursor.close();
    const areSettled = (): boolean => this.#cursors.all.every(({ openDeliveries }) => openDeliveries === 0);
    await this.#progress.until(areSettled, { clock, timeoutMs: closeTimeoutMs });
    await Promise.all(this.#cursors.all.map((cursor) => cursor.end()));
    this.#state = 'closed';
    this.#events.emit('closed', { clean: this.#records.recordCount === 0 });
  }

  // Where a cursor begins. A feed takes the number of the record there for an offset.

  get #oldest(): CursorPosition {
    const { firstId, firstNumber, releasedBytes } = this.#records;
    return { segment: 0, offset: firstNumber, nextId: firstId, payloadBytes: releasedBytes };
  }

  get #newest(): CursorPosition {
    const { nextId, firstNumber, recordCount, appendedBytes } = this.#records;
    return { segment: 0, offset: firstNumber + recordCount, nextId, payloadBytes: appendedBytes };
  }

  #backlogBehind({ nextId, payloadBytes }: CursorPosition): Amount {
    return { events: this.#records.nextId - nextId, bytes: this.#records.appendedBytes - payloadBytes };
  }

  /** Readers take a tick's records together. */
  #appended(): void {
    if (this.#watching === 0 || this.#wakes) return;
    this.#wakes = true;
    this.#options.clock.defer(() => {
      this.#wakes = false;
      this.#cursors.wake();
    });
  }

  #watch(): () => void {
    this.#watching += 1;
    return () => {
      this.#watching -= 1;
    };
  }

  #moved(): void {
    if (this.#records.releaseBelow(this.#cursors.slowest.nextId)) this.#intake.progress();
    this.#progress.made();
  }

  #dropOldest(isEnough: () => boolean): void {
    const lost: { readonly events: number; readonly bytes: number; readonly cursor: string }[] = [];
    while (!isEnough()) {
      const oldest = this.#records.at(this.#records.firstNumber);
      if (oldest === undefined) break;
      const endId = oldest.id + oldest.events;
      for (const cursor of this.#cursors.all.filter(({ nextId }) => nextId < endId)) {
        const unread = (this.#feeds.get(cursor.name) as MemoryFeed).unreadBytesBelow(endId);
        lost.push({ ...cursor.giveUp(endId, unread), cursor: cursor.name });
      }
    }
    // Told when everything is in its place again: a listener may append.
    for (const loss of lost) this.#events.emit('lost', { reason: 'dropped_oldest', ...loss });
  }

  #droppedNewest(events: number, bytes: number): void {
    this.#accounts.refused('dropped_newest', events, bytes);
    this.#events.emit('lost', { reason: 'dropped_newest', events, bytes });
  }
}
