// Several cursors on one buffer: where they begin, what they hold back, and what survives of them.

import { describe, expect, it } from 'vitest';
import { BufferRig, bytesOf, MiB, segmentName, textsOf } from '../../test/buffer-rig.ts';
import type { DiskBuffer } from './disk-buffer.ts';

const refused = expect.objectContaining({ code: 'SPILLWAY_USAGE_CURSOR' });

function positions(buffer: DiskBuffer): Record<string, number> {
  return Object.fromEntries(buffer.stats().cursors.map(({ name, nextId }) => [name, nextId]));
}

describe('names', () => {
  it('are checked', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    for (const name of ['', 'a b', 'ä', '../x', 'x'.repeat(65)]) expect(() => buffer.cursor(name)).toThrow(refused);
    for (const cursors of [[], ['a', 'a'], ['a', ''], Array.from({ length: 33 }, (_, at) => `c${at}`)]) {
      await expect(rig.open({ path: '/data/other', cursors })).rejects.toMatchObject({ code: 'SPILLWAY_USAGE_CURSOR' });
    }
    expect(buffer.cursor('default')).toBe(buffer.cursor('default'));
  });

  it('are at most 32 at a time, with the longest and everything else the ledger has room', async () => {
    const rig = new BufferRig();
    const names = Array.from({ length: 32 }, (_, at) => `${at}`.padStart(64, '_'));
    const buffer = await rig.open({ cursors: names.slice(0, 4) });
    for (const name of names) buffer.cursor(name);
    expect(() => buffer.cursor('one-too-many')).toThrow(refused);
    await rig.run(buffer.removeCursor(names[31] as string));
    buffer.cursor('no-longer');
    await rig.close(buffer);
    const next = await rig.open({ cursors: names.slice(0, 4) });
    expect(next.stats().cursors).toHaveLength(32);
  });

  it('of required cursors cannot be removed, nor can what is not there', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await expect(rig.run(buffer.removeCursor('default'))).rejects.toEqual(refused);
    await expect(rig.run(buffer.removeCursor('nobody'))).rejects.toEqual(refused);
  });
});

describe('where a cursor begins', () => {
  it('required: at the oldest record, durable before open resolves', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.append(first, 'a', 'b');
    await rig.close(first);
    await rig.open({ cursors: ['default', 'second'] });
    rig.crash('none');
    const buffer = await rig.open();
    expect(positions(buffer)).toEqual({ default: 1, second: 1 });
    const second = buffer.stats().cursors.find(({ name }) => name === 'second');
    expect(second?.required).toBe(false); // Known, and holding back what it has not seen, until it is removed.
  });

  it('required, newest: behind everything that was there, durable before open resolves', async () => {
    const rig = new BufferRig();
    const cursors = ['default', { name: 'late', from: 'newest' }] as const;
    const first = await rig.open();
    await rig.append(first, 'a', 'b');
    await rig.close(first);
    await rig.open({ cursors });
    rig.crash('none');
    const second = await rig.open({ cursors });
    expect(positions(second)).toEqual({ default: 1, late: 3 });
    await rig.append(second, 'c');
    expect(textsOf(await rig.read(second.cursor('late')))).toEqual(['c']);
    await rig.close(second);
    // Known now: it stays where it was.
    expect(positions(await rig.open({ cursors }))).toEqual({ default: 1, late: 3 });
  });

  it('required, newest, after a crash: behind what the scan found, and never behind what it did not', async () => {
    const rig = new BufferRig();
    const cursors = ['default', { name: 'late', from: 'newest' }] as const;
    const first = await rig.open({ durability: 'os', publishIntervalMs: 60_000 });
    await rig.append(first, 'a', 'b');
    rig.kill();
    const second = await rig.open({ cursors });
    expect(positions(second)).toEqual({ default: 1, late: 3 });
    await rig.append(second, 'c');
    second.recount();
    expect(textsOf(await rig.read(second.cursor('late')))).toEqual(['c']);
  });

  it('required, newest, and both slots of the ledger lost: at the oldest record', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.append(first, 'a', 'b');
    await rig.close(first);
    rig.plant('ledger', new Uint8Array(0));
    const buffer = await rig.open({ cursors: [{ name: 'late', from: 'newest' }] });
    expect(positions(buffer)).toEqual({ late: 1 });
  });

  it('newest: behind everything appended so far, also what is not written yet', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await rig.append(buffer, 'a');
    buffer.tryAppend(bytesOf('b'));
    const cursor = buffer.cursor('late', { from: 'newest' });
    buffer.tryAppend(bytesOf('c'));
    expect((await rig.read(cursor)).records.map(({ id }) => id)).toEqual([3]);
  });

  it.each(['oldest', 'newest'] as const)('%s: its position is durable before its first read resolves', async (from) => {
    const rig = new BufferRig();
    const buffer = await rig.open({ durability: 'os' });
    await rig.append(buffer, 'a', 'b');
    const start = from === 'newest' ? 3 : 1;
    const cursor = buffer.cursor('late', { from });
    await rig.append(buffer, 'c');
    await rig.read(cursor);
    rig.crash('none');
    expect(positions(await rig.open())).toMatchObject({ late: start });
  });

  it('newest, with durability sync: durable where it was asked for, although that was not written yet', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    for (const text of ['a', 'b', 'c']) buffer.tryAppend(bytesOf(text));
    const cursor = buffer.cursor('late', { from: 'newest' });
    buffer.tryAppend(bytesOf('d'));
    const [record] = (await rig.read(cursor)).records;
    expect(record?.id).toBe(4);
    rig.crash('none');
    expect(positions(await rig.open())).toMatchObject({ late: 4 });
  });

  it('holds back from then on what it has not acknowledged, also in the next run', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.append(first, 'a');
    first.cursor('slow');
    await rig.close(first);
    const buffer = await rig.open();
    for (let count = 0; count < 6; count++) await rig.run(buffer.append(new Uint8Array(60_000)));
    await rig.readTo(buffer.cursor('default'), 8);
    await rig.world.advance(1_000);
    expect(rig.segments()[0]).toBe(segmentName(1));
    await rig.readTo(buffer.cursor('slow'), 8);
    await rig.world.advance(1_000);
    expect(rig.segments()).toHaveLength(1);
  });

  it('waits for a ledger that cannot be written, and then reads', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await rig.append(buffer, 'a');
    await rig.world.advance(1_000);
    rig.disk.faults.inject({ fault: 'EIO', operation: 'write', path: 'ledger' });
    const read = buffer.cursor('late').read();
    expect(await rig.within(1_000, read)).toBe('pending');
    const stop = new AbortController();
    const aborted = buffer.cursor('later').read({ signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(rig.run(aborted)).rejects.toThrow('enough');
    rig.disk.heal();
    expect((await rig.run(read))?.records[0]?.id).toBe(1);
  });
});

