// Chapter 11, last part. A cursor: a named reader with its own acknowledged position.
//
// It takes frames from the reader, hands their records out as deliveries, and lets the finalizer put what comes back in
// order. How far it may run ahead of its own acknowledgements is bounded by a window of bytes, so that memory stays
// flat however far behind a consumer is.
//
// I11.9   nextId is the id after the last contiguous settled record; it only grows
// I11.10  unsettledBytes <= maxUnsettledBytes, but one frame may always be taken
// I11.11  records are handed out for the first time in record order; retried ones come before any that is new
//
// Next: recovery.ts, what the bytes on disk mean at open.

import { abortable } from '../base/abort.ts';
import type { FormatError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { EventHub } from './events.ts';
import { createRecordTable, decodeRecords, frameHeaderBytes, type RecordTable } from './frame.ts';
import { OrderedFinalizer, type ReleasedRun, type Settlement } from './ordered-finalizer.ts';
import { add, createCounters, type SettlementCounters } from './ordered-finalizer-accounts.ts';
import { DeliveredRecord, Delivery, type DeliveryOwner } from './ordered-finalizer-delivery.ts';
import { RetryHeap } from './ordered-finalizer-retries.ts';
import type { FrameCopy, LogReader, ReadStart } from './reader.ts';

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
  readonly uuid: string;
  readonly clock: Clock;
  readonly events: EventHub;
  readonly maxUnsettledBytes: number;
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

/** A frame of which records have been handed out and not all are released. */
interface HeldFrame {
  readonly copy: FrameCopy;
  /** Tickets below this one belong to this frame or to older ones. */
  endTicket: number;
}

/** The frame that is being handed out. */
interface CurrentFrame {
  readonly copy: FrameCopy;
  readonly origin: string;
  nextRecord: number;
  nextId: number;
}

export class Cursor implements DeliveryOwner {
  readonly name: string;
  readonly #host: CursorHost;
  readonly #reader: LogReader;
  readonly #finalizer: OrderedFinalizer;
  readonly #retries = new RetryHeap();
  readonly #counters: SettlementCounters = createCounters();
  readonly #held: HeldFrame[] = [];
  readonly #table: RecordTable = createRecordTable();
  readonly #open = new Set<Delivery>();
  #current: CurrentFrame | undefined;
  #payloadBytes: number;
  #unsettledBytes = 0;
  #retried = 0;
  /** Id of the next record to be handed out for the first time. */
  #unreadId: number;
  #place: ReadStart;
  #state: 'open' | 'paused' | 'closed' = 'open';
  #usable: Promise<void> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #reading = 0;
  #wake: (() => void) | undefined;
  #loading: Promise<void> | undefined;
  /** A frame that has been read and waits for room in the window. */
  #waitingFrame: FrameCopy | undefined;
  /** Settlements do nothing any more. */
  #ended = false;

  constructor(options: {
    readonly name: string;
    readonly host: CursorHost;
    readonly reader: LogReader;
    readonly position: CursorPosition;
    /** Reading begins once this has resolved: the position is durable. */
    readonly usable?: Promise<void>;
  }) {
    this.name = options.name;
    this.#host = options.host;
    this.#reader = options.reader;
    this.#place = options.position;
    this.#payloadBytes = options.position.payloadBytes;
    this.#unreadId = options.position.nextId;
    this.#usable = options.usable;
    this.#finalizer = new OrderedFinalizer({
      position: options.position.nextId,
      released: (run) => this.#released(run),
    });
  }

  /** I11.9. */
  get nextId(): number {
    return this.#finalizer.position;
  }

  /** The id of the next record that was never handed out. */
  get unreadId(): number {
    return this.#unreadId;
  }

  /** Where this cursor is, with a place in the files as a hint. */
  get position(): CursorPosition {
    const nextId = this.nextId;
    const held = this.#held[0];
    const place = held === undefined ? this.#place : { segment: held.copy.segment, offset: held.copy.offset };
    return { segment: place.segment, offset: place.offset, nextId, payloadBytes: this.#payloadBytes };
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
    return this.#unsettledBytes;
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
      if (this.#usable !== undefined) {
        await (options.signal === undefined ? this.#usable : abortable(this.#usable, options.signal));
        this.#usable = undefined;
      }
      return await this.#next(options);
    } finally {
      this.#reading -= 1;
    }
  }

  async #next({ maxRecords = 1_000, maxBytes = 1_048_576, signal }: ReadOptions): Promise<Delivery | undefined> {
    for (;;) {
      signal?.throwIfAborted();
      if (this.#state === 'closed') return undefined;
      const outcome = this.#state === 'paused' ? 'window' : this.#take(Math.max(1, maxRecords), maxBytes);
      if (typeof outcome === 'object') return outcome;
      if (outcome === 'load') await this.#load();
      else await this.#wait(outcome === 'caught_up', signal);
    }
  }

  async #load(): Promise<void> {
    this.#loading = this.#reader.load();
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
    const handedOut = this.#finalizer.settleBelow(place.nextId, 'dropped_oldest');
    const unread = Math.max(0, place.nextId - this.#unreadId);
    if (unread > 0) {
      this.#addSettled(unread, bytes, 'dropped_oldest');
      this.#current = undefined;
      this.#waitingFrame = undefined;
      this.#place = place;
      await this.#reader.seek(place);
    }
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
    await this.#reader.close();
  }

  // Handing out.

  #take(maxRecords: number, maxBytes: number): Delivery | 'load' | 'caught_up' | 'window' {
    const due = this.#retries.length === 0 ? [] : this.#retries.takeDue(this.#host.clock.monotonic(), maxRecords);
    if (due.length > 0) {
      this.#retried += due.length;
      const records = due.map((retry) => retry.record);
      return this.#deliver(
        records,
        due.map((retry) => retry.ticket),
      );
    }
    const records: DeliveredRecord[] = [];
    let firstTicket = 0;
    let room = maxBytes;
    for (;;) {
      if (this.#current !== undefined) {
        if (records.length === 0) firstTicket = this.#finalizer.nextTicket;
        room = this.#takeRecords(this.#current, records, maxRecords, room);
        if (this.#current !== undefined || records.length >= maxRecords) return this.#deliver(records, firstTicket);
      }
      const step = this.#nextFrame();
      if (step === 'frame' || (step === 'gap' && records.length === 0)) continue;
      if (records.length > 0) return this.#deliver(records, firstTicket); // A gap ends it: its tickets are consecutive.
      if (typeof step === 'object') throw step;
      if (step !== 'gap') return step;
    }
  }

  /** Makes the next frame the current one, or passes a gap, or says why neither is possible now. */
  #nextFrame(): 'frame' | 'gap' | 'load' | 'caught_up' | 'window' | FormatError {
    if (this.#waitingFrame === undefined) {
      const step = this.#reader.next();
      switch (step.kind) {
        case 'frame':
          this.#waitingFrame = step.copy;
          break;
        case 'gap':
          this.#passGap(step.from, step.to);
          return 'gap';
        case 'load':
          return 'load';
        case 'wait':
          return 'caught_up';
        case 'newer':
          return step.error;
      }
    }
    const copy = this.#waitingFrame;
    if (!this.#hasWindowFor(copy)) return 'window';
    this.#waitingFrame = undefined;
    this.#begin(copy);
    return 'frame';
  }

  #hasWindowFor(copy: FrameCopy): boolean {
    if (this.#unsettledBytes === 0) return true;
    return this.#unsettledBytes + copy.frame.byteLength <= this.#host.maxUnsettledBytes;
  }

  #begin(copy: FrameCopy): void {
    const { frame } = copy;
    decodeRecords(copy.view, frameHeaderBytes, frame.recordCount, this.#table);
    this.#current = {
      copy,
      origin: `${this.#host.uuid}/${copy.epoch}-`,
      nextRecord: 0,
      nextId: frame.firstId,
    };
    this.#unsettledBytes += frame.byteLength;
    this.#held.push({ copy, endTicket: this.#finalizer.nextTicket });
  }

  /** HOT. Moves records of the current frame into a delivery. Returns how many payload bytes may still follow. */
  #takeRecords(current: CurrentFrame, records: DeliveredRecord[], maxRecords: number, room: number): number {
    const table = this.#table;
    const { buffer } = current.copy.bytes;
    const held = this.#held.at(-1) as HeldFrame;
    let left = room;
    while (current.nextRecord < table.recordCount && records.length < maxRecords) {
      const at = current.nextRecord;
      const bytes = table.payloadLengths[at] as number;
      if (bytes > left && records.length > 0) return left;
      const events = table.events[at] as number;
      const id = current.nextId;
      current.nextRecord = at + 1;
      current.nextId = id + events;
      if (id < this.#unreadId) continue; // A cursor may begin inside a frame.
      const payload = new Uint8Array(buffer, table.payloadOffsets[at] as number, bytes);
      records.push(new DeliveredRecord(id, events, table.metadata[at] as number, payload, current.origin));
      this.#finalizer.add(events, bytes);
      held.endTicket += 1;
      this.#unreadId = current.nextId;
      left -= bytes;
    }
    if (current.nextRecord === table.recordCount) this.#current = undefined;
    return left;
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
      this.#addSettled(part.to - at, 0, part.reason);
      this.#host.events.emit('lost', { reason: part.reason, events: part.to - at, bytes: 0, cursor: this.name });
      at = part.to;
    }
    this.#release();
  }

  #addSettled(events: number, bytes: number, settlement: Settlement): void {
    this.#finalizer.settle(this.#finalizer.add(events, bytes), settlement);
    this.#unreadId += events;
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
    const released = this.#finalizer.release(this.#host.cuts(this));
    if (released === 0) return;
    const head = this.#finalizer.headTicket;
    while (this.#held.length > 0) {
      const held = this.#held[0] as HeldFrame;
      if (held.endTicket > head || held.copy === this.#current?.copy) break;
      this.#held.shift();
      this.#unsettledBytes -= held.copy.frame.byteLength;
      this.#place = behind(held.copy);
    }
    this.#host.moved();
  }

  #released(run: ReleasedRun): void {
    this.#payloadBytes += run.bytes;
    add(this.#counters[run.settlement], run.to - run.from, run.bytes);
    this.#host.released(this, run);
  }
}

function behind(copy: FrameCopy): ReadStart {
  return { segment: copy.segment, offset: copy.offset + copy.frame.byteLength, nextId: copy.frame.nextId };
}
