// The buffer as its user meets it: open, append, read, settle, close, on a simulated disk.

import { describe, expect, it } from 'vitest';
import { BufferRig, bytesOf, MiB, segmentName, textOf, textsOf } from '../../test/buffer-rig.ts';

describe('the usual life', () => {
  it('delivers what was appended, in order, with ids by event count', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await rig.run(buffer.append(bytesOf('a'), { events: 3, metadata: 7 }));
    await rig.append(buffer, 'b', 'c');
    const cursor = buffer.cursor('default');
    const records = [];
    while (records.length < 3) records.push(...(await rig.read(cursor)).records);
    expect(records.map(({ id, events, metadata, payload }) => [id, events, metadata, textOf(payload)])).toEqual([
      [1, 3, 7, 'a'],
      [4, 1, 0, 'b'],
      [5, 1, 0, 'c'],
    ]);
    expect(records[0]?.key).toBe(`${buffer.stats().uuid}/1-1`);
  });

  it('goes on after a clean close without a scan, in the same epoch and a new segment', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.append(first, 'one', 'two');
    await rig.close(first);
    const before = rig.disk.callCount;
    const second = await rig.open();
    const read = rig.disk.calls.filter((call) => call.number > before && call.operation === 'read');
    const reached = read.filter((call) => call.path.endsWith('.seg')).map((call) => call.offset + call.byteLength);
    expect(Math.max(...reached)).toBeLessThanOrEqual(4096); // Headers only.
    expect(second.stats()).toMatchObject({ epoch: 1, backlog: { events: 2, bytes: 6 } });
    expect(await rig.append(second, 'three')).toEqual([3]);
    expect(rig.segments()).toEqual([segmentName(1), segmentName(2)]);
    const seen = await rig.readTo(second.cursor('default'), 4);
    expect(seen.map(({ text }) => text)).toEqual(['one', 'two', 'three']);
    await rig.close(second);
  });

  it('delivers again, under the same keys, what was not acknowledged when it was killed', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.append(first, 'one', 'two');
    const before = (await rig.read(first.cursor('default'))).records.map((record) => record.key);
    rig.kill();
    const second = await rig.open();
    expect(second.stats().epoch).toBe(2);
    const again = (await rig.read(second.cursor('default'))).records.map((record) => record.key);
    expect(again).toEqual(before);
    await rig.append(second, 'three');
    const [record] = (await rig.read(second.cursor('default'))).records;
    expect(record?.key).toBe(`${second.stats().uuid}/2-3`);
  });

  it('frees a segment when every cursor has passed it and both slots say so', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ cursors: ['default', 'second'] });
    const payload = new Uint8Array(40_000);
    for (let count = 0; count < 8; count++) await rig.run(buffer.append(payload));
    expect(rig.segments()).toHaveLength(3);
    await rig.readTo(buffer.cursor('default'), 9);
    await rig.world.advance(1_000);
    expect(rig.segments()).toHaveLength(3);
    await rig.readTo(buffer.cursor('second'), 9);
    await rig.world.advance(1_000);
    expect(rig.segments()).toEqual([segmentName(3)]);
    buffer.recount();
    expect(buffer.stats().totals.acknowledged).toEqual({ events: 8, bytes: 320_000 });
    await rig.close(buffer);
  });

  it('gives everything back at close: files, timers, the lock', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await rig.append(buffer, 'one');
    const waiting = buffer.cursor('default');
    expect(textsOf(await rig.read(waiting))).toEqual(['one']);
    const read = waiting.read();
    const closed = buffer.close();
    expect(buffer.close()).toBe(closed);
    await rig.run(closed);
    expect(await rig.run(read)).toBeUndefined();
    expect(rig.disk.openFileCount(rig.process)).toBe(0);
    expect(rig.process.clock.owedCount).toBe(0);
    await rig.close(buffer);
    await rig.close(await rig.open());
  });

  it('is closed at the end of its scope', async () => {
    const rig = new BufferRig();
    let kept = await rig.open();
    const scope = async (): Promise<void> => {
      await using buffer = kept;
      await buffer.append(bytesOf('one'));
    };
    await rig.run(scope());
    expect(kept.stats().state).toBe('closed');
    kept = await rig.open();
    expect(kept.stats()).toMatchObject({ epoch: 1, backlog: { events: 1 } });
  });

  it('holds a small budget: it blocks when full and goes on when room comes back', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ maxBytes: MiB });
    const payload = new Uint8Array(50_000);
    const appends = Array.from({ length: 40 }, () => buffer.append(payload));
    const all = Promise.all(appends);
    expect(await rig.within(1_000, all)).toBe('pending');
    expect(rig.disk.bytesBelow('/data/buffer')).toBeLessThanOrEqual(MiB);
    await rig.readTo(buffer.cursor('default'), 41);
    await rig.run(all);
    expect(rig.disk.bytesBelow('/data/buffer')).toBeLessThanOrEqual(MiB);
    await rig.close(buffer);
  });
});

describe('use after close', () => {
  it('refuses what would change something and answers what can be answered', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const cursor = buffer.cursor('default');
    await rig.close(buffer);
    const closed = { code: 'SPILLWAY_USAGE_CLOSED' };
    await expect(buffer.append(bytesOf('late'))).rejects.toMatchObject(closed);
    await expect(buffer.appendBatch([{ payload: bytesOf('late') }])).rejects.toMatchObject(closed);
    await expect(buffer.commit()).rejects.toMatchObject(closed);
    await expect(buffer.ready()).rejects.toMatchObject(closed);
    await expect(buffer.removeCursor('default')).rejects.toMatchObject(closed);
    expect(() => buffer.tryAppend(bytesOf('late'))).toThrow(expect.objectContaining(closed));
    expect(() => buffer.cursor('default')).toThrow(expect.objectContaining(closed));
    expect(await rig.run(cursor.read())).toBeUndefined();
    expect(buffer.stats().state).toBe('closed');
  });
});
