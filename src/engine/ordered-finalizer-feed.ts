// Chapter 11, continued. The feed turns frames into records of a delivery, within a window.
//
// How far a cursor may run ahead of its own acknowledgements is bounded in bytes of whole frames, because a frame's
// memory lives as long as one of its records is held. So memory stays flat however far behind a consumer is.
//
// I11.9   unsettledBytes <= maxUnsettledBytes, but one frame may always be taken
// I11.10  records are handed out for the first time in record order
//
// Next: ordered-finalizer-accounts.ts, who counts what became of every event.

import type { FormatError } from '../base/errors.ts';
import { createRecordTable, decodeRecords, frameHeaderBytes, type RecordTable } from './frame.ts';
import type { Amount } from './ledger-slot.ts';
import type { OrderedFinalizer, Settlement } from './ordered-finalizer.ts';
import { DeliveredRecord } from './ordered-finalizer-delivery.ts';
import type { LogReader, ReadStart } from './reader.ts';
import type { FrameCopy } from './reader-file.ts';

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

/** Records for a delivery; if there are any, their tickets are consecutive. */
export interface Fill {
  readonly records: readonly DeliveredRecord[];
  readonly firstTicket: number;
  /**
   * Why there are no more. `limit`: the delivery is full. `load`: the disk is needed. `caught_up`: everything
   * readable is handed out. `window`: settlements must come back first. `gap`: ids are missing here. Or a newer
   * program is needed.
   */
  readonly end: 'limit' | 'load' | 'caught_up' | 'window' | 'gap' | FormatError;
}

/** Where a cursor's records come from. A buffer that has no frames brings a feed of its own. */
export interface CursorFeed {
  /** The id of the next record that was never handed out. */
  readonly unreadId: number;
  /** Bytes that are kept for what is handed out and not released. */
  readonly unsettledBytes: number;
  /** What was handed out for the first time, since open; undefined where nobody counts it. */
  readonly delivered?: Amount;
  /** A place in the files from which the oldest unreleased record can be found, if there are files. */
  readonly place: { readonly segment: number; readonly offset: number };
  /** Takes records that were never handed out: as many as the limits allow and memory holds, at least one if any. */
  fill(maxRecords: number, maxBytes: number): Fill;
  /** What `fill` needs when it has answered `load`. */
  load(): Promise<void>;
  /** Counts events as handed out and settled that nobody will see. */
  skip(events: number, bytes: number, settlement: Settlement): void;
  /** Goes on behind `place`; what lies between is to be given to {@link skip}. */
  jump(place: ReadStart): Promise<void>;
  /** The finalizer has released entries: what only they needed is let go. */
  released(): void;
  /** A segment that nobody needs any more was removed: its file is to be closed, if there are files. */
  letGo?(segment: number): Promise<void>;
  close(): Promise<void>;
}

/** What a cursor gives to its feed. */
export interface FeedContext {
  /** Every record handed out is an entry there, and every event skipped. */
  readonly finalizer: OrderedFinalizer;
  /** Ids are missing here; they are to be given to {@link CursorFeed.skip}. */
  readonly passGap: (from: number, to: number) => void;
  /** There may be more to take: a waiting read looks again. */
  readonly wake: () => void;
}

export class FrameFeed implements CursorFeed {
  readonly #reader: LogReader;
  readonly #finalizer: OrderedFinalizer;
  readonly #uuid: string;
  readonly #maxUnsettledBytes: number;
  readonly #passGap: (from: number, to: number) => void;
  readonly #held: HeldFrame[] = [];
  readonly #table: RecordTable = createRecordTable();
  #current: CurrentFrame | undefined;
  /** A frame that has been read and waits for room in the window. */
  #waiting: FrameCopy | undefined;
  readonly #delivered = { events: 0, bytes: 0 };
  #unsettledBytes = 0;
  #unreadId: number;
  /** Where reading goes on behind everything that is released. */
  #place: ReadStart;

