// What a cursor of a buffer in memory takes its records from.
//
// What is handed out is a copy: its holder may do with it what it likes, and the other cursors still get what was
// appended. The copies of one delivery share one piece of memory.

import type { OrderedFinalizer, Settlement } from '../../engine/ordered-finalizer.ts';
import { DeliveredRecord } from '../../engine/ordered-finalizer-delivery.ts';
import type { CursorFeed, FeedContext, Fill } from '../../engine/ordered-finalizer-feed.ts';
import type { MemoryRecords, StoredRecord } from './memory-records.ts';

export class MemoryFeed implements CursorFeed {
  readonly place: CursorFeed['place'] = { segment: 0, offset: 0 };
  readonly #records: MemoryRecords;
  readonly #finalizer: OrderedFinalizer;
  readonly #origin: string;
  /** The number of the next record that was never handed out. */
  #next: number;
  #unreadId: number;

  constructor(
    { finalizer }: FeedContext,
    start: {
      readonly records: MemoryRecords;
      readonly number: number;
      readonly nextId: number;
      /** What stands before the id in a record's key. */
      readonly origin: string;
    },
  ) {
    this.#records = start.records;
    this.#finalizer = finalizer;
    this.#origin = start.origin;
    this.#next = start.number;
    this.#unreadId = start.nextId;
  }

  get unreadId(): number {
    return this.#unreadId;
  }

  /** Nothing: what is unsettled is still in the buffer, and counts there. */
  get unsettledBytes(): number {
    return 0;
  }

  /** Payload bytes of the records below `id` that were never handed out. */
  unreadBytesBelow(id: number): number {
    let bytes = 0;
    for (let number = this.#next; ; number++) {
      const record = this.#records.at(number);
      if (record === undefined || record.id >= id) return bytes;
      bytes += record.payload.length;
    }
  }

  fill(maxRecords: number, maxBytes: number): Fill {
    const firstTicket = this.#finalizer.nextTicket;
    const stored: StoredRecord[] = [];
    let bytes = 0;
    let end: 'limit' | 'caught_up' = 'limit';
    while (stored.length < maxRecords) {
      const record = this.#records.at(this.#next);
      if (record === undefined) end = 'caught_up';
      if (record === undefined || (stored.length > 0 && bytes + record.payload.length > maxBytes)) break;
      stored.push(record);
      bytes += record.payload.length;
      this.#next += 1;
      this.#unreadId = record.id + record.events;
    }
    return { records: this.#copy(stored, bytes), firstTicket, end };
  }

  skip(events: number, bytes: number, settlement: Settlement): void {
    this.#finalizer.settle(this.#finalizer.add(events, bytes), settlement);
    this.#unreadId += events;
    for (let next = this.#records.at(this.#next); next !== undefined && next.id < this.#unreadId; ) {
      this.#next += 1;
      next = this.#records.at(this.#next);
    }
  }

  released(): void {
    // The buffer lets go of records when the slowest cursor has passed them.
  }

  async load(): Promise<void> {
    // Everything is in memory.
  }

  async jump(): Promise<void> {
    // There is no other place to go on from.
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  #copy(stored: readonly StoredRecord[], byteLength: number): DeliveredRecord[] {
    const memory = new Uint8Array(byteLength);
    let offset = 0;
    return stored.map(({ id, events, metadata, payload }) => {
      memory.set(payload, offset);
      const copy = new Uint8Array(memory.buffer, offset, payload.length);
      offset += payload.length;
      this.#finalizer.add(events, payload.length);
      return new DeliveredRecord(id, events, metadata, copy, this.#origin);
    });
  }
}
