// The records of a buffer in memory: a queue that is read at several places and let go at its head.
//
// Each record has a number, which grows by one; its id grows by events. Memory is counted in bytes with what the
// objects around a payload cost, so that many small records are bounded too.
//
// M1  usedBytes and events are those of the records that are held

import { assert } from '../../base/assert.ts';

export interface StoredRecord {
  readonly id: number;
  readonly events: number;
  readonly metadata: number;
  readonly payload: Uint8Array;
}

/** What a record costs besides its payload: the record, the view of its bytes and their keeper. Rounded up. */
export const recordOverheadBytes = 256;

export class MemoryRecords {
  /** `#records[0]` to `#records[#offset - 1]` are let go already; they are removed from the array many at a time. */
  #records: (StoredRecord | undefined)[] = [];
  #offset = 0;
  #firstNumber = 0;
  #nextId = 1;
  #events = 0;
  #payloadBytes = 0;
  #appendedBytes = 0;

  /** Number of the oldest record that is held, or of the next one. */
  get firstNumber(): number {
    return this.#firstNumber;
  }

  /** The id that the next record gets. */
  get nextId(): number {
    return this.#nextId;
  }

  /** The id of the oldest record that is held, or of the next one. */
  get firstId(): number {
    return this.#records[this.#offset]?.id ?? this.#nextId;
  }

  get recordCount(): number {
    return this.#records.length - this.#offset;
  }

  get events(): number {
    return this.#events;
  }

  get usedBytes(): number {
    return this.#payloadBytes + this.recordCount * recordOverheadBytes;
  }

  /** Payload bytes of all records there ever were. */
  get appendedBytes(): number {
    return this.#appendedBytes;
  }

  /** Payload bytes of all records that were let go. */
  get releasedBytes(): number {
    return this.#appendedBytes - this.#payloadBytes;
  }

  /** HOT. Copies the payload (`slice` would not, of a Node Buffer). Returns the record's id. */
  append(payload: Uint8Array, events: number, metadata: number): number {
    const id = this.#nextId;
    this.#records.push({ id, events, metadata, payload: new Uint8Array(payload) });
    this.#nextId += events;
    this.#events += events;
    this.#payloadBytes += payload.length;
    this.#appendedBytes += payload.length;
    return id;
  }

  /** The record with this number; undefined if it is not there yet. */
  at(number: number): StoredRecord | undefined {
    assert(number >= this.#firstNumber, 'a record is read before it is let go', { number, first: this.#firstNumber });
    return this.#records[this.#offset + number - this.#firstNumber];
  }

  /** Lets go of every record that ends at or below `id`. Returns whether there was one. */
  releaseBelow(id: number): boolean {
    const before = this.#firstNumber;
    for (;;) {
      const record = this.#records[this.#offset];
      if (record === undefined || record.id + record.events > id) break;
      this.#records[this.#offset] = undefined;
      this.#offset += 1;
      this.#firstNumber += 1;
      this.#events -= record.events;
      this.#payloadBytes -= record.payload.length;
    }
    if (this.#offset > 1_024 && this.#offset * 2 > this.#records.length) this.#compact();
    return this.#firstNumber > before;
  }

  #compact(): void {
    this.#records = this.#records.slice(this.#offset);
    this.#offset = 0;
  }
}
