import { describe, expect, it } from 'vitest';
import { OrderedFinalizer, type ReleasedRun } from './ordered-finalizer.ts';

function finalizer(position = 0): { readonly finalizer: OrderedFinalizer; readonly runs: ReleasedRun[] } {
  const runs: ReleasedRun[] = [];
  return { finalizer: new OrderedFinalizer({ position, released: (run) => runs.push(run) }), runs };
}

describe('release', () => {
  it('holds everything behind an open entry, then releases it as one run', () => {
    const { finalizer: ring, runs } = finalizer(100);
    const tickets = [ring.add(1, 10), ring.add(5, 20), ring.add(2, 30)];
    ring.settle(tickets[2] as number, 'acknowledged');
    ring.settle(tickets[1] as number, 'acknowledged');
    expect([ring.release(), ring.position, ring.length]).toEqual([0, 100, 3]);
    ring.settle(tickets[0] as number, 'acknowledged');
    expect([ring.release(), ring.position, ring.length]).toEqual([3, 108, 0]);
    expect(runs).toEqual([{ settlement: 'acknowledged', from: 100, to: 108, entries: 3, bytes: 60 }]);
  });

  it('makes a run of each settlement, in order', () => {
    const { finalizer: ring, runs } = finalizer(1);
    const settlements = ['acknowledged', 'rejected', 'rejected', 'dropped_oldest', 'unconfirmed', 'damaged'] as const;
    for (const settlement of settlements) ring.settle(ring.add(1, 1), settlement);
    ring.release();
    expect(runs.map((run) => [run.settlement, run.from, run.to])).toEqual([
      ['acknowledged', 1, 2],
      ['rejected', 2, 4],
      ['dropped_oldest', 4, 5],
      ['unconfirmed', 5, 6],
      ['damaged', 6, 7],
    ]);
  });

  it('cuts a run at each of the positions it is told', () => {
    const { finalizer: ring, runs } = finalizer(1);
    for (let count = 0; count < 10; count++) ring.settle(ring.add(2, 1), 'acknowledged');
    ring.release([1, 5, 9, 100]);
    expect(runs.map(({ from, to, entries }) => [from, to, entries])).toEqual([
      [1, 5, 2],
      [5, 9, 2],
      [9, 21, 6],
    ]);
  });

  it('grows while entries are open and keeps them apart', () => {
    const { finalizer: ring, runs } = finalizer();
    const tickets = Array.from({ length: 1_000 }, (_, at) => ring.add(1, at));
    for (const ticket of [...tickets].reverse()) ring.settle(ticket, ticket % 2 === 0 ? 'acknowledged' : 'rejected');
    expect(ring.release()).toBe(1_000);
    expect(runs).toHaveLength(1_000);
    expect(runs.every((run, at) => run.from === at && run.bytes === at)).toBe(true);
  });
});

describe('settle', () => {
  it('takes the first settlement of an entry and no other', () => {
    const { finalizer: ring, runs } = finalizer();
    const ticket = ring.add(1, 1);
    expect(ring.settle(ticket, 'rejected')).toBe(true);
    expect(ring.settle(ticket, 'acknowledged')).toBe(false);
    ring.release();
    expect(ring.settle(ticket, 'acknowledged')).toBe(false);
    expect(ring.isOpen(ticket)).toBe(false);
    expect(runs.map((run) => run.settlement)).toEqual(['rejected']);
  });

  it('refuses a ticket that was never given', () => {
    const { finalizer: ring } = finalizer();
    expect(() => ring.settle(0, 'acknowledged')).toThrow('a ticket was given out');
    ring.add(1, 1);
    expect(() => ring.settleRun(0, 2, 'acknowledged')).toThrow('tickets were given out');
  });

  it('settles a run but for what was settled or released before', () => {
    const { finalizer: ring, runs } = finalizer();
    for (let count = 0; count < 5; count++) ring.add(1, 1);
    ring.settle(0, 'acknowledged');
    ring.release();
    ring.settle(2, 'rejected');
    expect(ring.settleRun(0, 5, 'acknowledged')).toBe(3);
    ring.release();
    expect(runs.map((run) => [run.settlement, run.entries])).toEqual([
      ['acknowledged', 1],
      ['acknowledged', 1],
      ['rejected', 1],
      ['acknowledged', 2],
    ]);
  });

  it('settles what begins below a position and says how much that was', () => {
    const { finalizer: ring } = finalizer(10);
    for (let count = 0; count < 4; count++) ring.add(5, 100);
    ring.settle(1, 'acknowledged');
    expect(ring.settleBelow(22, 'dropped_oldest')).toEqual({ events: 10, bytes: 200 });
    expect(ring.settleBelow(22, 'dropped_oldest')).toEqual({ events: 0, bytes: 0 });
    expect([ring.release(), ring.position]).toEqual([3, 25]);
  });
});
