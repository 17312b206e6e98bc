// The stage around a real buffer on a simulated disk: how it ends, what it counts, and that nothing accepted is lost.

import {
  concat,
  firstValueFrom,
  from,
  lastValueFrom,
  mergeMap,
  NEVER,
  type Observable,
  Subject,
  tap,
  throwError,
  toArray,
} from 'rxjs';
import { describe, expect, it } from 'vitest';
import { BufferRig, bytesOf, listenToLosses, textOf } from '../../test/buffer-rig.ts';
import { type Acceptance, type DeliveryContract, deliveries, type StageItem, throughBuffer } from './index.ts';

const record = (text: string): StageItem => ({ payload: bytesOf(text) });
const textsOf = ({ records }: DeliveryContract): string[] => records.map(({ payload }) => textOf(payload));

/** Acknowledges each delivery and emits its texts. */
const acknowledge = (delivery: DeliveryContract): readonly string[] => {
  delivery.ack();
  return textsOf(delivery);
};

async function opened(...options: Parameters<BufferRig['open']>) {
  const rig = new BufferRig();
  return { rig, buffer: await rig.open(...options) };
}

/** Everything that is still in the buffer, read without a stage. */
async function remaining(rig: BufferRig, buffer: Awaited<ReturnType<BufferRig['open']>>): Promise<string[]> {
  const cursor = buffer.cursor('default');
  const seen = await rig.readTo(cursor, buffer.stats().frontiers.reserved);
  return seen.map(({ text }) => text);
}

function collect<Value>(stream: Observable<Value>): Promise<Value[]> {
  return lastValueFrom(stream.pipe(toArray()));
}

/** What somebody saw of a stage. */
function watch(stream: Observable<DeliveryContract>) {
  const seen = { deliveries: [] as DeliveryContract[], end: undefined as unknown };
  const subscription = stream.subscribe({
    next: (delivery) => seen.deliveries.push(delivery),
    error: (cause) => {
      seen.end = cause;
    },
    complete: () => {
      seen.end = 'complete';
    },
  });
  return { seen, subscription };
}

