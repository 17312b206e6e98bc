// Chapter 11, continued. The accounts: every event is counted once for the buffer and once for each cursor, by what
// became of it.
//
// With several cursors an event leaves the buffer when the last of them passes it, and that cursor decides under which
// heading the buffer counts it. A cursor that was added later and reads old records again changes nothing in the
// buffer's totals.
//
// I11.6  acknowledged + rejected + dropped_oldest + unconfirmed + damaged events = counted id - 1
// I11.7  the counted id follows the slowest cursor and never moves back
// I11.8  counters saturate at 2^53 - 1
//
// Next: ordered-finalizer-retries.ts, records that come again.

import type { Amount, LedgerTotals, RemovalReason } from './ledger-slot.ts';
import type { ReleasedRun, Settlement } from './ordered-finalizer.ts';

/** Events and payload bytes that may grow. */
export interface Counter {
  events: number;
  bytes: number;
}

/** What a cursor, or the buffer as a whole, has seen become of events. */
export type SettlementCounters = Record<Settlement, Counter>;

export class Accounts {
  /** Everything below this id is counted. */
  #countedId: number;
  readonly #settled: SettlementCounters;
  /** Refused at the door: these never had an id. */
  readonly #refused: { readonly dropped_newest: Counter; readonly disk_full: Counter };

  /**
   * Starts from what the ledger says: its totals tell up to where it counted, which is further than the slowest cursor
   * if that one was added later. Totals that do not fit between the slowest cursor and the end of the log (a ledger was
   * lost, or the disk lied) are put right, in `acknowledged` first: the ids are what is certain.
   */
  constructor(totals: LedgerTotals | undefined, slowestId: number, endId: number) {
    this.#settled = createCounters();
    this.#refused = { dropped_newest: { events: 0, bytes: 0 }, disk_full: { events: 0, bytes: 0 } };
    if (totals !== undefined) this.#load(totals);
    this.#countedId = Math.max(slowestId, Math.min(this.settledEvents + 1, endId));
    let excess = this.settledEvents - (this.#countedId - 1);
    this.#settled.acknowledged.events += Math.max(0, -excess);
    for (const counter of Object.values(this.#settled)) {
      const cut = Math.min(counter.events, Math.max(0, excess));
      counter.events -= cut;
      excess -= cut;
    }
  }

  get countedId(): number {
    return this.#countedId;
  }

  /** I11.6, the left side. */
  get settledEvents(): number {
    let sum = 0;
    for (const counter of Object.values(this.#settled)) sum += counter.events;
    return sum;
  }

  /** Payload bytes that have left the buffer for good. */
  get settledBytes(): number {
    let sum = 0;
    for (const counter of Object.values(this.#settled)) sum += counter.bytes;
    return sum;
  }

  /**
   * Counts a run that a cursor released, as far as that cursor was the last to pass it. Runs of records are cut at both
   * ids; a gap is one entry, and another cursor may stand in it. (Its bytes are not known; a drop moves the fastest
   * first, so that the last to pass has it whole.)
   */
  released(run: ReleasedRun, othersId: number): void {
    const from = Math.max(run.from, this.#countedId);
    const to = Math.min(run.to, othersId);
    if (to <= from) return;
    add(this.#settled[run.settlement], to - from, to === run.to ? run.bytes : 0);
    this.#countedId = to;
  }

  /**
   * A cursor was removed: what only it had not passed, every other cursor has. `slowestBytes`: payload passed by all.
   */
  advanceTo(slowestId: number, slowestBytes: number): void {
    if (slowestId <= this.#countedId) return;
    add(this.#settled.acknowledged, slowestId - this.#countedId, Math.max(0, slowestBytes - this.settledBytes));
    this.#countedId = slowestId;
  }

  /** Counts what was refused at the door. */
  refused(reason: 'dropped_newest' | 'disk_full', events: number, bytes: number): void {
    add(this.#refused[reason], events, bytes);
  }

  /** The totals as the ledger keeps them. */
  totals(appended: Amount): LedgerTotals {
    const { acknowledged, rejected, dropped_oldest, unconfirmed, damaged } = this.#settled;
    const removed: Record<RemovalReason, Amount> = {
      rejected: { ...rejected },
      dropped_oldest: { ...dropped_oldest },
      dropped_newest: { ...this.#refused.dropped_newest },
      disk_full: { ...this.#refused.disk_full },
      unconfirmed: { ...unconfirmed },
    };
    return { appended, acknowledged: { ...acknowledged }, removed, damaged: { ...damaged } };
  }

  #load(totals: LedgerTotals): void {
    const { removed } = totals;
    add(this.#settled.acknowledged, totals.acknowledged.events, totals.acknowledged.bytes);
    add(this.#settled.damaged, totals.damaged.events, totals.damaged.bytes);
    add(this.#settled.rejected, removed.rejected.events, removed.rejected.bytes);
    add(this.#settled.dropped_oldest, removed.dropped_oldest.events, removed.dropped_oldest.bytes);
    add(this.#settled.unconfirmed, removed.unconfirmed.events, removed.unconfirmed.bytes);
    add(this.#refused.dropped_newest, removed.dropped_newest.events, removed.dropped_newest.bytes);
    add(this.#refused.disk_full, removed.disk_full.events, removed.disk_full.bytes);
  }
}

export function createCounters(): SettlementCounters {
  const counter = (): Counter => ({ events: 0, bytes: 0 });
  return {
    acknowledged: counter(),
    rejected: counter(),
    dropped_oldest: counter(),
    unconfirmed: counter(),
    damaged: counter(),
  };
}

/** I11.8. */
export function add(counter: Counter, events: number, bytes: number): void {
  counter.events = Math.min(counter.events + events, Number.MAX_SAFE_INTEGER);
  counter.bytes = Math.min(counter.bytes + bytes, Number.MAX_SAFE_INTEGER);
}
