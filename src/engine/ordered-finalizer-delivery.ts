// Chapter 11, continued. A delivery is a run of records in a consumer's hands. Each record of it is settled exactly
// once: acknowledged, retried or rejected; the delivery as a whole, or record by record, in any order.
//
// I11.4  a record is settled at most once per delivery; a second settlement is a UsageError and changes nothing
// I11.5  a settlement that comes after close, or after drop_oldest took the record away, does nothing
//
// Next: ordered-finalizer-retries.ts, what waits to be handed out again.

import { UsageError } from '../base/errors.ts';

/** A record as consumers see it. */
export class DeliveredRecord {
  /** Id of the record's first event. */
  readonly id: number;
  /** How many events the payload carries. */
  readonly events: number;
  /** The 32 bits that came with the record. */
  readonly metadata: number;
  /** The payload, in memory that is not used again as long as somebody holds it. */
  readonly payload: Uint8Array;
  readonly #origin: string;

  constructor(id: number, events: number, metadata: number, payload: Uint8Array, origin: string) {
    this.id = id;
    this.events = events;
    this.metadata = metadata;
    this.payload = payload;
    this.#origin = origin;
  }

  /** `<uuid>/<epoch>-<id>`: names this record for ever, and is the same when the record is delivered again. */
  get key(): string {
    return this.#origin + this.id;
  }
}

/** What becomes of one record: `'ack'`, again after some time, or never again for this cursor. */
export type RecordResult = 'ack' | { readonly retry: number } | { readonly reject: string };

/** The cursor's side of a delivery. Tickets name its records in the finalizer. */
export interface DeliveryOwner {
  acknowledge(delivery: Delivery, tickets: readonly number[]): void;
  retry(delivery: Delivery, tickets: readonly number[], records: readonly DeliveredRecord[], afterMs: number): void;
  reject(delivery: Delivery, tickets: readonly number[], reason: string): void;
  /** After the last call for one settlement: what can be released is released. */
  settled(delivery: Delivery): void;
  /** The fast path of a delivery of consecutive records, acknowledged as a whole. */
  acknowledgeRun(delivery: Delivery, firstTicket: number, count: number): void;
}

const done = 1;

/**
 * A run of records in a consumer's hands. Settle each of them exactly once, as a whole or one by one, in any order; an
 * unsettled one holds the cursor's position back and its frame in memory. After `close` settlements do nothing.
 */
export class Delivery {
  /** In record order. At least one. */
  readonly records: readonly DeliveredRecord[];
  readonly #owner: DeliveryOwner;
  /** Of the first record if they are consecutive, otherwise of each. */
  readonly #tickets: number | readonly number[];
  #unsettled: number;
  #marks: Uint8Array | undefined;

  constructor(owner: DeliveryOwner, records: readonly DeliveredRecord[], tickets: number | readonly number[]) {
    this.#owner = owner;
    this.records = records;
    this.#tickets = tickets;
    this.#unsettled = records.length;
  }

  /** How many of its records are not settled yet. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** Acknowledges every record that is not settled yet. Throws a UsageError if none is left. */
  ack(): void {
    this.#checkOpen('ack');
    if (this.#marks === undefined && typeof this.#tickets === 'number') {
      this.#unsettled = 0;
      this.#owner.acknowledgeRun(this, this.#tickets, this.records.length);
      return;
    }
    this.settle(this.#rest('ack'));
  }

  /** Every record that is not settled yet comes again after `afterMs`, before records not yet handed out. */
  retry(afterMs = 0): void {
    this.#checkOpen('retry');
    this.settle(this.#rest({ retry: afterMs }));
  }

  /** Every record that is not settled yet is given up for this cursor; write dead letters before. */
  reject(reason: string): void {
    this.#checkOpen('reject');
    this.settle(this.#rest({ reject: reason }));
  }

  /** Settles record by record: `results[i]` is for `records[i]`, undefined leaves it open. All or nothing. */
  settle(results: readonly (RecordResult | undefined)[]): void {
    this.#check(results);
    this.#marks ??= new Uint8Array(this.records.length);
    for (const group of groupResults(results)) this.#apply(group);
    this.#owner.settled(this);
  }

  #apply(group: ResultGroup): void {
    const tickets = group.indexes.map((index) => this.#ticketOf(index));
    for (const index of group.indexes) (this.#marks as Uint8Array)[index] = done;
    this.#unsettled -= group.indexes.length;
    const { result } = group;
    if (result === 'ack') this.#owner.acknowledge(this, tickets);
    else if ('reject' in result) this.#owner.reject(this, tickets, result.reject);
    else {
      const records = group.indexes.map((index) => this.records[index] as DeliveredRecord);
      this.#owner.retry(this, tickets, records, result.retry);
    }
  }

  #ticketOf(index: number): number {
    return typeof this.#tickets === 'number' ? this.#tickets + index : (this.#tickets[index] as number);
  }

  #rest(result: RecordResult): (RecordResult | undefined)[] {
    return this.records.map((_record, index) => (this.#marks?.[index] === done ? undefined : result));
  }

  #checkOpen(verb: string): void {
    if (this.#unsettled > 0) return;
    throw settledError(`Cannot ${verb} this delivery: all of its ${this.records.length} records are settled`);
  }

  #check(results: readonly (RecordResult | undefined)[]): void {
    if (results.length !== this.records.length) {
      throw settledError(
        `Cannot settle ${this.records.length} records with ${results.length} results: expected one each`,
      );
    }
    for (const [index, result] of results.entries()) {
      if (result === undefined) continue;
      if (this.#marks?.[index] === done || this.#unsettled === 0) {
        throw settledError(`Cannot settle record ${this.records[index]?.id} again: it is settled in this delivery`);
      }
      if (!isResult(result)) {
        const found = JSON.stringify(result);
        throw settledError(`Cannot settle a record with ${found}: expected 'ack', { retry: ms } or { reject: reason }`);
      }
    }
  }
}

/** Callers without types get it wrong, and half of a delivery must not be settled before that shows. */
function isResult(result: unknown): result is RecordResult {
  if (result === 'ack') return true;
  if (typeof result !== 'object' || result === null) return false;
  if ('retry' in result) return typeof result.retry === 'number' && result.retry >= 0;
  return 'reject' in result && typeof result.reject === 'string';
}

interface ResultGroup {
  readonly result: RecordResult;
  readonly indexes: number[];
}

/** Results that say the same, so that the usual case (all alike) is one group. */
function groupResults(results: readonly (RecordResult | undefined)[]): readonly ResultGroup[] {
  const groups: ResultGroup[] = [];
  for (const [index, result] of results.entries()) {
    if (result === undefined) continue;
    const group = groups.find((candidate) => sameResult(candidate.result, result));
    if (group === undefined) groups.push({ result, indexes: [index] });
    else group.indexes.push(index);
  }
  return groups;
}

function sameResult(one: RecordResult, other: RecordResult): boolean {
  if (one === other) return true;
  if (one === 'ack' || other === 'ack') return false;
  if ('retry' in one) return 'retry' in other && one.retry === other.retry;
  return 'reject' in other && one.reject === other.reject;
}

function settledError(message: string): UsageError {
  return new UsageError({ code: 'SPILLWAY_USAGE_SETTLED', message });
}
