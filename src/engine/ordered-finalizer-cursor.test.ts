// Cursors and deliveries on a buffer: what is handed out, what comes back, and what is counted.

import { describe, expect, it } from 'vitest';
import { BufferRig, bytesOf, flipped, framesIn, listenToLosses, segmentName, textsOf } from '../../test/buffer-rig.ts';
import type { Cursor } from './ordered-finalizer-cursor.ts';

async function withRecords(...texts: readonly string[]) {
  const rig = new BufferRig();
  const buffer = await rig.open();
  await rig.append(buffer, ...texts);
  return { rig, buffer, cursor: buffer.cursor('default') };
}

const settledTwice = expect.objectContaining({ code: 'SPILLWAY_USAGE_SETTLED' });

describe('a delivery', () => {
  it('settles as a whole exactly once', async () => {
    const { rig, buffer, cursor } = await withRecords('a', 'b');
    const delivery = await rig.read(cursor);
    expect([delivery.unsettled, cursor.openDeliveries, cursor.unsettledRecords]).toEqual([2, 1, 2]);
    delivery.ack();
    expect([delivery.unsettled, cursor.openDeliveries, cursor.nextId]).toEqual([0, 0, 3]);
    for (const again of [
      () => delivery.ack(),
      () => delivery.retry(),
      () => delivery.reject('x'),
      () => delivery.settle(['ack', 'ack']),
      () => delivery.settle([undefined, 'ack']),
    ]) {
      expect(again).toThrow(settledTwice);
    }
    delivery.settle([undefined, undefined]); // Says nothing about any record.
    expect(cursor.nextId).toBe(3);
    buffer.recount();
  });

  it('settles record by record, in parts and in any order', async () => {
    const { rig, buffer, cursor } = await withRecords('a', 'b', 'c');
    const delivery = await rig.read(cursor);
    delivery.settle([undefined, 'ack', undefined]);
    expect([cursor.nextId, delivery.unsettled]).toEqual([1, 2]);
    expect(() => delivery.settle(['ack', 'ack', undefined])).toThrow(settledTwice);
    expect([cursor.nextId, delivery.unsettled]).toEqual([1, 2]); // All or nothing.
    delivery.settle([{ reject: 'bad' }, undefined, undefined]);
    expect(cursor.nextId).toBe(3);
    delivery.ack();
    expect([cursor.nextId, cursor.openDeliveries]).toEqual([4, 0]);
    expect(cursor.counters).toMatchObject({ acknowledged: { events: 2 }, rejected: { events: 1 } });
    expect(buffer.stats().totals).toMatchObject({ acknowledged: { events: 2 }, removed: { rejected: { events: 1 } } });
    buffer.recount();
  });

  it('refuses results that are too few, too many or none of the three', async () => {
    const { rig, cursor } = await withRecords('a', 'b');
    const delivery = await rig.read(cursor);
    const wrong: unknown[] = [
      [],
      ['ack'],
      ['ack', 'ack', 'ack'],
      ['ack', 'nack'],
      ['ack', {}],
      ['ack', null],
      ['ack', 7],
    ];
    for (const results of [...wrong, ['ack', { retry: -1 }], ['ack', { retry: Number.NaN }]]) {
      expect(() => delivery.settle(results as never)).toThrow(settledTwice);
    }
    expect(delivery.unsettled).toBe(2);
    delivery.ack();
    expect(cursor.nextId).toBe(3);
  });

  it('comes again after its time, before records not yet handed out, in record order', async () => {
    const { rig, cursor } = await withRecords('a', 'b', 'c', 'd');
    const first = await rig.read(cursor, { maxRecords: 1 });
    const second = await rig.read(cursor, { maxRecords: 1 });
    second.retry(50);
    first.retry(50);
    expect(textsOf(await rig.read(cursor, { maxRecords: 1 }))).toEqual(['c']); // Later ones meanwhile.
    await rig.world.advance(50);
    const again = await rig.read(cursor);
    expect(textsOf(again)).toEqual(['a', 'b']);
    expect([cursor.retried, cursor.nextId]).toEqual([2, 1]);
    again.ack();
    expect(cursor.nextId).toBe(3);
    expect(textsOf(await rig.read(cursor))).toEqual(['d']);
  });

  it('comes again in record order when it was handed back in parts, at several times', async () => {
    const { rig, cursor } = await withRecords('a', 'b', 'c');
    (await rig.read(cursor)).retry();
    await rig.world.advance(10);
    const part = await rig.read(cursor, { maxRecords: 2 });
    await rig.world.advance(10);
    part.retry();
    expect(textsOf(await rig.read(cursor, { maxRecords: 2 }))).toEqual(['a', 'b']);
    expect(textsOf(await rig.read(cursor))).toEqual(['c']);
  });

  it('waits for a retry when nothing else is there', async () => {
    const { rig, cursor } = await withRecords('a');
    (await rig.read(cursor)).retry(200);
    const before = rig.world.timeMs;
    const again = await rig.read(cursor);
    expect(rig.world.timeMs - before).toBeGreaterThanOrEqual(200);
    again.ack();
    expect(cursor.nextId).toBe(2);
  });

  it('keeps to maxBytes when records come again', async () => {
    const { rig, cursor } = await withRecords('aaaa', 'bbbb', 'cccc');
    (await rig.read(cursor)).retry();
    expect(textsOf(await rig.read(cursor, { maxBytes: 8 }))).toEqual(['aaaa', 'bbbb']);
    expect(textsOf(await rig.read(cursor, { maxBytes: 1 }))).toEqual(['cccc']);
  });

  it('does nothing once the buffer is closed', async () => {
    const { rig, buffer, cursor } = await withRecords('a', 'b', 'c');
    const deliveries = [];
    for (let count = 0; count < 3; count++) deliveries.push(await rig.read(cursor, { maxRecords: 1 }));
    await rig.close(buffer);
    deliveries[0]?.ack();
    deliveries[1]?.reject('late');
    deliveries[2]?.retry(1);
    expect([cursor.nextId, cursor.counters.rejected.events]).toEqual([1, 0]);
    expect(rig.process.clock.owedCount).toBe(0);
  });
});