describe('throughBuffer with an input', () => {
  it('delivers what the input yields, and completes when all of it is settled', async () => {
    const { rig, buffer } = await opened();
    const stage = throughBuffer(buffer, { input: ['a', 'b', 'c'].map(record), maxInFlight: 2 });
    expect(await rig.run(collect(stage.pipe(mergeMap(acknowledge, 2))))).toEqual(['a', 'b', 'c']);
    expect(stage.stats()).toMatchObject({ accepted: { items: 3, records: 3, bytes: 3 }, inFlight: 0 });
    expect(buffer.cursor('default').nextId).toBe(4);
  });

  it('delivers the backlog first, and completes after it also without any input', async () => {
    const { rig, buffer } = await opened();
    await rig.append(buffer, 'yesterday');
    const empty = throughBuffer(buffer, { input: [] });
    expect(await rig.run(collect(empty.pipe(mergeMap(acknowledge, 1))))).toEqual(['yesterday']);
    expect(await rig.run(collect(empty))).toEqual([]);
  });

  it('delivers again what was retried before it completes', async () => {
    const { rig, buffer } = await opened();
    const stage = throughBuffer(buffer, { input: [record('a')] });
    let tries = 0;
    const delivered = stage.pipe(
      mergeMap((delivery) => {
        tries += 1;
        if (tries < 3) delivery.retry(1_000);
        else delivery.ack();
        return [tries];
      }, 1),
    );
    expect(await rig.run(collect(delivered))).toEqual([1, 2, 3]);
    expect(rig.world.timeMs).toBeGreaterThan(2_000);
  });

  it('passes on the error of its input after everything that was accepted before', async () => {
    const { rig, buffer } = await opened();
    async function* failing(): AsyncGenerator<StageItem> {
      yield* ['a', 'b'].map(record);
      throw new Error('the source broke');
    }
    const texts: string[] = [];
    const stage = throughBuffer(buffer, { input: failing() });
    const run = collect(
      stage.pipe(
        mergeMap(acknowledge, 1),
        tap((text) => texts.push(text)),
      ),
    );
    await expect(rig.run(run)).rejects.toThrow('the source broke');
    expect(texts).toEqual(['a', 'b']);
  });

  it('completes when the buffer closes, and closes its input', async () => {
    const { rig, buffer } = await opened();
    let isClosed = false;
    async function* slow(): AsyncGenerator<StageItem> {
      try {
        for (;;) {
          await new Promise<void>((resolve) => {
            rig.process.clock.setTimer(10, resolve);
          });
          yield record('tick');
        }
      } finally {
        isClosed = true;
      }
    }
    const running = collect(throughBuffer(buffer, { input: slow() }).pipe(mergeMap(acknowledge, 1)));
    await rig.world.advance(500);
    await rig.close(buffer, { drain: true });
    expect((await rig.run(running)).length).toBeGreaterThan(30);
    await rig.world.advance(20);
    expect(isClosed).toBe(true);
    expect(buffer.stats().backlog.events).toBe(0);
  });

  it('completes when the buffer closes while an append waits for room, which is abandoned', async () => {
    const { rig, buffer } = await opened();
    function* endless(): Generator<StageItem> {
      for (;;) yield { payload: new Uint8Array(60_000) };
    }
    const stage = throughBuffer(buffer, { input: endless(), maxInFlight: 1 });
    const { seen } = watch(stage);
    await rig.world.advance(1_000);
    expect([buffer.stats().waitingAppends, stage.stats().inFlight]).toEqual([1, 1]);
    await rig.close(buffer);
    expect(seen.end).toBe('complete'); // Although no place was free to read and see it.
    expect(stage.stats()).toMatchObject({ abandoned: { items: 1, bytes: 60_000 }, inFlight: 0 });
  });

  it('errors at once when the buffer fails, and what was accepted is there after reopening', async () => {
    const { rig, buffer } = await opened();
    async function* items(): AsyncGenerator<StageItem> {
      yield record('kept');
      rig.disk.faults.inject({ fault: 'EIO', operation: 'sync', path: '.seg' });
      yield record('refused');
    }
    const stage = throughBuffer(buffer, { input: items() });
    const { seen } = watch(stage);
    await rig.until(() => seen.end !== undefined);
    expect(seen.end).toMatchObject({ code: 'SPILLWAY_STORAGE_IO' });
    expect(stage.stats()).toMatchObject({ accepted: { items: 1 }, abandoned: { items: 1 } });
    rig.crash('none');
    rig.disk.faults.clear();
    expect(await remaining(rig, await rig.open())).toEqual(['kept']);
  });

  it('errors when the buffer fails while it waits for the last settlements', async () => {
    const { rig, buffer } = await opened();
    const { seen } = watch(throughBuffer(buffer, { input: [record('a')] }));
    await rig.world.advance(200);
    rig.disk.faults.inject({ fault: 'EIO', operation: 'sync', path: '.seg' });
    await expect(rig.append(buffer, 'of somebody else')).rejects.toMatchObject({ code: 'SPILLWAY_STORAGE_IO' });
    expect(seen.end).toMatchObject({ code: 'SPILLWAY_STORAGE_IO' });
    // It is no use to wait for the end of a log that never gets there.
    const { seen: later } = watch(throughBuffer(buffer, { input: [] }));
    await rig.until(() => later.end !== undefined);
    expect(later.end).toBe(seen.end);
  });

  it('ends although the policy took away what it held and what it waited for', async () => {
    const { rig, buffer } = await opened({ whenFull: 'drop_oldest' });
    const losses = listenToLosses(buffer);
    const input = Array.from(
      { length: 60 },
      (_, index): StageItem => ({ payload: bytesOf(`${index}`.padEnd(50_000)) }),
    );
    const stage = throughBuffer(buffer, { input, maxInFlight: 2, maxRecords: 1 });
    const { seen } = watch(stage);
    await rig.world.advance(5_000);
    expect([stage.stats().accepted.items, seen.deliveries.length, seen.end]).toEqual([60, 2, undefined]);
    let settled = 0;
    for (; seen.end === undefined; await rig.world.advance(200)) {
      for (const delivery of seen.deliveries.slice(settled)) delivery.ack(); // The first two have been dropped.
      settled = seen.deliveries.length;
    }
    expect(seen.end).toBe('complete');
    const lost = losses.reduce((sum, { events }) => sum + events, 0);
    const delivered = seen.deliveries.flatMap(textsOf).map(Number);
    expect(lost + delivered.length - 2).toBe(60);
    expect(delivered).toEqual(delivered.toSorted((one, other) => one - other));
    buffer.recount();
  });

  it('errors when it cannot have its cursor', async () => {
    const { rig, buffer } = await opened();
    const misnamed = collect(throughBuffer(buffer, { input: [], cursor: 'no/name' }));
    await expect(rig.run(misnamed)).rejects.toMatchObject({ code: 'SPILLWAY_USAGE_CURSOR' });
    await rig.close(buffer);
    const late = collect(throughBuffer(buffer, { input: [] }));
    await expect(rig.run(late)).rejects.toMatchObject({ code: 'SPILLWAY_USAGE_CLOSED' });
  });

  it('ends although it was another reader that settled the last records', async () => {
    const { rig, buffer } = await opened();
    const { seen } = watch(throughBuffer(buffer, { input: ['a', 'b'].map(record), maxInFlight: 1, maxRecords: 1 }));
    await rig.until(() => seen.deliveries.length === 1 && buffer.stats().frontiers.durable === 3);
    const other = await rig.read(buffer.cursor('default'));
    seen.deliveries[0]?.ack();
    expect(seen.end).toBeUndefined();
    other.ack();
    await rig.until(() => seen.end === 'complete');
  });

  it.each(['unsubscribe', 'error'] as const)('loses nothing when its consumer ends it by %s', async (how) => {
    const { rig, buffer } = await opened();
    const texts = Array.from({ length: 9 }, (_, index) => `record ${index}`);
    const source = texts.map(record);
    const taken: StageItem[] = [];
    function* input(): Generator<StageItem> {
      while (source.length > 0) {
        const next = source.shift() as StageItem;
        taken.push(next);
        yield next;
      }
    }
    const stage = throughBuffer(buffer, { input: { [Symbol.iterator]: input }, maxInFlight: 4, maxRecords: 1 });
    const stop = new Subject<never>();
    const delivered: string[] = [];
    const first = stage.pipe(
      mergeMap((delivery) => {
        if (delivery.records[0]?.id === 3) delivered.push(...acknowledge(delivery));
        return stop; // The others stay unsettled until the end.
      }, 4),
    );
    const { seen, subscription } = watch(first);
    await rig.until(() => delivered.length === 1);
    if (how === 'error') stop.error(new Error('the sink broke'));
    else subscription.unsubscribe();
    await rig.world.advance(50);
    expect(seen.end).toEqual(how === 'error' ? new Error('the sink broke') : undefined);
    expect(buffer.stats().cursors[0]?.openDeliveries).toBe(0); // Everything was handed back.

    const { accepted, abandoned } = stage.stats();
    expect(accepted.items + abandoned.items).toBe(taken.length);
    source.unshift(...taken.slice(accepted.items)); // As a source does that was given no credit for it.
    const rest = await rig.run(collect(stage.pipe(mergeMap(acknowledge, 4))));
    // The append that was broken off had been copied already: it comes twice, as after any append that was rejected.
    expect([...new Set(rest)]).toEqual(texts.filter((text) => text !== 'record 2'));
    expect(rest.length).toBe(8 + abandoned.items);
  });

  it('loses nothing when the process is killed, and starts with the oldest after reopening', async () => {
    const { rig, buffer } = await opened();
    const { seen } = watch(
      throughBuffer(buffer, { input: ['a', 'b', 'c'].map(record), maxInFlight: 2, maxRecords: 1 }),
    );
    await rig.until(() => seen.deliveries.length === 2 && buffer.stats().frontiers.durable === 4);
    seen.deliveries[1]?.ack(); // Behind one that is open: it is no use to the cursor yet.
    rig.crash('none');
    const again = throughBuffer(await rig.open(), { input: [record('d')] });
    expect(await rig.run(collect(again.pipe(mergeMap(acknowledge, 1))))).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('throughBuffer on a plain Observable', () => {
  it('delivers in order what is emitted, and passes on the end after it', async () => {
    const { rig, buffer } = await opened();
    const texts = Array.from({ length: 50 }, (_, index) => `record ${index}`);
    const answers: Acceptance[] = [];
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 50, maxInFlight: 3, maxRecords: 2 });
    const items = texts.map((text) => ({
      records: [{ payload: bytesOf(text) }],
      accepted: (result: Acceptance) => answers.push(result),
    }));
    expect(await rig.run(collect(from(items).pipe(stage, mergeMap(acknowledge, 3))))).toEqual(texts);
    expect(answers).toEqual(texts.map((_, index) => ({ status: 'stored', recordId: index + 1 })));
    expect(stage.stats()).toMatchObject({ accepted: { items: 50 }, pendingItems: 0, inFlight: 0 });
  });

  it('accepts and delivers what was pending before the error of its source', async () => {
    const { rig, buffer } = await opened();
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 3 });
    const failing = concat(
      from(['a', 'b', 'c'].map(record)),
      throwError(() => new Error('the source broke')),
    );
    const { seen } = watch(failing.pipe(stage));
    await rig.world.advance(500);
    expect(seen.deliveries.flatMap(textsOf)).toEqual(['a']);
    seen.deliveries[0]?.ack();
    await rig.world.advance(500);
    expect(seen.deliveries.flatMap(textsOf)).toEqual(['a', 'b', 'c']);
    seen.deliveries[1]?.ack();
    expect(seen.end).toEqual(new Error('the source broke'));
  });

  it('drops what comes on top of maxPending, counts it and answers it', async () => {
    const { rig, buffer } = await opened();
    const stage = throughBuffer(buffer, { onPressure: 'drop_newest', maxPending: 2 });
    const answers: string[] = [];
    const accepted = (result: Acceptance): void => {
      answers.push(result.status === 'dropped' ? result.reason : result.status);
    };
    const items = ['a', 'b', 'c', 'd'].map((text) => ({ records: [{ payload: bytesOf(text), events: 5 }], accepted }));
    expect(await rig.run(collect(from(items).pipe(stage, mergeMap(acknowledge, 1))))).toEqual(['a', 'b']);
    expect(answers).toEqual(['pressure', 'pressure', 'stored', 'stored']);
    const { accepted: stored, dropped } = stage.stats();
    expect([stored.events, dropped.pressure]).toEqual([10, { items: 2, records: 2, events: 10, bytes: 2 }]);
  });

  it('abandons and counts what is pending when it is unsubscribed; what was accepted stays', async () => {
    const { rig, buffer } = await opened();
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 5 });
    const source = new Subject<StageItem>();
    const { subscription } = watch(source.pipe(stage));
    source.next(record('a'));
    await rig.until(() => stage.stats().accepted.items === 1);
    for (const text of ['b', 'c', 'd']) source.next(record(text));
    expect(stage.stats().pendingItems).toBe(3);
    subscription.unsubscribe();
    expect(source.observed).toBe(false);
    await rig.world.advance(100);
    expect(stage.stats()).toMatchObject({ accepted: { items: 1 }, abandoned: { items: 3 }, pendingItems: 0 });
    // `b` was in the log already; nobody was promised it, and nobody is harmed by it.
    expect(await remaining(rig, buffer)).toEqual(['a', 'b']);
  });

  it('ends with what the answer of a batch throws, and stops its source', async () => {
    const { rig, buffer } = await opened();
    const stage = throughBuffer(buffer, { onPressure: 'drop_newest', maxPending: 1 });
    const source = new Subject<StageItem>();
    const { seen } = watch(source.pipe(stage));
    const accepted = (): never => {
      throw new Error('no credit');
    };
    source.next({ records: [{ payload: bytesOf('a') }], accepted });
    await rig.until(() => seen.deliveries.length === 1);
    expect(source.observed).toBe(false);
    seen.deliveries[0]?.ack();
    expect(seen.end).toEqual(new Error('no credit'));
  });

  it('errors with what the buffer refuses', async () => {
    const { rig, buffer } = await opened();
    const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 2 });
    const { seen } = watch(concat(from([record('a'), { payload: new Uint8Array(900_000) }]), NEVER).pipe(stage));
    await rig.until(() => seen.end !== undefined);
    expect(seen.end).toMatchObject({ code: 'SPILLWAY_USAGE_TOO_LARGE' });
    expect(await remaining(rig, buffer)).toEqual(['a']);
  });

  it('errors with an item that is none, whatever the pressure', async () => {
    const { rig, buffer } = await opened();
    for (const first of [[], [record('a')]]) {
      const stage = throughBuffer(buffer, { onPressure: 'drop_newest', maxPending: 1 });
      const { seen } = watch(concat(from([...first, 'a line' as never]), NEVER).pipe(stage));
      expect(seen.end).toMatchObject({ code: 'SPILLWAY_USAGE_RECORD' });
      await rig.world.advance(10);
      expect(stage.stats()).toMatchObject({ accepted: { items: 0 }, abandoned: { items: first.length + 1 } });
    }
  });

  it('refuses options out of range when it is made', async () => {
    const { buffer } = await opened();
    const wrong: unknown[] = [
      {},
      { onPressure: 'block', maxPending: 1 },
      { onPressure: 'error' },
      { onPressure: 'error', maxPending: 0 },
      { onPressure: 'error', maxPending: 1, maxInFlight: 0 },
      { input: [], maxInFlight: 1.5 },
    ];
    for (const options of wrong) {
      expect(() => throughBuffer(buffer, options as never)).toThrow(
        expect.objectContaining({ code: 'SPILLWAY_USAGE_OPTION' }),
      );
    }
    expect(() => deliveries(buffer.cursor('default'), { maxInFlight: 0 })).toThrow(
      expect.objectContaining({ code: 'SPILLWAY_USAGE_OPTION' }),
    );
  });
});