  constructor(options: {
    readonly reader: LogReader;
    readonly finalizer: OrderedFinalizer;
    readonly uuid: string;
    readonly maxUnsettledBytes: number;
    readonly start: ReadStart;
    readonly passGap: FeedContext['passGap'];
  }) {
    this.#reader = options.reader;
    this.#finalizer = options.finalizer;
    this.#uuid = options.uuid;
    this.#maxUnsettledBytes = options.maxUnsettledBytes;
    this.#passGap = options.passGap;
    this.#place = options.start;
    this.#unreadId = options.start.nextId;
  }

  /** The id of the next record that was never handed out. */
  get unreadId(): number {
    return this.#unreadId;
  }

  /** Bytes of frames that are handed out and not released. */
  get unsettledBytes(): number {
    return this.#unsettledBytes;
  }

  get delivered(): Amount {
    return this.#delivered;
  }

  get place(): { readonly segment: number; readonly offset: number } {
    return this.#held[0]?.copy ?? this.#place;
  }

  fill(maxRecords: number, maxBytes: number): Fill {
    const records: DeliveredRecord[] = [];
    let firstTicket = 0;
    let room = Math.min(maxBytes, Number.MAX_SAFE_INTEGER);
    for (;;) {
      if (this.#current !== undefined) {
        if (records.length === 0) firstTicket = this.#finalizer.nextTicket;
        const fromId = this.#unreadId;
        const roomBefore = room;
        room = this.#takeRecords(this.#current, records, maxRecords, room);
        this.#delivered.events += this.#unreadId - fromId;
        this.#delivered.bytes += roomBefore - room;
        if (this.#current !== undefined || records.length >= maxRecords) return { records, firstTicket, end: 'limit' };
      }
      const end = this.#nextFrame();
      if (end !== 'frame') return { records, firstTicket, end };
    }
  }

  load(): Promise<void> {
    return this.#reader.load();
  }

  skip(events: number, bytes: number, settlement: Settlement): void {
    this.#finalizer.settle(this.#finalizer.add(events, bytes), settlement);
    this.#unreadId += events;
  }

  async jump(place: ReadStart): Promise<void> {
    this.#current = undefined;
    this.#waiting = undefined;
    this.#place = place;
    await this.#reader.seek(place);
  }

  /** Frames of which nothing is left are let go. */
  released(): void {
    const head = this.#finalizer.headTicket;
    for (;;) {
      const held = this.#held[0];
      if (held === undefined || held.endTicket > head || held.copy === this.#current?.copy) return;
      this.#held.shift();
      this.#unsettledBytes -= held.copy.frame.byteLength;
      if (held.copy.frame.nextId > this.#place.nextId) this.#place = behind(held.copy);
    }
  }

  letGo(segment: number): Promise<void> {
    return this.#reader.letGo(segment);
  }

  close(): Promise<void> {
    return this.#reader.close();
  }

  /** Makes the next frame the current one, or says why that is not possible now. */
  #nextFrame(): 'frame' | Exclude<Fill['end'], 'limit'> {
    if (this.#waiting === undefined) {
      const step = this.#reader.next();
      switch (step.kind) {
        case 'frame':
          this.#waiting = step.copy;
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
    const copy = this.#waiting;
    const { byteLength } = copy.frame;
    const fits = this.#unsettledBytes === 0 || this.#unsettledBytes + byteLength <= this.#maxUnsettledBytes;
    if (!fits) return 'window';
    this.#waiting = undefined;
    this.#begin(copy);
    return 'frame';
  }

  #begin(copy: FrameCopy): void {
    const { frame } = copy;
    decodeRecords(copy.view, frameHeaderBytes, frame.recordCount, this.#table);
    this.#current = { copy, origin: `${this.#uuid}/${copy.epoch}-`, nextRecord: 0, nextId: frame.firstId };
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
      const id = current.nextId;
      const isNew = id >= this.#unreadId; // A cursor may begin inside a frame.
      if (isNew && bytes > left && records.length > 0) return left;
      const events = table.events[at] as number;
      current.nextRecord = at + 1;
      current.nextId = id + events;
      if (!isNew) continue;
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
}

function behind(copy: FrameCopy): ReadStart {
  return { segment: copy.segment, offset: copy.offset + copy.frame.byteLength, nextId: copy.frame.nextId };
}
