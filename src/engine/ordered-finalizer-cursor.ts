// Chapter 11, last part. A cursor: a named reader with its own acknowledged position.
//
// It lets the feed fill deliveries, and the finalizer put what comes back in order.
//
// I11.11  nextId is the id after the last contiguous settled record; it only grows
// I11.12  records to be handed out again come before any that is new
//
// Next: recovery.ts, what the bytes on disk mean at open.

import { abortable } from '../base/abort.ts';
import { mark } from '../base/marks.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { EventHub } from './events.ts';
import type { Amount } from './ledger-slot.ts';
import { OrderedFinalizer, type ReleasedRun } from './ordered-finalizer.ts';
import { add, createCounters, type SettlementCounters } from './ordered-finalizer-accounts.ts';
import { type DeliveredRecord, Delivery, type DeliveryOwner } from './ordered-finalizer-delivery.ts';
import type { CursorFeed, FeedContext } from './ordered-finalizer-feed.ts';
import { type Retry, RetryHeap } from './ordered-finalizer-retries.ts';
import type { ReadStart } from './reader.ts';

export interface ReadOptions {
  /** Most records in one delivery. Default 1,000. */
  readonly maxRecords?: number;
  /** Most payload bytes in one delivery; the first record is exempt. Default 1 MiB. */
  readonly maxBytes?: number;
  /** Ends a read that waits; nothing is handed out then. */
  readonly signal?: AbortSignal;
}

/** A cursor's position as the ledger keeps it. */
export interface CursorPosition extends ReadStart {
  /** Payload bytes this cursor has passed over the buffer's lifetime. */
  readonly payloadBytes: number;
}

/** What a cursor asks of the buffer around it. */
export interface CursorHost {
  readonly clock: Clock;
  readonly events: EventHub;
  /** Ids at which released runs are cut, for the buffer's accounts; ascending. */
  cuts(cursor: Cursor): readonly number[];
  released(cursor: Cursor, run: ReleasedRun): void;
  /** The position moved. */
  moved(): void;
  /** Something came back, whether or not the position moved. */
  settled(): void;
  /** A consumer gave records up for good, with this reason. */
  rejected(cursor: Cursor, records: number, reason: string): void;
  /** Why the ids [from, to) are missing, in parts. */
  classify(from: number, to: number): readonly { readonly to: number; readonly reason: 'unconfirmed' | 'damaged' }[];
  /** The cursor has everything and waits for more, until the returned function is called. */
  watch(): () => void;
}

export class Cursor implements DeliveryOwner {
  readonly name: string;
  readonly #host: CursorHost;
  readonly #finalizer: OrderedFinalizer;
  readonly #retries = new RetryHeap();
  readonly #counters: SettlementCounters = createCounters();
  readonly #feed: CursorFeed;
  readonly #open = new Set<Delivery>();
  #payloadBytes: number;
  #retried = 0;
  #state: 'open' | 'paused' | 'closed' = 'open';
  /** `waiting`: the position is not durable yet. Otherwise why it never will be. */
  #unusable: 'waiting' | { readonly cause: unknown } | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #reading = 0;
  #wake: (() => void) | undefined;
  #loading: Promise<void> | undefined;
  /** Settlements do nothing any more. */
  #ended = false;

