// Marble diagrams of the stage: what is emitted and asked for at which moment. One character is a millisecond. The
// buffer answers at once here; what promises and a disk add is in the other tests.

import { concat, map, mergeMap, NEVER, type Observable, of, retry, Subject, takeUntil, tap, timer } from 'rxjs';
import { type RunHelpers, TestScheduler } from 'rxjs/testing';
import { expect, it } from 'vitest';
import { MarbleBuffer } from '../../test/marble-buffer.ts';
import { type DeliveryContract, deliveries, type StageItem, throughBuffer } from './index.ts';

function inVirtualTime(run: (helpers: RunHelpers, buffer: MarbleBuffer) => void): void {
  const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected));
  scheduler.run((helpers) => run(helpers, new MarbleBuffer()));
}

/** Letters arrive in the buffer; its end closes the buffer, and an error is one of reading. */
function arriving({ list }: MarbleBuffer, letters: Observable<string>): void {
  letters.subscribe({
    next: (letter) => list.arrive(letter),
    complete: () => list.close(),
    error: (cause) => list.fail(cause),
  });
}

const textOf = ({ records }: DeliveryContract): string =>
  records.map(({ payload }) => new TextDecoder().decode(payload)).join('');

/** Delivers in five milliseconds and acknowledges. */
const deliver = (delivery: DeliveryContract): Observable<string> =>
  timer(5).pipe(
    tap(() => delivery.ack()),
    map(() => textOf(delivery)),
  );

const item: StageItem = { payload: new Uint8Array(1) };
const items = map((): StageItem => item);
const pressure = expect.objectContaining({ code: 'SPILLWAY_USAGE_PRESSURE' });

it('emits when one settlement has freed one place', () => {
  inVirtualTime(({ hot, expectObservable, flush }, buffer) => {
    arriving(buffer, hot('(abcd)'));
    const emitted = deliveries(buffer.list, { maxInFlight: 2 }).pipe(
      tap((delivery) => timer(textOf(delivery) === 'a' ? 7 : 4).subscribe(() => delivery.ack())),
      map(textOf),
    );
    expectObservable(emitted).toBe('(ab)c--d');
    flush();
    expect(buffer.list.nextId).toBe(5);
  });
});

it('keeps mergeMap at its concurrency without a queue in front of it', () => {
  inVirtualTime(({ hot, expectObservable, flush }, buffer) => {
    arriving(buffer, hot('(abcde)'));
    let held = 0;
    let heldMax = 0;
    const delivered = deliveries(buffer.list, { maxInFlight: 2 }).pipe(
      tap(() => {
        held += 1;
        heldMax = Math.max(heldMax, held);
      }),
      mergeMap(deliver, 2),
      tap(() => {
        held -= 1;
      }),
    );
    expectObservable(delivered).toBe('-----(ab)-(cd)-e');
    flush();
    // The place is free before the result is out: the next delivery may be here by then.
    expect(heldMax).toBeLessThanOrEqual(3);
  });
});

it('asks for nothing before somebody subscribes, nor after', () => {
  inVirtualTime(({ hot, expectObservable, flush }, buffer) => {
    arriving(buffer, hot('a-----b'));
    const stream = deliveries(buffer.list, { maxInFlight: 9 });
    expect(buffer.list.reading).toBe(0);
    expectObservable(stream.pipe(map(textOf)), '--^--!').toBe('--a--');
    flush();
    expect(buffer.list.reading).toBe(0);
    expect(buffer.list.nextId).toBe(1);
  });
});

it('hands back what is in flight when it is unsubscribed, and the next one gets it first', () => {
  inVirtualTime(({ hot, expectObservable, flush }, buffer) => {
    arriving(buffer, hot('(abc)'));
    const emitted = deliveries(buffer.list, { maxInFlight: 2 }).pipe(map(textOf));
    expectObservable(emitted, '^--!').toBe('(ab)');
    expectObservable(emitted, '-----^').toBe('-----(ab)');
    flush();
  });
});