describe('what is told', () => {
  it('stats: backlog, disk and payload bytes apart, frontiers, totals', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ cursors: ['default', 'second'] });
    await rig.run(buffer.append(new Uint8Array(100), { events: 5 }));
    await rig.run(buffer.append(new Uint8Array(50)));
    (await rig.read(buffer.cursor('second'), { maxRecords: 1 })).ack();
    const stats = buffer.stats();
    expect(stats).toMatchObject({
      state: 'open',
      failure: undefined,
      durability: 'sync',
      whenFull: 'block',
      backlog: { events: 6, bytes: 150 },
      totals: { appended: { events: 6, bytes: 150 }, acknowledged: { events: 0, bytes: 0 } },
      frontiers: { reserved: 7, submitted: 7, written: 7, durable: 7 },
      waitingAppends: 0,
    });
    expect(stats.cursors.map(({ backlog }) => backlog)).toEqual([
      { events: 6, bytes: 150 },
      { events: 1, bytes: 50 },
    ]);
    await rig.world.advance(1_000);
    const files = rig.names().map((name) => rig.bytes(name).length);
    const holder = rig.bytes('holder').length;
    const { usedBytes } = buffer.stats().disk;
    expect(usedBytes).toBe(files.reduce((sum, length) => sum + length, 0) + holder);
  });

  it('backlog in bytes, after a restart and whatever became of the records', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.append(first, 'aaaa', 'bbb', 'cc', 'd');
    (await rig.read(first.cursor('default'), { maxRecords: 2 })).settle([{ reject: 'no' }, 'ack']);
    await rig.close(first);
    const buffer = await rig.open({ cursors: ['default', 'second'] });
    expect(buffer.stats().backlog.events).toBe(4);
    expect(buffer.stats().cursors[0]?.backlog).toEqual({ events: 2, bytes: 3 });
  });

  it('events: created, durable, published, rejected, full, freed, closed', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ maxBytes: MiB });
    const heard: string[] = [];
    const hear = (name: Parameters<typeof buffer.events.on>[0]): (() => void) =>
      buffer.events.on(name, () => heard.at(-1) !== name && heard.push(name));
    for (const name of ['segment_created', 'published', 'rejected', 'full', 'segment_freed', 'closed'] as const)
      hear(name);
    const stopHearing = hear('durable');
    await rig.append(buffer, 'a');
    expect(heard.filter((name) => name !== 'published')).toEqual(['segment_created', 'durable']);
    stopHearing();
    heard.length = 0;
    (await rig.read(buffer.cursor('default'))).reject('bad');
    expect(heard).toEqual(['rejected']);
    const appends = Promise.all(Array.from({ length: 40 }, () => buffer.append(new Uint8Array(50_000))));
    await rig.world.advance(1_000);
    expect(heard).toContain('full');
    await rig.readTo(buffer.cursor('default'), 42);
    await rig.run(appends);
    await rig.close(buffer);
    expect(heard).toContain('segment_freed');
    expect(heard).toContain('published');
    expect(heard.at(-1)).toBe('closed');
  });
});