  constructor(options: {
    readonly name: string;
    readonly host: CursorHost;
    readonly position: CursorPosition;
    /** Makes what gives the records from `position` on. */
    readonly feed: (context: FeedContext) => CursorFeed;
    /** Reading begins once this has resolved: the position is durable. */
    readonly usable?: Promise<void>;
  }) {
    this.name = options.name;
    this.#host = options.host;
    this.#payloadBytes = options.position.payloadBytes;
    this.#finalizer = new OrderedFinalizer({
      position: options.position.nextId,
      released: (run) => this.#released(run),
    });
    this.#feed = options.feed({
      finalizer: this.#finalizer,
      passGap: (from, to) => this.#passGap(from, to),
      wake: () => this.wake(),
    });
    if (options.usable !== undefined) this.#waitUntil(options.usable);
  }

  /** I11.11. */
  get nextId(): number {
    return this.#finalizer.position;
  }

  /** The id of the next record that was never handed out. */
  get unreadId(): number {
    return this.#feed.unreadId;
  }

  /** What was handed out for the first time, since open. */
  get delivered(): Amount {
    return this.#feed.delivered ?? { events: 0, bytes: 0 };
  }

  /** Where this cursor is, with a place in the files as a hint. */
  get position(): CursorPosition {
    const { segment, offset } = this.#feed.place;
    return { segment, offset, nextId: this.nextId, payloadBytes: this.#payloadBytes };
  }

  /** Since open. */
  get counters(): SettlementCounters {
    return this.#counters;
  }

  get unsettledRecords(): number {
    return this.#finalizer.length;
  }

  /** Bytes of frames that are handed out and not released. */
  get unsettledBytes(): number {
    return this.#feed.unsettledBytes;
  }

  /** Records handed out again since open. */
  get retried(): number {
    return this.#retried;
  }

  /** Deliveries with unsettled records. */
  get openDeliveries(): number {
    return this.#open.size;
  }

  /**
   * Resolves with the next records, or with undefined once the buffer is closed. Reads are answered in the order of the
   * calls. Rejects with StorageError when the disk cannot be read, with FormatError when a newer program is needed; the
   * cursor stands where it stood and may be read again.
   */
  async read(options: ReadOptions = {}): Promise<Delivery | undefined> {
    options.signal?.throwIfAborted();
    const before = this.#reading > 0 ? this.#turn : undefined;
    this.#reading += 1;
    const answer = this.#readInTurn(options, before);
    // A read that was aborted while it waited for its turn does not give the turn to the next one.
    this.#turn = Promise.allSettled([before, answer]);
    return await answer;
  }

  async #readInTurn(options: ReadOptions, before: Promise<unknown> | undefined): Promise<Delivery | undefined> {
    try {
      if (before !== undefined) await (options.signal === undefined ? before : abortable(before, options.signal));
      return await this.#next(options);
    } finally {
      this.#reading -= 1;
    }
  }

  async #next({ maxRecords = 1_000, maxBytes = 1_048_576, signal }: ReadOptions): Promise<Delivery | undefined> {
    for (;;) {
      signal?.throwIfAborted();
      if (this.#state === 'closed') return undefined;
      if (typeof this.#unusable === 'object') throw this.#unusable.cause;
      const mayTake = this.#state === 'open' && this.#unusable === undefined;
      const outcome = !mayTake ? 'window' : this.#take(maxRecords >= 1 ? maxRecords : 1, maxBytes);
      if (typeof outcome === 'object') return outcome;
      if (outcome === 'load') await this.#load();
      else await this.#wait(outcome === 'caught_up', signal);
    }
  }

  #waitUntil(usable: Promise<void>): void {
    this.#unusable = 'waiting';
    const settle = (unusable: { readonly cause: unknown } | undefined): void => {
      this.#unusable = unusable;
      this.wake();
    };
    usable.then(
      () => settle(undefined),
      (cause: unknown) => settle({ cause }),
    );
  }

  async #load(): Promise<void> {
    this.#loading = this.#feed.load();
    try {
      await this.#loading;
    } finally {
      this.#loading = undefined;
    }
  }

  /** Something changed that a waiting read may have waited for. */
  wake(): void {
    this.#wake?.();
  }

  /** A segment that every cursor has passed was removed. */
  async letGo(segment: number): Promise<void> {
    await this.#feed.letGo?.(segment);
  }

  /** Hands out nothing until `resume`. */
  pause(): void {
    if (this.#state === 'open') this.#state = 'paused';
  }

  resume(): void {
    if (this.#state === 'paused') this.#state = 'open';
    this.wake();
  }

  /**
   * Gives up every event below `place.nextId`; the cursor is paused. `bytes` are the payload bytes of those never
   * handed out. Returns what was given up, in events and bytes.
   */
  async dropTo(place: ReadStart, bytes: number): Promise<{ readonly events: number; readonly bytes: number }> {
    await this.#loading?.catch(() => undefined); // A read that began before the pause still holds the file.
    if (place.nextId > this.#feed.unreadId) await this.#feed.jump(place);
    // From here on nothing waits: what is settled meanwhile was settled before the drop, and counts.
    return this.giveUp(place.nextId, bytes);
  }

  /** The part of {@link dropTo} that takes no time, for a feed that need not be told where to go on. */
  giveUp(nextId: number, bytes: number): { readonly events: number; readonly bytes: number } {
    const unread = Math.max(0, nextId - this.#feed.unreadId);
    const handedOut = this.#finalizer.settleBelow(nextId, 'dropped_oldest');
    if (unread > 0) this.#feed.skip(unread, bytes, 'dropped_oldest');
    this.#retries.retain((retry) => this.#finalizer.isOpen(retry.ticket));
    this.#release();
    return { events: handedOut.events + unread, bytes: handedOut.bytes + (unread > 0 ? bytes : 0) };
  }

  /** Hands out nothing more; waiting reads resolve with undefined. Settlements still count until `end`. */
  close(): void {
    this.#state = 'closed';
    this.wake();
  }

  /** Gives back what the cursor holds. Later settlements do nothing. */
  async end(): Promise<void> {
    this.close();
    this.#open.clear();
    this.#ended = true;
    await this.#turn;
    await this.#feed.close();
  }

  // Handing out.

  #take(maxRecords: number, maxBytes: number): Delivery | 'load' | 'caught_up' | 'window' {
    const now = this.#host.clock.monotonic();
    const due = this.#retries.length === 0 ? [] : this.#retries.takeDue(now, maxRecords, maxBytes);
    if (due.length > 0) return this.#deliverAgain(due);
    for (;;) {
      const { records, firstTicket, end } = this.#feed.fill(maxRecords, maxBytes);
      if (records.length > 0) return this.#deliver(records, firstTicket);
      if (typeof end === 'object') throw end;
      if (end !== 'limit' && end !== 'gap') return end;
    }
  }

  #deliverAgain(due: readonly Retry[]): Delivery {
    this.#retried += due.length;
    const records = due.map((retry) => retry.record);
    const tickets = due.map((retry) => retry.ticket);
    return this.#deliver(records, tickets);
  }

  #deliver(records: readonly DeliveredRecord[], tickets: number | readonly number[]): Delivery {
    const delivery = new Delivery(this, records, tickets);
    this.#open.add(delivery);
    return delivery;
  }

  #passGap(from: number, to: number): void {
    let at = from;
    for (const part of this.#host.classify(from, to)) {
      mark(`cursor.${part.reason}`);
      this.#feed.skip(part.to - at, 0, part.reason);
      this.#host.events.emit('lost', { reason: part.reason, events: part.to - at, bytes: 0, cursor: this.name });
      at = part.to;
    }
    this.#release();
  }

  /** Waits until something changes that a read waits for. */
  async #wait(caughtUp: boolean, signal: AbortSignal | undefined): Promise<void> {
    let timer: Timer | undefined;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const unwatch = caughtUp ? this.#host.watch() : undefined;
    const dueAt = this.#retries.nextDueAt;
    if (dueAt !== undefined && this.#state === 'open') {
      timer = this.#host.clock.setTimer(Math.max(0, dueAt - this.#host.clock.monotonic()), () => this.wake());
    }
    try {
      await (signal === undefined ? woken : abortable(woken, signal));
    } finally {
      this.#wake = undefined;
      timer?.cancel();
      unwatch?.();
    }
  }

  // Coming back.

  acknowledgeRun(delivery: Delivery, firstTicket: number, count: number): void {
    if (this.#ended) return;
    this.#finalizer.settleRun(firstTicket, count, 'acknowledged');
    this.settled(delivery);
  }

  acknowledge(_delivery: Delivery, tickets: readonly number[]): void {
    if (this.#ended) return;
    for (const ticket of tickets) this.#finalizer.settle(ticket, 'acknowledged');
  }

  retry(_delivery: Delivery, tickets: readonly number[], records: readonly DeliveredRecord[], afterMs: number): void {
    if (this.#ended) return;
    const dueAt = this.#host.clock.monotonic() + afterMs;
    for (const [index, ticket] of tickets.entries()) {
      if (!this.#finalizer.isOpen(ticket)) continue; // Dropped meanwhile.
      this.#retries.add({ dueAt, ticket, record: records[index] as DeliveredRecord });
    }
  }

  reject(_delivery: Delivery, tickets: readonly number[], reason: string): void {
    if (this.#ended) return;
    mark('cursor.rejected');
    let rejected = 0;
    for (const ticket of tickets) rejected += this.#finalizer.settle(ticket, 'rejected') ? 1 : 0;
    if (rejected > 0) this.#host.rejected(this, rejected, reason);
  }

  settled(delivery: Delivery): void {
    if (delivery.unsettled === 0) this.#open.delete(delivery);
    if (this.#ended) return;
    this.#release();
    this.#host.settled();
    this.wake();
  }

  #release(): void {
    if (this.#finalizer.release(this.#host.cuts(this)) === 0) return;
    this.#feed.released();
    this.#host.moved();
  }

  #released(run: ReleasedRun): void {
    this.#payloadBytes += run.bytes;
    add(this.#counters[run.settlement], run.to - run.from, run.bytes);
    this.#host.released(this, run);
  }
}
