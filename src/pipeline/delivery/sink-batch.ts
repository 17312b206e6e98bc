// What a sink is given: records of one signal, and their bytes as one request when it asks for that.
//
// Merging copies every byte, so it waits until somebody wants it: a sink that writes record by record never pays. A
// batch that comes again is the same object, and its merged bytes are made once.

import { assert } from '../../base/assert.ts';
import { concatenate } from '../../otlp/concatenate.ts';
import type { Signal } from '../../otlp/signal.ts';
import type { RecordContract } from '../../stage/buffer-contract.ts';
import type { SinkBatch, SinkRecord } from '../contract/sink.ts';

/** A record as a buffer handed it out. */
export class BufferedRecord implements SinkRecord {
  readonly signal: Signal;
  readonly #record: RecordContract;

  constructor(signal: Signal, record: RecordContract) {
    this.signal = signal;
    this.#record = record;
  }

  get bytes(): Uint8Array {
    return this.#record.payload;
  }

  get events(): number {
    return this.#record.events;
  }

  get id(): number {
    return this.#record.id;
  }

  /** Cut from the key, which a buffer puts together when asked: most sinks never ask. */
  get origin(): string {
    return originOf(this.#record);
  }
}

/** `<uuid>/<epoch>` out of `<uuid>/<epoch>-<id>`. */
export function originOf({ key }: RecordContract): string {
  const dash = key.lastIndexOf('-');
  return dash < 0 ? key : key.slice(0, dash);
}

export class JoinedBatch implements SinkBatch {
  readonly signal: Signal;
  readonly records: readonly SinkRecord[];
  readonly events: number;
  readonly byteLength: number;
  #merged: Uint8Array | undefined;

  constructor(records: readonly SinkRecord[]) {
    const [first] = records;
    assert(first !== undefined, 'a batch has a record');
    let events = 0;
    let byteLength = 0;
    for (const record of records) {
      events += record.events;
      byteLength += record.bytes.length;
    }
    this.signal = first.signal;
    this.records = records;
    this.events = events;
    this.byteLength = byteLength;
  }

  merged(): Uint8Array {
    this.#merged ??= this.#merge();
    return this.#merged;
  }

  #merge(): Uint8Array {
    const [first] = this.records;
    if (this.records.length === 1 && first !== undefined) return first.bytes;
    return concatenate(this.records.map(({ bytes }) => bytes));
  }
}