describe('reading', () => {
  it('is answered in the order of the calls', async () => {
    const { rig, cursor } = await withRecords('a', 'b', 'c');
    const reads = ['a', 'b', 'c'].map(() => cursor.read({ maxRecords: 1 }));
    const deliveries = await rig.run(Promise.all(reads));
    expect(deliveries.map((delivery) => delivery?.records[0]?.id)).toEqual([1, 2, 3]);
  });

  it('takes limits as upper bounds, and at least one record', async () => {
    const { rig, cursor } = await withRecords('a', 'bb', 'ccc', 'dddd', 'eeeee');
    expect(textsOf(await rig.read(cursor, { maxRecords: 0 }))).toEqual(['a']);
    expect(textsOf(await rig.read(cursor, { maxBytes: 0 }))).toEqual(['bb']);
    expect(textsOf(await rig.read(cursor, { maxBytes: 7 }))).toEqual(['ccc', 'dddd']);
    expect(textsOf(await rig.read(cursor))).toEqual(['eeeee']);
  });

  it('ends with the reason of its signal, and hands nothing out then', async () => {
    const { rig, buffer, cursor } = await withRecords('a');
    (await rig.read(cursor)).ack();
    const stop = new AbortController();
    const aborted = cursor.read({ signal: stop.signal });
    const next = cursor.read();
    await rig.world.advance(10);
    stop.abort(new Error('enough'));
    await expect(rig.run(aborted)).rejects.toThrow('enough');
    await expect(cursor.read({ signal: stop.signal })).rejects.toThrow('enough');
    await rig.append(buffer, 'b');
    expect((await rig.run(next))?.records[0]?.id).toBe(2);
  });

  it('wakes a read that was aborted behind another without giving it the turn of the first', async () => {
    const { rig, buffer, cursor } = await withRecords();
    const stop = new AbortController();
    const first = cursor.read({ maxRecords: 1 });
    const second = cursor.read({ signal: stop.signal });
    const third = cursor.read({ maxRecords: 1 });
    stop.abort(new Error('enough'));
    await expect(rig.run(second)).rejects.toThrow('enough');
    await rig.append(buffer, 'a', 'b');
    expect((await rig.run(first))?.records[0]?.id).toBe(1);
    expect((await rig.run(third))?.records[0]?.id).toBe(2);
  });

  it('holds the window: whole frames count, and one may always be taken', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ maxUnsettledBytes: 300 });
    await rig.appendFrames(buffer, 'a'.repeat(50), 'b'.repeat(50), 'c'.repeat(50), 'd'.repeat(500));
    const cursor = buffer.cursor('default');
    const deliveries = [await rig.read(cursor, { maxRecords: 1 }), await rig.read(cursor, { maxRecords: 1 })];
    expect(cursor.unsettledBytes).toBe(224);
    const waiting = cursor.read();
    expect(await rig.within(1_000, waiting)).toBe('pending');
    deliveries[0]?.ack();
    const third = await rig.run(waiting);
    expect(third?.records.map(({ id }) => id)).toEqual([3]);
    deliveries[1]?.ack();
    third?.ack();
    expect((await rig.read(cursor)).records.map(({ id }) => id)).toEqual([4]); // Larger than the window.
    buffer.recount();
  });

  it('hands out payloads that stay as they are', async () => {
    const { rig, buffer, cursor } = await withRecords('precious');
    const [record] = (await rig.read(cursor)).records;
    for (let count = 0; count < 30; count++) await rig.run(buffer.append(new Uint8Array(20_000).fill(120)));
    expect(record?.payload).toEqual(bytesOf('precious'));
  });
});

