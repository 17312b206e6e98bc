// The buffer's accounts against a list of every event and of what became of it at each cursor: an event counts once,
// when the last cursor has passed it, by what that cursor did with it.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LedgerTotals } from './ledger-slot.ts';
import { OrderedFinalizer, type Settlement } from './ordered-finalizer.ts';
import { Accounts, add, createCounters } from './ordered-finalizer-accounts.ts';

const settlements: readonly Settlement[] = ['acknowledged', 'rejected', 'dropped_oldest', 'unconfirmed', 'damaged'];
const recordsMax = 40;
/** Events of each record, and one payload byte for each event. */
const eventsOf = (record: number): number => 1 + (record % 3);
const idOf = (record: number): number => {
  let id = 1;
  for (let at = 0; at < record; at++) id += eventsOf(at);
  return id;
};

/** A cursor as far as the accounts see it: it takes records one by one, or several at once as a gap. */
class TestCursor {
  readonly finalizer: OrderedFinalizer;
  nextRecord: number;

  constructor(world: TestBuffer, firstRecord: number) {
    this.nextRecord = firstRecord;
    this.finalizer = new OrderedFinalizer({
      position: idOf(firstRecord),
      released: (run) => {
        world.accounts.released(run, world.othersId(this));
        for (let id = run.from; id < run.to; id++) world.passed(id, run.settlement);
      },
    });
  }
}

class TestBuffer {
  readonly accounts: Accounts;
  readonly cursors: TestCursor[] = [];
  /** What the latest cursor to pass an event did with it. */
  readonly fates = new Map<number, Settlement>();
  countedId = 1;

  constructor(starts: readonly number[]) {
    this.cursors.push(...starts.map((start) => new TestCursor(this, start)));
    this.countedId = this.slowestId;
    this.accounts = new Accounts(undefined, this.countedId, idOf(recordsMax));
    for (let id = 1; id < this.countedId; id++) this.fates.set(id, 'acknowledged');
  }

  get slowestId(): number {
    return Math.min(...this.cursors.map(({ finalizer }) => finalizer.position));
  }

  othersId(cursor: TestCursor): number {
    return Math.min(...this.cursors.map((other) => (other === cursor ? Infinity : other.finalizer.position)));
  }

  passed(id: number, settlement: Settlement): void {
    if (id >= this.countedId) this.fates.set(id, settlement);
  }

  release(cursor: TestCursor): void {
    const cuts = [this.accounts.countedId, this.othersId(cursor)].sort((one, other) => one - other);
    cursor.finalizer.release(cuts);
    this.countedId = Math.max(this.countedId, this.slowestId);
  }

  /** Events below the counted id, by what became of them. */
  recounted(): Record<string, number> {
    const counts: Record<string, number> = Object.fromEntries(settlements.map((settlement) => [settlement, 0]));
    for (let id = 1; id < this.countedId; id++) {
      const fate = this.fates.get(id) as Settlement;
      counts[fate] = (counts[fate] ?? 0) + 1;
    }
    return counts;
  }
}

function eventsIn(totals: LedgerTotals): Record<string, number> {
  const { acknowledged, damaged, removed } = totals;
  return {
    acknowledged: acknowledged.events,
    rejected: removed.rejected.events,
    dropped_oldest: removed.dropped_oldest.events,
    unconfirmed: removed.unconfirmed.events,
    damaged: damaged.events,
  };
}

const step = fc.record({
  cursor: fc.nat(2),
  do: fc.constantFrom('take', 'take', 'gap', 'settle', 'settle', 'release', 'release'),
  count: fc.integer({ min: 1, max: 9 }),
  at: fc.nat(50),
  settlement: fc.constantFrom(...settlements),
});

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

function apply(world: TestBuffer, action: Step): void {
  const cursor = world.cursors[action.cursor % world.cursors.length] as TestCursor;
  const { finalizer } = cursor;
  const count = Math.min(action.count, recordsMax - cursor.nextRecord);
  const open = finalizer.nextTicket - finalizer.headTicket;
  switch (action.do) {
    case 'take':
      for (let taken = 0; taken < count; taken++) {
        finalizer.add(eventsOf(cursor.nextRecord), eventsOf(cursor.nextRecord));
        cursor.nextRecord += 1;
      }
      return;
    case 'gap': {
      if (count === 0) return;
      const events = idOf(cursor.nextRecord + count) - idOf(cursor.nextRecord);
      finalizer.settle(finalizer.add(events, 0), 'damaged');
      cursor.nextRecord += count;
      return;
    }
    case 'settle':
      if (open > 0) finalizer.settle(finalizer.headTicket + (action.at % open), action.settlement);
      return;
    default:
      world.release(cursor);
  }
}

describe('the accounts', () => {
  it('count every event once, by what the last cursor to pass it did with it', () => {
    const starts = fc.array(fc.nat(6), { minLength: 1, maxLength: 3 });
    const property = fc.property(starts, fc.array(step, { maxLength: 150 }), (from, steps) => {
      const world = new TestBuffer(from);
      for (const action of steps) {
        const before = world.accounts.countedId;
        apply(world, action);
        expect(world.accounts.countedId).toBe(world.countedId); // I11.7
        expect(world.accounts.countedId).toBeGreaterThanOrEqual(before);
        expect(world.accounts.settledEvents).toBe(world.countedId - 1); // I11.6
      }
      expect(eventsIn(world.accounts.totals({ events: 0, bytes: 0 }))).toEqual(world.recounted());
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('go on from the ledger, and put right what does not add up', () => {
    const amount = (events: number) => ({ events, bytes: 10 * events });
    const removed = { rejected: amount(2), dropped_oldest: amount(3), dropped_newest: amount(4), disk_full: amount(5) };
    const totals = {
      appended: amount(100),
      acknowledged: amount(20),
      removed: { ...removed, unconfirmed: amount(1) },
      damaged: amount(4),
    };
    const exact = new Accounts(totals, 31, 101);
    expect([exact.settledEvents, exact.settledBytes]).toEqual([30, 300]);
    expect(exact.totals(totals.appended)).toEqual(totals);
    expect(new Accounts(totals, 41, 101).totals(totals.appended).acknowledged.events).toBe(30);
    const later = new Accounts(totals, 21, 101); // A cursor that was added later stands behind what is counted.
    expect([later.countedId, later.totals(totals.appended)]).toEqual([31, totals]);
    expect(new Accounts(totals, 11, 21).totals(totals.appended).acknowledged.events).toBe(10);
    const impossible = new Accounts(totals, 3, 6);
    expect([impossible.settledEvents, impossible.countedId]).toEqual([5, 6]);
  });

  it('count for a cursor that is removed what only it had not passed', () => {
    const accounts = new Accounts(undefined, 1, 100);
    accounts.advanceTo(11, 500);
    expect(accounts.totals({ events: 0, bytes: 0 }).acknowledged).toEqual({ events: 10, bytes: 500 });
    accounts.advanceTo(5, 900);
    expect([accounts.countedId, accounts.settledBytes]).toEqual([11, 500]);
  });

  it('saturate and do not wrap', () => {
    const { acknowledged } = createCounters();
    add(acknowledged, Number.MAX_SAFE_INTEGER, 7);
    add(acknowledged, 5, Number.MAX_SAFE_INTEGER);
    expect(acknowledged).toEqual({ events: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER });
  });
});