it('hands back in record order, whatever was retried before', () => {
  inVirtualTime(({ hot, expectObservable }, buffer) => {
    arriving(buffer, hot('(ab)'));
    const emitted = deliveries(buffer.list, { maxInFlight: 2 });
    const held: DeliveryContract[] = [];
    const retried = emitted.pipe(tap((delivery) => held.push(delivery) === 2 && held[0]?.retry()));
    expectObservable(retried.pipe(map(textOf)), '^--!').toBe('(aab)'); // Held: b, then a.
    expectObservable(emitted.pipe(map(textOf)), '-----^').toBe('-----(ab)');
  });
});

it('bears to be unsubscribed in the middle of a settlement', () => {
  inVirtualTime(({ hot, flush }, buffer) => {
    arriving(buffer, hot('(ab)'));
    const held: DeliveryContract[] = [];
    const subscription = deliveries(buffer.list, { maxInFlight: 2 }).subscribe((delivery) => held.push(delivery));
    flush();
    buffer.list.settling = () => {
      buffer.list.settling = undefined;
      subscription.unsubscribe();
    };
    held[0]?.ack();
    expect([buffer.list.nextId, held[1]?.unsettled]).toEqual([2, 0]); // `b` was handed back.
  });
});

it('ignores a settlement that comes after it was handed back', () => {
  inVirtualTime(({ hot, expectObservable, flush }, buffer) => {
    arriving(buffer, hot('a'));
    const late: DeliveryContract[] = [];
    expectObservable(
      deliveries(buffer.list).pipe(
        tap((delivery) => late.push(delivery)),
        map(textOf),
      ),
      '^--!',
    ).toBe('a');
    flush();
    late[0]?.ack();
    late[0]?.reject('late');
    late[0]?.settle(['ack']);
    late[0]?.retry();
    expect(buffer.list.nextId).toBe(1);
  });
});

it('completes when the buffer closes, and leaves what is in flight to its consumer', () => {
  inVirtualTime(({ hot, expectObservable, flush }, buffer) => {
    arriving(buffer, hot('ab-|'));
    expectObservable(deliveries(buffer.list, { maxInFlight: 3 }).pipe(mergeMap(deliver, 3))).toBe('-----a(b|)');
    flush();
    expect(buffer.list.nextId).toBe(3);
  });
});

it('passes on an error of reading, and goes on for who subscribes again, in order', () => {
  inVirtualTime(({ hot, expectObservable }, buffer) => {
    arriving(buffer, hot('(ab)#', undefined, new Error('unreadable')));
    const emitted = deliveries(buffer.list, { maxInFlight: 3 }).pipe(map(textOf));
    expectObservable(emitted).toBe('(ab)#', undefined, new Error('unreadable'));
  });
  inVirtualTime(({ hot, expectObservable }, buffer) => {
    arriving(buffer, hot('(ab)--#', undefined, new Error('unreadable')));
    expectObservable(deliveries(buffer.list, { maxInFlight: 3 }).pipe(map(textOf), retry(1))).toBe('(ab)--(ab)');
  });
});

it('hands back before it passes on an error, so that who subscribes again gets the old before the new', () => {
  inVirtualTime(({ hot, flush }, buffer) => {
    arriving(buffer, hot('(abc)'));
    const stream = deliveries(buffer.list, { maxInFlight: 2 });
    const held: DeliveryContract[] = [];
    const again: string[] = [];
    stream.subscribe({
      next: (delivery) => held.push(delivery),
      // Within the error, as no operator of RxJS does: they all unsubscribe before.
      error: () => stream.subscribe((delivery) => again.push(textOf(delivery))),
    });
    flush();
    buffer.list.fail(new Error('unreadable'));
    held[0]?.ack(); // A place is free: the next read fails.
    expect(again).toEqual(['b', 'c']);
  });
});

it('leaves no listener behind, however it ends', () => {
  inVirtualTime(({ cold, hot, expectObservable, flush }, buffer) => {
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 1 });
    expectObservable(cold<StageItem>('-|').pipe(stage)).toBe('-|');
    expectObservable(cold<StageItem>('-#').pipe(stage)).toBe('-#');
    expectObservable(NEVER.pipe(stage), '^-!').toBe('-');
    expectObservable(cold('(ab)').pipe(items, stage)).toBe('#', undefined, pressure);
    expectObservable(hot<StageItem>('-').pipe(stage), '^--!').toBe('-');
    flush();
    expect(buffer.listeners).toBe(0);
  });
});

