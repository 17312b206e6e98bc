// The stage over long stretches of virtual time: what a source may be ahead, what memory may hold, in which order.

import { from, mergeMap, Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { BufferRig, bytesOf, MiB } from '../../test/buffer-rig.ts';
import { collect, textsOf } from '../../test/stage-rig.ts';
import { type DeliveryContract, type StageItem, throughBuffer } from './index.ts';

const stepsMax = 5_000_000;

function sleep(rig: BufferRig, ms: number): Promise<void> {
  return new Promise((resolve) => {
    rig.process.clock.setTimer(ms, resolve);
  });
}

describe('a source of 100,000 items and a stalled sink', () => {
  const count = 100_000;

  it('is never more than one item ahead of what the buffer has accepted, if it can wait', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ durability: 'memory' });
    let taken = 0;
    let aheadMax = 0;
    function* generator(): Generator<StageItem> {
      while (taken < count) {
        taken += 1;
        aheadMax = Math.max(aheadMax, taken - stage.stats().accepted.items);
        yield { payload: bytesOf(`item ${taken}`) };
      }
    }
    const stage = throughBuffer(buffer, { input: generator(), maxInFlight: 2, maxRecords: 1_000 });
    const goOn = new Subject<void>();
    let isStalled = true;
    let next = 1;
    const sink = async (delivery: DeliveryContract): Promise<number> => {
      if (isStalled) await new Promise<void>((resolve) => goOn.subscribe(resolve));
      for (const text of textsOf(delivery)) expect(text).toBe(`item ${next++}`);
      delivery.ack();
      return delivery.records.length;
    };
    const running = collect(stage.pipe(mergeMap(sink, 2)));
    expect(await rig.within(60_000, running)).toBe('pending');
    expect(taken).toBeLessThan(count);
    const { accepted, inFlight } = stage.stats();
    expect([taken - accepted.items, inFlight, buffer.stats().waitingAppends]).toEqual([1, 2, 1]);
    await rig.world.advance(60_000);
    expect(stage.stats().accepted).toEqual(accepted); // It stands still.

    isStalled = false;
    goOn.next();
    const delivered = await rig.world.run(running, { stepsMax });
    expect(delivered.reduce((sum, records) => sum + records, 0)).toBe(count);
    expect([aheadMax, stage.stats().accepted.items, next]).toEqual([1, count, count + 1]);
  });

  it('is never more than maxPending items ahead, if it cannot wait', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ durability: 'memory' });
    const maxPending = 7;
    const stage = throughBuffer(buffer, { onPressure: 'drop_newest', maxPending });
    const source = new Subject<StageItem>();
    const payload = new Uint8Array(5_000); // A few hundred of them fill the buffer.
    let aheadMax = 0;
    const subscription = source.pipe(stage).subscribe(); // A sink that never settles anything.
    for (let emitted = 0; emitted < count; emitted++) {
      source.next({ payload });
      aheadMax = Math.max(aheadMax, stage.stats().pendingItems);
      if (emitted % 500 === 0) await rig.world.advance(1);
    }
    const { accepted, dropped, pendingItems } = stage.stats();
    expect([aheadMax, pendingItems]).toEqual([maxPending, maxPending]);
    expect([accepted.items > 100, buffer.stats().waitingAppends]).toEqual([true, 1]);
    expect(accepted.items + dropped.pressure.items + pendingItems).toBe(count);
    subscription.unsubscribe();
    await rig.world.settle();
    expect(stage.stats()).toMatchObject({ pendingItems: 0, abandoned: { items: maxPending }, inFlight: 0 });
  });
});

it('keeps memory flat and order for an hour with a sink that is slower than its source', async () => {
  const rig = new BufferRig();
  const maxUnsettledBytes = 64 * 1024;
  const buffer = await rig.open({ maxUnsettledBytes });
  const hourMs = 3_600_000;
  let made = 0;
  async function* source(): AsyncGenerator<StageItem> {
    while (rig.world.timeMs < hourMs) {
      await sleep(rig, 1_000);
      made += 1;
      // Half a MiB a minute, so that the buffer is full for most of the hour.
      yield Array.from({ length: 4 }, (_, index) => ({ payload: bytesOf(`${made}.${index}`.padEnd(2_000)) }));
    }
  }
  const stage = throughBuffer(buffer, { input: source(), maxInFlight: 8, maxRecords: 2 });
  const seen: string[] = [];
  const most = { inFlight: 0, unsettledBytes: 0, ahead: 0, usedBytes: 0 };
  let working = 0;
  const sink = async (delivery: DeliveryContract): Promise<void> => {
    working += 1;
    const [cursor] = buffer.stats().cursors;
    most.inFlight = Math.max(most.inFlight, working, stage.stats().inFlight);
    most.unsettledBytes = Math.max(most.unsettledBytes, cursor?.unsettledBytes ?? 0);
    most.ahead = Math.max(most.ahead, made - stage.stats().accepted.items);
    most.usedBytes = Math.max(most.usedBytes, buffer.stats().disk.usedBytes);
    seen.push(...textsOf(delivery).map((text) => text.trimEnd()));
    await sleep(rig, 6_000); // Eight at a time, two records each: 2.7 records a second, for 4 that come.
    delivery.ack();
    working -= 1;
  };
  await rig.world.run(collect(stage.pipe(mergeMap(sink, 8))), { stepsMax });
  const { accepted } = stage.stats();
  expect(accepted.items).toBe(made);
  expect(made).toBeGreaterThan(2_000);
  expect(made).toBeLessThan(3_600 * 0.8); // The sink held the source back.
  expect(seen).toEqual(Array.from({ length: made * 4 }, (_, at) => `${Math.floor(at / 4) + 1}.${at % 4}`));
  expect(most.inFlight).toBe(8);
  expect(most.ahead).toBeLessThanOrEqual(1);
  expect(most.unsettledBytes).toBeLessThanOrEqual(maxUnsettledBytes);
  expect(most.usedBytes).toBeLessThanOrEqual(MiB);
  buffer.recount();
});

it('has at most as many deliveries at work as mergeMap may take, and no queue in front of it', async () => {
  const rig = new BufferRig();
  const buffer = await rig.open();
  const items = Array.from({ length: 400 }, (_, index): StageItem => ({ payload: bytesOf(`${index}`) }));
  const stage = throughBuffer(buffer, { onPressure: 'error', maxPending: 400, maxInFlight: 8, maxRecords: 1 });
  const random = rig.world.random.fork('sink');
  let working = 0;
  let workingMax = 0;
  const begun: string[] = [];
  const deliver = async (delivery: DeliveryContract): Promise<string> => {
    working += 1;
    workingMax = Math.max(workingMax, working);
    expect(stage.stats().inFlight).toBeLessThanOrEqual(8);
    begun.push(...textsOf(delivery));
    await sleep(rig, random.between(1, 50));
    working -= 1;
    delivery.ack();
    return textsOf(delivery).join();
  };
  const ended = await rig.run(collect(from(items).pipe(stage, mergeMap(deliver, 8))));
  const inOrder = items.map((_, index) => `${index}`);
  expect(workingMax).toBe(8);
  expect(begun).toEqual(inOrder); // They begin in order,
  expect(ended).not.toEqual(inOrder); // end in any,
  expect(buffer.cursor('default').nextId).toBe(401); // and the cursor follows the order.
});
