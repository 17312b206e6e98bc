// Deliveries of a real cursor on a simulated disk. Their moments are in marbles.test.ts.

import { firstValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { opened, remaining, textsOf, watch } from '../../test/stage-rig.ts';
import { deliveries } from './index.ts';

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
    two.unsubscribe();
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
    const { seen, unsubscribe } = watch(deliveries(cursor));
    expect(cursor.openDeliveries).toBe(1); // On its way,
    unsubscribe(); // and nobody to give it to.
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

  it('keep to maxBytes', async () => {
    const { rig, buffer } = await opened();
    await rig.append(buffer, 'a', 'b', 'c');
    const { seen } = watch(deliveries(buffer.cursor('default'), { maxBytes: 2 }));
    await rig.until(() => seen.deliveries.length === 1);
    expect(seen.deliveries.map(textsOf)).toEqual([['a', 'b']]);
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
