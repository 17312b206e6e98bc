// What became of a batch's records, put together from the answers to its parts, and told to the cursor.
//
// A record is settled when every event of it has an answer, and at once then: what a crash finds settled does not come
// again. If all of its events were rejected the cursor is told so, and the buffer counts them; if some were delivered
// it is acknowledged, and the others are in the driver's count of rejected events.

import { assert } from '../../base/assert.ts';
import type { RecordResult } from '../../engine/ordered-finalizer-delivery.ts';
import type { DeliveryContract } from '../../stage/buffer-contract.ts';
import type { FormedBatch } from './batch-former.ts';

interface RunOfRecords {
  /** The place in the batch of the first of them. */
  readonly first: number;
  /** Of each record, the events that were answered. */
  readonly records: readonly { readonly events: number }[];
}

export class BatchAnswers {
  readonly #batch: FormedBatch;
  /** Events without an answer and rejected ones, by record. Made for the first part that is not the whole batch. */
  #open: number[] | undefined;
  #rejected: number[] | undefined;

  constructor(batch: FormedBatch) {
    this.#batch = batch;
  }

  delivered(run: RunOfRecords): void {
    this.#answered(run, undefined);
  }

  rejected(run: RunOfRecords, reason: string): void {
    this.#answered(run, reason);
  }

  #answered({ first, records }: RunOfRecords, reason: string | undefined): void {
    const result: RecordResult = reason === undefined ? 'ack' : { reject: reason };
    if (this.#isWhole(records)) {
      for (const { delivery, from, to } of this.#batch.slices) settleRun(delivery, from, alike(result, to - from));
      return;
    }
    const all = this.#batch.records;
    this.#open ??= all.map(({ events }) => events);
    this.#rejected ??= alike(0, all.length);
    const results: (RecordResult | undefined)[] = [];
    for (const [index, { events }] of records.entries()) {
      const at = first + index;
      const left = (this.#open[at] as number) - events;
      assert(left >= 0, 'an event is answered once', { at, left });
      this.#open[at] = left;
      if (reason !== undefined) this.#rejected[at] = (this.#rejected[at] as number) + events;
      const isRejected = reason !== undefined && this.#rejected[at] === all[at]?.events;
      results.push(left > 0 ? undefined : isRejected ? result : 'ack');
    }
    this.#settle(first, results);
  }

  /** The usual case: one answer to everything. */
  #isWhole(records: RunOfRecords['records']): boolean {
    const all = this.#batch.records;
    if (this.#open !== undefined || records.length !== all.length) return false;
    return records.every(({ events }, at) => events === all[at]?.events);
  }

  /** `results[i]` is for the batch's record `first + i`. */
  #settle(first: number, results: readonly (RecordResult | undefined)[]): void {
    const end = first + results.length;
    let begin = 0; // The place in the batch of the slice's first record.
    for (const { delivery, from, to } of this.#batch.slices) {
      const next = begin + to - from;
      if (next > first && begin < end) {
        const own = results.slice(Math.max(begin, first) - first, Math.min(next, end) - first);
        settleRun(delivery, from + Math.max(begin, first) - begin, own);
      }
      begin = next;
    }
  }
}

function settleRun(delivery: DeliveryContract, from: number, results: readonly (RecordResult | undefined)[]): void {
  const count = delivery.records.length;
  if (results.length === count && delivery.unsettled === count && results.every((result) => result === 'ack')) {
    delivery.ack(); // The buffer has a fast path for it.
    return;
  }
  if (results.every((result) => result === undefined)) return;
  const whole = alike<RecordResult | undefined>(undefined, count);
  for (const [index, result] of results.entries()) whole[from + index] = result;
  delivery.settle(whole);
}

function alike<Value>(value: Value, count: number): Value[] {
  return new Array<Value>(count).fill(value);
}