describe('deliveries of a real cursor', () => {
  it('follow one another on one cursor, and share it when there are several at once', async () => {
    const { rig, buffer } = await opened();
    await rig.append(buffer, 'a', 'b', 'c', 'd');
    const cursor = buffer.cursor('default');
    const stream = deliveries(cursor, { maxRecords: 1 });
    const first = await rig.run(firstValueFrom(stream));
    expect(first.unsettled).toBe(0); // Handed back: firstValueFrom has unsubscribed.
    first.ack();
    expect(cursor.nextId).toBe(1);
    const [one, two] = [watch(stream), watch(stream)];
    await rig.world.advance(50);
    expect([one.seen, two.seen].map(({ deliveries: [held] }) => held?.records[0]?.id)).toEqual([1, 2]);
    two.subscription.unsubscribe();
    one.seen.deliveries[0]?.ack();
    await rig.world.advance(50);
    expect(one.seen.deliveries[1]?.records[0]?.id).toBe(2);
    const closing = buffer.close();
    expect(one.seen.end).toBeUndefined(); // Its place is taken: it does not read, and what it holds may be settled.
    one.seen.deliveries[1]?.ack();
    await rig.run(closing);
    expect([one.seen.end, cursor.nextId]).toEqual(['complete', 3]);
  });

  it('are handed back when they arrive after the end', async () => {
    const { rig, buffer } = await opened();
    await rig.append(buffer, 'a', 'b');
    const cursor = buffer.cursor('default');
    (await rig.read(cursor, { maxRecords: 1 })).ack(); // The rest of the frame is in memory: a read has it at once.
    const { seen, subscription } = watch(deliveries(cursor));
    expect(cursor.openDeliveries).toBe(1); // On its way,
    subscription.unsubscribe(); // and nobody to give it to.
    await rig.world.settle();
    expect([seen.deliveries.length, cursor.openDeliveries]).toEqual([0, 0]);
    expect(await remaining(rig, buffer)).toEqual(['b']);
  });

  it('keep an error of reading apart from the records, which come when it has gone', async () => {
    const { rig, buffer } = await opened();
    await rig.append(buffer, 'a');
    await rig.close(buffer);
    const reopened = await rig.open();
    const lift = rig.disk.faults.inject({ fault: 'EIO', operation: 'read', path: '.seg' });
    const { seen } = watch(deliveries(reopened.cursor('default')));
    await rig.until(() => seen.end !== undefined);
    expect(seen.end).toMatchObject({ code: 'SPILLWAY_STORAGE_IO' });
    lift();
    expect(await remaining(rig, reopened)).toEqual(['a']);
  });

  it('settle in parts: a place is free when the last record is settled', async () => {
    const { rig, buffer } = await opened();
    await rig.append(buffer, 'a', 'b', 'c');
    const { seen } = watch(deliveries(buffer.cursor('default'), { maxRecords: 2 }));
    await rig.until(() => seen.deliveries.length === 1);
    seen.deliveries[0]?.settle(['ack', undefined]);
    await rig.world.advance(20);
    expect(seen.deliveries.length).toBe(1);
    seen.deliveries[0]?.reject('no');
    await rig.until(() => seen.deliveries.length === 2);
    expect(seen.deliveries.map(textsOf)).toEqual([['a', 'b'], ['c']]);
    expect(() => seen.deliveries[0]?.ack()).toThrow(expect.objectContaining({ code: 'SPILLWAY_USAGE_SETTLED' }));
  });
});