it('leaves its source when it is ended while it subscribes to it', () => {
  inVirtualTime((_helpers, buffer) => {
    const rest = new Subject<StageItem>();
    const stop = new Subject<void>();
    const source = concat(of(item).pipe(tap(() => stop.next())), rest);
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 9 });
    source.pipe(stage, takeUntil(stop)).subscribe();
    expect(rest.observed).toBe(false);
  });
});

it('ends with an error and its source with it when more than maxPending wait', () => {
  inVirtualTime(({ cold, expectObservable, expectSubscriptions, flush }, buffer) => {
    const source = cold('-a-b-c-d');
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 2 });
    expectObservable(source.pipe(items, stage)).toBe('-----#', undefined, pressure);
    expectSubscriptions(source.subscriptions).toBe('^----!');
    flush();
    expect(buffer.appends).toBe(1);
    expect(stage.stats()).toMatchObject({ dropped: { pressure: { items: 1 } }, pendingItems: 0, inFlight: 0 });
  });
});

it('stops a source that emits everything while it is subscribed to', () => {
  inVirtualTime(({ cold, expectObservable, flush }, buffer) => {
    let emitted = 0;
    const counted = cold('(abcdefgh)').pipe(
      tap(() => {
        emitted += 1;
      }),
    );
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 3 });
    expectObservable(counted.pipe(items, stage)).toBe('#', undefined, pressure);
    flush();
    expect(emitted).toBe(4);
  });
});

it('drops and counts what comes on top of maxPending, and goes on', () => {
  inVirtualTime(({ cold, expectObservable, expectSubscriptions, flush }, buffer) => {
    const source = cold('-a-b-c-d-(ef)');
    const stage = throughBuffer(buffer, { onPressure: 'drop_newest', maxPending: 2 });
    const unsubscribe = '^------------------!';
    expectObservable(source.pipe(items, stage), unsubscribe).toBe('-');
    expectSubscriptions(source.subscriptions).toBe(unsubscribe);
    flush();
    const { dropped, accepted } = stage.stats();
    expect([dropped.pressure.items, dropped.pressure.bytes, accepted.items]).toEqual([4, 4, 0]);
  });
});

it('passes on the end of its source when everything that was in the buffer then is settled', () => {
  inVirtualTime(({ cold, hot, expectObservable, expectSubscriptions }, buffer) => {
    arriving(buffer, hot('(ab)'));
    const source = cold<StageItem>('--|');
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 1, maxInFlight: 1 });
    expectObservable(source.pipe(stage, mergeMap(deliver, 1))).toBe('-----a----(b|)');
    expectSubscriptions(source.subscriptions).toBe('^-!');
  });
});

it('passes on the error of its source after what was in the buffer, not before', () => {
  inVirtualTime(({ cold, hot, expectObservable }, buffer) => {
    arriving(buffer, hot('(ab)'));
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 1, maxInFlight: 1 });
    const delivered = cold<StageItem>('--#', undefined, new Error('source')).pipe(stage, mergeMap(deliver, 1));
    expectObservable(delivered).toBe('-----a----#', undefined, new Error('source'));
  });
});

it('passes on an end at once when there is nothing to wait for', () => {
  inVirtualTime(({ cold, expectObservable }, buffer) => {
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 1 });
    expectObservable(cold<StageItem>('--|').pipe(stage)).toBe('--|');
    expectObservable(cold<StageItem>('---#').pipe(stage)).toBe('---#');
  });
});

it('completes when the buffer closes, with its source', () => {
  inVirtualTime(({ cold, hot, expectObservable, expectSubscriptions }, buffer) => {
    arriving(buffer, hot('----|'));
    const source = cold<StageItem>('--------|');
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 1 });
    expectObservable(source.pipe(stage)).toBe('----|');
    expectSubscriptions(source.subscriptions).toBe('^---!');
  });
});
