// The stage around a real buffer on a simulated disk: how it ends, what it counts, and that nothing accepted is lost.

import { mergeMap, Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { bytesOf, listenToLosses } from '../../test/buffer-rig.ts';
import { acknowledge, collect, itemOf, opened, remaining, textsOf, watch } from '../../test/stage-rig.ts';
import { type StageItem, throughBuffer } from './index.ts';

describe('throughBuffer with an input', () => {
  it('delivers what the input yields, and completes when all of it is settled', async () => {
    const { rig, buffer } = await opened();
    const stage = throughBuffer(buffer, { input: ['a', 'b', 'c'].map(itemOf), maxInFlight: 2 });
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
    const stage = throughBuffer(buffer, { input: [itemOf('a')] });
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

  it.each(['generator', 'accepted'])(
    'passes on an error of its %s after what was accepted before it',
    async (where) => {
      const { rig, buffer } = await opened();
      const fail = (): never => {
        throw new Error('the source broke');
      };
      async function* failing(): AsyncGenerator<StageItem> {
        yield itemOf('a');
        if (where === 'generator') fail();
        yield { records: [{ payload: bytesOf('b') }], accepted: fail };
      }
      const { seen } = watch(throughBuffer(buffer, { input: failing() }));
      await rig.world.advance(500);
      expect(seen.end).toBeUndefined();
      seen.deliveries[0]?.ack();
      await rig.world.advance(500);
      if (where === 'accepted') seen.deliveries[1]?.ack();
      expect(seen.end).toEqual(new Error('the source broke'));
      expect(seen.deliveries.flatMap(textsOf)).toEqual(where === 'accepted' ? ['a', 'b'] : ['a']);
    },
  );

  it('passes on the error that its source had when the buffer closes before all is settled', async () => {
    const { rig, buffer } = await opened();
    function* failing(): Generator<StageItem> {
      yield itemOf('a');
      throw new Error('the source broke');
    }
    const { seen } = watch(throughBuffer(buffer, { input: failing() }));
    await rig.world.advance(500);
    await rig.close(buffer);
    expect(seen.end).toEqual(new Error('the source broke'));
  });

  it('does not wait for what others append later, and leaves that to its consumer', async () => {
    const { rig, buffer } = await opened();
    const { seen } = watch(throughBuffer(buffer, { input: [itemOf('a')], maxInFlight: 2 }));
    await rig.until(() => seen.deliveries.length === 1);
    await rig.append(buffer, 'of somebody else');
    await rig.until(() => seen.deliveries.length === 2);
    seen.deliveries[0]?.ack();
    expect(seen.end).toBe('complete');
    seen.deliveries[1]?.ack();
    expect(buffer.cursor('default').nextId).toBe(3);
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
          yield itemOf('tick');
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
      yield itemOf('kept');
      rig.disk.faults.inject({ fault: 'EIO', operation: 'sync', path: '.seg' });
      yield itemOf('refused');
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
    const { seen } = watch(throughBuffer(buffer, { input: [itemOf('a')] }));
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
    const { seen } = watch(throughBuffer(buffer, { input: ['a', 'b'].map(itemOf), maxInFlight: 1, maxRecords: 1 }));
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
    const source = texts.map(itemOf);
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
    const { seen, unsubscribe } = watch(first);
    await rig.until(() => delivered.length === 1);
    if (how === 'error') stop.error(new Error('the sink broke'));
    else unsubscribe();
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
      throughBuffer(buffer, { input: ['a', 'b', 'c'].map(itemOf), maxInFlight: 2, maxRecords: 1 }),
    );
    await rig.until(() => seen.deliveries.length === 2 && buffer.stats().frontiers.durable === 4);
    seen.deliveries[1]?.ack(); // Behind one that is open: it is no use to the cursor yet.
    rig.crash('none');
    const again = throughBuffer(await rig.open(), { input: [itemOf('d')] });
    expect(await rig.run(collect(again.pipe(mergeMap(acknowledge, 1))))).toEqual(['a', 'b', 'c', 'd']);
  });
});