describe('accounts', () => {
  /** Six records, a frame each; `second` stands behind three of them, and then frames 2 to 5 rot. */
  async function rottenInTheMiddle(damaged: readonly number[]) {
    const rig = new BufferRig();
    const first = await rig.open({ cursors: ['default', 'second'] });
    await rig.appendFrames(first, 'one', 'two', 'three', 'four', 'five', 'six');
    for (let count = 0; count < 3; count++) (await rig.read(first.cursor('second'), { maxRecords: 1 })).ack();
    await rig.close(first);
    let bytes = rig.bytes(segmentName(1));
    for (const { offset, firstId } of framesIn(bytes)) {
      if (damaged.includes(firstId)) bytes = flipped(bytes, offset + 50);
    }
    rig.plant(segmentName(1), bytes);
    const buffer = await rig.open({ cursors: ['default', 'second'] });
    return { rig, buffer, losses: listenToLosses(buffer) };
  }

  it.each([
    ['the slow one first', ['default', 'second']],
    ['the fast one first', ['second', 'default']],
  ])('a gap that another cursor stands in is counted once, %s', async (_order, names) => {
    const { rig, buffer, losses } = await rottenInTheMiddle([2, 3, 4, 5]);
    for (const name of names) {
      await rig.readTo(buffer.cursor(name), 7);
      buffer.recount();
    }
    expect(buffer.stats().totals).toMatchObject({ acknowledged: { events: 2 }, damaged: { events: 4 } });
    expect(losses).toContainEqual({ reason: 'damaged', events: 4, bytes: 0, cursor: 'default' });
    expect(losses).toContainEqual({ reason: 'damaged', events: 2, bytes: 0, cursor: 'second' });
    expect(losses).toHaveLength(2);
  });

  it('a cursor that begins later and reads old records again changes nothing in the totals', async () => {
    const { rig, buffer, cursor } = await withRecords('a', 'b', 'c');
    await rig.readTo(cursor, 4);
    const late = buffer.cursor('late');
    await rig.append(buffer, 'd', 'e');
    const [seen, again] = [await rig.readTo(late, 6), await rig.readTo(cursor, 6)];
    expect([seen.length, again.length]).toEqual([5, 2]);
    expect(buffer.stats().totals.acknowledged).toEqual({ events: 5, bytes: 5 });
    buffer.recount();
  });

  it.each(['required', 'added'])(
    'a cursor that is %s later changes nothing in the totals, also after restarts',
    async (how) => {
      const { rig, buffer: first, cursor } = await withRecords('a', 'bb', 'ccc');
      await rig.append(first, 'dddd');
      const delivery = await rig.read(cursor, { maxRecords: 3 });
      delivery.settle(['ack', { reject: 'no' }, 'ack']);
      await rig.close(first);
      const expected = { acknowledged: { events: 2, bytes: 4 }, removed: { rejected: { events: 1, bytes: 2 } } };
      for (let restart = 0; restart < 3; restart++) {
        const buffer = await rig.open(how === 'required' ? { cursors: ['default', 'late'] } : {});
        expect(buffer.stats().totals).toMatchObject(expected);
        (await rig.read(buffer.cursor('late'), { maxRecords: 1 })).ack();
        expect(buffer.stats().totals).toMatchObject(expected);
        buffer.recount();
        await rig.close(buffer);
      }
      const buffer = await rig.open();
      await rig.readTo(buffer.cursor('late'), 5);
      await rig.readTo(buffer.cursor('default'), 5);
      expect(buffer.stats().totals).toMatchObject({ ...expected, acknowledged: { events: 3, bytes: 8 } });
      buffer.recount();
    },
  );

  it('takes an event’s fate from the last cursor to pass it', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ cursors: ['default', 'second'] });
    await rig.append(buffer, 'a', 'b', 'c', 'd');
    const settle = async (cursor: Cursor, ...results: ('ack' | { readonly reject: string })[]) =>
      (await rig.read(cursor, { maxRecords: results.length })).settle(results);
    const no = { reject: 'no' };
    await settle(buffer.cursor('default'), 'ack', no, 'ack', no);
    await settle(buffer.cursor('second'), no, 'ack', 'ack', no);
    const { acknowledged, removed } = buffer.stats().totals;
    expect([acknowledged.events, removed.rejected.events]).toEqual([2, 2]);
    buffer.recount();
  });

  it('counts for a removed cursor what only it had not passed', async () => {
    const { rig, buffer, cursor } = await withRecords('a', 'b', 'c');
    const slow = buffer.cursor('slow');
    (await rig.read(slow, { maxRecords: 1 })).ack();
    await rig.readTo(cursor, 4);
    expect(buffer.stats().totals.acknowledged).toEqual({ events: 1, bytes: 1 });
    const late = await rig.read(slow);
    await rig.run(buffer.removeCursor('slow'));
    expect(buffer.stats().totals.acknowledged).toEqual({ events: 3, bytes: 3 });
    late.ack();
    expect(slow.nextId).toBe(2);
    buffer.recount();
    expect(buffer.stats().cursors.map(({ name }) => name)).toEqual(['default']);
  });
});
