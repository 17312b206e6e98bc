// The stage behind a plain Observable: what is pending, what is dropped, and how source and stage end each other.

import { concat, from, mergeMap, NEVER, Subject, throwError } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { bytesOf } from '../../test/buffer-rig.ts';
import { acknowledge, collect, itemOf, opened, remaining, textsOf, watch } from '../../test/stage-rig.ts';
import { type Acceptance, deliveries, type StageItem, throughBuffer } from './index.ts';

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
      from(['a', 'b', 'c'].map(itemOf)),
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
    const { unsubscribe } = watch(source.pipe(stage));
    source.next(itemOf('a'));
    await rig.until(() => stage.stats().accepted.items === 1);
    for (const text of ['b', 'c', 'd']) source.next(itemOf(text));
    expect(stage.stats().pendingItems).toBe(3);
    unsubscribe();
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
    const { seen } = watch(concat(from([itemOf('a'), { payload: new Uint8Array(900_000) }]), NEVER).pipe(stage));
    await rig.until(() => seen.end !== undefined);
    expect(seen.end).toMatchObject({ code: 'SPILLWAY_USAGE_TOO_LARGE' });
    expect(await remaining(rig, buffer)).toEqual(['a']);
  });

  it('errors with an item that is none, whatever the pressure', async () => {
    const { rig, buffer } = await opened();
    for (const first of [[], [itemOf('a')]]) {
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
