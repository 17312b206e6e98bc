// Lives of a stage: it is subscribed to, and ended by its source, its consumer, an unsubscription or a power cut, again
// and again, while the consumer settles as it likes. Whatever happens, every number that was answered `stored` is
// acknowledged in the end, none is delivered that nobody sent, and first hand-outs keep the order.

import fc from 'fast-check';
import { from, lastValueFrom, mergeMap, type Observable, tap } from 'rxjs';
import { expect, it } from 'vitest';
import { BufferRig, bytesOf, textOf } from '../../test/buffer-rig.ts';
import { byScale } from '../../test/sweep.ts';
import type { DiskBuffer } from '../engine/disk-buffer.ts';
import { type Batch, type DeliveryContract, throughBuffer } from './index.ts';

const life = fc.record({
  form: fc.constantFrom('pull', 'push'),
  ending: fc.constantFrom('source ends', 'source fails', 'consumer fails', 'unsubscribe', 'power cut'),
  items: fc.integer({ min: 0, max: 12 }),
  /** Virtual time after which it is ended if it has not ended by itself. */
  ms: fc.integer({ min: 0, max: 40 }),
  maxInFlight: fc.integer({ min: 1, max: 4 }),
  maxRecords: fc.integer({ min: 1, max: 3 }),
  /** What the consumer does with one delivery after another, in turn. */
  settlements: fc.array(fc.constantFrom('ack', 'retry', 'half', 'late'), { minLength: 1, maxLength: 6 }),
});

type Life = typeof life extends fc.Arbitrary<infer Value> ? Value : never;

/** What was sent, answered and acknowledged. A number is sent once. */
class Book {
  sent = 0;
  readonly stored = new Set<number>();
  readonly acknowledged = new Set<number>();
  /** Ids handed out since the buffer was opened. */
  readonly #seenIds = new Set<number>();
  #newestId = 0;

  next(): Batch {
    const number = this.sent++;
    return {
      records: [{ payload: bytesOf(`${number}`) }],
      accepted: ({ status }) => void (status === 'stored' && this.stored.add(number)),
    };
  }

  handedOut({ records }: DeliveryContract): void {
    for (const { id, payload } of records) {
      expect(Number(textOf(payload))).toBeLessThan(this.sent);
      if (this.#seenIds.has(id)) continue; // It comes again.
      expect(id).toBeGreaterThan(this.#newestId);
      this.#seenIds.add(id);
      this.#newestId = id;
    }
  }

  reopened(): void {
    this.#seenIds.clear();
    this.#newestId = 0;
  }
}

function* numbers(one: Life, book: Book): Generator<Batch> {
  for (let count = 0; count < one.items; count++) yield book.next();
  if (one.ending === 'source fails') throw new Error('the source broke');
}

function stageOf(buffer: DiskBuffer, one: Life, book: Book): Observable<DeliveryContract> {
  const { maxInFlight, maxRecords, items } = one;
  const options = { maxInFlight, maxRecords };
  if (one.form === 'pull') return throughBuffer(buffer, { ...options, input: numbers(one, book) });
  const maxPending = items + 1;
  return from(numbers(one, book)).pipe(throughBuffer(buffer, { ...options, onPressure: 'error', maxPending }));
}

function acknowledge(delivery: DeliveryContract, book: Book, isMeant: (index: number) => boolean = () => true): void {
  for (const [index, { payload }] of delivery.records.entries()) {
    if (isMeant(index)) book.acknowledged.add(Number(textOf(payload)));
  }
  delivery.settle(delivery.records.map((_, index) => (isMeant(index) ? 'ack' : undefined)));
}

/** Lives until it ends or its time is over. Returns the buffer, or the one that was opened after a power cut. */
async function live(rig: BufferRig, buffer: DiskBuffer, one: Life, book: Book): Promise<DiskBuffer> {
  let turns = 0;
  const consume = async (delivery: DeliveryContract): Promise<void> => {
    const turn = turns++;
    const settlement = one.settlements[turn % one.settlements.length];
    if (one.ending === 'consumer fails' && turn === 3) throw new Error('the consumer broke');
    if (settlement === 'late') {
      await new Promise<void>((resolve) => void rig.process.clock.setTimer(5, resolve));
      if (delivery.unsettled === 0) return; // It was handed back meanwhile.
    }
    if (settlement === 'retry') delivery.retry(turn % 3);
    else if (settlement === 'half') {
      acknowledge(delivery, book, (index) => index % 2 === 0);
      if (delivery.unsettled > 0) delivery.retry();
    } else acknowledge(delivery, book);
  };
  const subscription = stageOf(buffer, one, book)
    .pipe(
      tap((delivery) => book.handedOut(delivery)),
      mergeMap(consume, one.maxInFlight),
    )
    .subscribe({
      error: (cause: Error) => {
        if (!cause.message.endsWith(' broke')) rig.world.fail(cause);
      },
    });
  await rig.world.advance(one.ms);
  if (one.ending === 'power cut') {
    rig.crash('none');
    book.reopened();
    return await rig.open();
  }
  subscription.unsubscribe();
  expect(buffer.stats().cursors[0]?.openDeliveries).toBeLessThanOrEqual(1); // A read may still be on its way.
  return buffer;
}

it('delivers everything that was accepted, whatever ends it, how often ever', async () => {
  const property = fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 6 }), fc.nat(), async (lives, seed) => {
    const rig = new BufferRig({ seed });
    const book = new Book();
    let buffer = await rig.open();
    for (const one of lives) buffer = await live(rig, buffer, one, book);
    const rest = throughBuffer(buffer, { input: [], maxInFlight: 2 }).pipe(
      tap((delivery) => book.handedOut(delivery)),
      mergeMap((delivery) => [acknowledge(delivery, book)], 2),
    );
    await rig.run(lastValueFrom(rest, { defaultValue: undefined }));
    expect([...book.stored].filter((number) => !book.acknowledged.has(number))).toEqual([]);
    const [cursor] = buffer.stats().cursors;
    expect([cursor?.openDeliveries, cursor?.backlog.events]).toEqual([0, 0]);
    buffer.recount();
    await rig.close(buffer);
  });
  await fc.assert(property, { numRuns: byScale({ sample: 150, full: 5_000 }), seed: 1 });
});
