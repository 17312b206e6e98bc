// Chapter 11. The ordered finalizer: acknowledgements come back in any order and are released in the order of the log.
//
// Every record handed out is an entry in a ring. Entries are settled as they come back; whenever the oldest ones are
// settled they are released, and the position moves past them. It is useful without a buffer too: whoever hands out
// numbered things and must report progress in order can use it as it is.
//
//   head                                    tail
//   | settled | settled | open | settled | open |      release moves head over the first two
//
// I11.1  every entry is settled at most once and released exactly once, in the order in which it was added
// I11.2  nothing behind an open entry is released
// I11.3  position = start + events of all released entries
//
// A ring of plain numbers: no object, no Map entry and no promise per record.
//
// Next: ordered-finalizer-delivery.ts, what a consumer holds in its hands.

import { assert } from '../base/assert.ts';

/** How an entry ended. */
export type Settlement = 'acknowledged' | 'rejected' | 'dropped_oldest' | 'unconfirmed' | 'damaged';

/** Entries next to each other that ended in the same way, released together. */
export interface ReleasedRun {
  readonly settlement: Settlement;
  /** Position before the run's first event. */
  readonly from: number;
  /** Position after its last event. */
  readonly to: number;
  readonly entries: number;
  readonly bytes: number;
}

const codes: readonly Settlement[] = ['acknowledged', 'rejected', 'dropped_oldest', 'unconfirmed', 'damaged'];
const open = 255;
const ringMin = 64;

export class OrderedFinalizer {
  #position: number;
  /** Tickets grow by one per entry; an entry's place in the ring is its ticket modulo the ring's length. */
  #head = 0;
  #tail = 0;
  #mask = ringMin - 1;
  #settlements = new Uint8Array(ringMin);
  #events = new Float64Array(ringMin);
  #bytes = new Float64Array(ringMin);
  readonly #released: (run: ReleasedRun) => void;

  /** `position` is where the first entry begins; `released` is called for every run, in order. */
  constructor(options: { readonly position?: number; readonly released: (run: ReleasedRun) => void }) {
    this.#position = options.position ?? 0;
    this.#released = options.released;
  }

  /** Everything below this has been released. */
  get position(): number {
    return this.#position;
  }

  /** The ticket of the oldest entry that is not released. */
  get headTicket(): number {
    return this.#head;
  }

  /** The ticket that the next entry gets. */
  get nextTicket(): number {
    return this.#tail;
  }

  /** Entries that are not released. */
  get length(): number {
    return this.#tail - this.#head;
  }

  /** HOT. Adds an entry that carries `events` events and `bytes` bytes. Returns its ticket; tickets are consecutive. */
  add(events: number, bytes: number): number {
    if (this.#tail - this.#head > this.#mask) this.#grow();
    const at = this.#tail & this.#mask;
    this.#settlements[at] = open;
    this.#events[at] = events;
    this.#bytes[at] = bytes;
    return this.#tail++;
  }

  /** Whether the entry may still be settled. */
  isOpen(ticket: number): boolean {
    assert(ticket < this.#tail, 'a ticket was given out', { ticket, tail: this.#tail });
    return ticket >= this.#head && this.#settlements[ticket & this.#mask] === open;
  }

  /**
   * Settles an entry; returns false, and does nothing, if it was settled already. Nothing is released before `release`
   * is called, so that many settlements cost one pass.
   */
  settle(ticket: number, settlement: Settlement): boolean {
    if (!this.isOpen(ticket)) return false;
    this.#settlements[ticket & this.#mask] = codes.indexOf(settlement);
    return true;
  }

  /**
   * Settles `count` consecutive entries; those that were settled already stay as they are. Returns how many were not.
   */
  settleRun(firstTicket: number, count: number, settlement: Settlement): number {
    assert(firstTicket + count <= this.#tail, 'tickets were given out', { firstTicket, count, tail: this.#tail });
    const code = codes.indexOf(settlement);
    let settled = 0;
    for (let ticket = Math.max(firstTicket, this.#head); ticket < firstTicket + count; ticket++) {
      const at = ticket & this.#mask;
      if (this.#settlements[at] !== open) continue;
      this.#settlements[at] = code;
      settled += 1;
    }
    return settled;
  }

  /** Settles every open entry that begins below `position`. Returns the events and bytes of those it settled. */
  settleBelow(position: number, settlement: Settlement): { readonly events: number; readonly bytes: number } {
    const code = codes.indexOf(settlement);
    let begins = this.#position;
    let events = 0;
    let bytes = 0;
    for (let ticket = this.#head; ticket < this.#tail && begins < position; ticket++) {
      const at = ticket & this.#mask;
      if (this.#settlements[at] === open) {
        this.#settlements[at] = code;
        events += this.#events[at] as number;
        bytes += this.#bytes[at] as number;
      }
      begins += this.#events[at] as number;
    }
    return { events, bytes };
  }

  /**
   * Releases what can be released. Runs are cut at each of the positions in `cuts` (ascending), so that a caller can
   * tell apart what lies on either side. Returns how many entries were released.
   */
  release(cuts: readonly number[] = []): number {
    const before = this.#head;
    while (this.#head < this.#tail && this.#settlements[this.#head & this.#mask] !== open) this.#releaseRun(cuts);
    return this.#head - before;
  }

  #releaseRun(cuts: readonly number[]): void {
    const code = this.#settlements[this.#head & this.#mask] as number;
    const from = this.#position;
    const cut = cuts.find((position) => position > from) ?? Number.POSITIVE_INFINITY;
    const first = this.#head;
    let bytes = 0;
    while (this.#head < this.#tail && this.#position < cut && this.#settlements[this.#head & this.#mask] === code) {
      const at = this.#head & this.#mask;
      this.#position += this.#events[at] as number;
      bytes += this.#bytes[at] as number;
      this.#head += 1;
    }
    const settlement = codes[code] as Settlement;
    this.#released({ settlement, from, to: this.#position, entries: this.#head - first, bytes });
  }

  #grow(): void {
    const length = (this.#mask + 1) * 2;
    const settlements = new Uint8Array(length);
    const events = new Float64Array(length);
    const bytes = new Float64Array(length);
    for (let ticket = this.#head; ticket < this.#tail; ticket++) {
      const from = ticket & this.#mask;
      const to = ticket & (length - 1);
      settlements[to] = this.#settlements[from] as number;
      events[to] = this.#events[from] as number;
      bytes[to] = this.#bytes[from] as number;
    }
    this.#settlements = settlements;
    this.#events = events;
    this.#bytes = bytes;
    this.#mask = length - 1;
  }
}
