// The ring against a list: whatever is settled in whatever order, the same comes out in the same order.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { OrderedFinalizer, type ReleasedRun, type Settlement } from './ordered-finalizer.ts';
import type { DeliveredRecord } from './ordered-finalizer-delivery.ts';
import { RetryHeap } from './ordered-finalizer-retries.ts';

const settlements: readonly Settlement[] = ['acknowledged', 'rejected', 'dropped_oldest', 'unconfirmed', 'damaged'];

interface Entry {
  readonly from: number;
  readonly events: number;
  readonly bytes: number;
  settlement: Settlement | undefined;
}

/** Every entry that was ever added; the first `head` of them are released. */
class NaiveFinalizer {
  readonly entries: Entry[] = [];
  readonly runs: ReleasedRun[] = [];
  head = 0;
  end: number;

  constructor(position: number) {
    this.end = position;
  }

  add(events: number, bytes: number): void {
    this.entries.push({ from: this.end, events, bytes, settlement: undefined });
    this.end += events;
  }

  settle(ticket: number, settlement: Settlement): boolean {
    const entry = this.entries[ticket] as Entry;
    if (entry.settlement !== undefined) return false;
    entry.settlement = settlement;
    return true;
  }

  release(cuts: readonly number[]): void {
    let fresh = true;
    for (let at = this.head; at < this.entries.length; at++) {
      const { from, events, bytes, settlement } = this.entries[at] as Entry;
      if (settlement === undefined) return;
      const last = this.runs.at(-1);
      // A cut inside an entry takes effect where that entry ends.
      const cut = last !== undefined && cuts.some((position) => position > last.from && position <= from);
      if (fresh || last === undefined || last.settlement !== settlement || cut) {
        this.runs.push({ settlement, from, to: from + events, entries: 1, bytes });
      } else {
        this.runs[this.runs.length - 1] = {
          ...last,
          to: from + events,
          entries: last.entries + 1,
          bytes: last.bytes + bytes,
        };
      }
      fresh = false;
      this.head = at + 1;
    }
  }
}

type Step =
  | { readonly do: 'add'; readonly count: number; readonly events: number; readonly bytes: number }
  | { readonly do: 'settle'; readonly at: number; readonly settlement: Settlement }
  | { readonly do: 'run'; readonly at: number; readonly count: number; readonly settlement: Settlement }
  | { readonly do: 'below'; readonly at: number; readonly settlement: Settlement }
  | { readonly do: 'release'; readonly cuts: readonly number[] };

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const settlement = fc.constantFrom(...settlements);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('add' as const),
    count: fc.integer({ min: 1, max: 90 }),
    events: fc.integer({ min: 1, max: 4 }),
    bytes: fc.nat(100),
  }),
  fc.record({ do: fc.constant('settle' as const), at: fraction, settlement }),
  fc.record({ do: fc.constant('run' as const), at: fraction, count: fc.nat(120), settlement }),
  fc.record({ do: fc.constant('below' as const), at: fraction, settlement }),
  fc.record({ do: fc.constant('release' as const), cuts: fc.array(fc.nat(600), { maxLength: 3 }) }),
);

function apply(ring: OrderedFinalizer, naive: NaiveFinalizer, action: Step): void {
  const { length } = naive.entries;
  switch (action.do) {
    case 'add':
      for (let count = 0; count < action.count; count++) {
        expect(ring.add(action.events, action.bytes)).toBe(naive.entries.length);
        naive.add(action.events, action.bytes);
      }
      return;
    case 'settle': {
      if (length === 0) return;
      const ticket = Math.floor(action.at * length);
      expect(ring.settle(ticket, action.settlement)).toBe(naive.settle(ticket, action.settlement));
      return;
    }
    case 'run': {
      const first = Math.floor(action.at * length);
      const count = Math.min(action.count, length - first);
      let settled = 0;
      for (let at = first; at < first + count; at++) settled += naive.settle(at, action.settlement) ? 1 : 0;
      expect(ring.settleRun(first, count, action.settlement)).toBe(settled);
      return;
    }
    case 'below': {
      const position = Math.floor(action.at * naive.end);
      const sum = { events: 0, bytes: 0 };
      for (const [ticket, entry] of naive.entries.entries()) {
        if (entry.from >= position || !naive.settle(ticket, action.settlement)) continue;
        sum.events += entry.events;
        sum.bytes += entry.bytes;
      }
      expect(ring.settleBelow(position, action.settlement)).toEqual(sum);
      return;
    }
    case 'release': {
      const cuts = [...action.cuts].sort((one, other) => one - other);
      naive.release(cuts);
      ring.release(cuts);
    }
  }
}

it('releases what a list would release, in order, cut at the same places', () => {
  const scenario = fc.tuple(fc.nat(50), fc.array(step, { maxLength: 60 }));
  const property = fc.property(scenario, ([position, steps]) => {
    const runs: ReleasedRun[] = [];
    const ring = new OrderedFinalizer({ position, released: (run) => runs.push(run) });
    const naive = new NaiveFinalizer(position);
    for (const action of steps) {
      apply(ring, naive, action);
      const next = naive.entries[naive.head]?.from ?? naive.end;
      expect([ring.position, ring.headTicket, ring.length]).toEqual([
        next,
        naive.head,
        naive.entries.length - naive.head,
      ]);
    }
    expect(runs).toEqual(naive.runs);
  });
  fc.assert(property, { numRuns: 300 });
});

it('hands retries out when they are due, in record order whenever they became due', () => {
  const retry = fc.record({ dueAt: fc.nat(20), ticket: fc.nat(1_000), length: fc.nat(9) });
  const scenario = fc.tuple(
    fc.uniqueArray(retry, { maxLength: 60, selector: ({ ticket }) => ticket }),
    fc.array(fc.tuple(fc.nat(25), fc.integer({ min: 1, max: 9 }), fc.nat(30)), { maxLength: 20 }),
    fc.nat(3),
  );
  const property = fc.property(scenario, ([retries, takes, modulo]) => {
    const heap = new RetryHeap();
    let waiting = retries.slice(0, 0);
    for (const one of retries) {
      heap.add({ ...one, record: { payload: new Uint8Array(one.length) } as DeliveredRecord });
      waiting.push(one);
    }
    if (modulo > 0) {
      heap.retain(({ ticket }) => ticket % modulo === 0);
      waiting = waiting.filter(({ ticket }) => ticket % modulo === 0);
    }
    for (const [now, count, bytes] of takes.sort(([one], [other]) => one - other)) {
      waiting.sort((one, other) => one.ticket - other.ticket);
      const due = waiting.filter(({ dueAt }) => dueAt <= now).slice(0, count);
      const sum = (): number => due.reduce((total, { length }) => total + length, 0);
      while (due.length > 1 && sum() > bytes) due.pop();
      waiting = waiting.filter((one) => !due.includes(one));
      expect(heap.takeDue(now, count, bytes).map(({ ticket }) => ticket)).toEqual(due.map(({ ticket }) => ticket));
      expect(heap.length).toBe(waiting.length);
      const isSomeDue = waiting.some(({ dueAt }) => dueAt <= now);
      const next = waiting.length === 0 ? undefined : Math.min(...waiting.map(({ dueAt }) => dueAt));
      if (isSomeDue) expect(heap.nextDueAt).toBeLessThanOrEqual(now);
      else expect(heap.nextDueAt).toBe(next);
    }
  });
  fc.assert(property, { numRuns: 300 });
});
