// The end of a buffer: it waits for what it promised to wait for, and gives everything back whatever happens.

import { describe, expect, it } from 'vitest';
import { BufferRig, bytesOf, flipped, framesIn, segmentName, textsOf } from '../../test/buffer-rig.ts';
import type { DiskBuffer } from './disk-buffer.ts';

async function opened(...texts: readonly string[]) {
  const rig = new BufferRig();
  const buffer = await rig.open({ closeTimeoutMs: 500 });
  await rig.append(buffer, ...texts);
  return { rig, buffer, cursor: buffer.cursor('default') };
}

/** Nothing is held and nothing is to come: another process could have the directory. */
async function expectAllGivenBack(rig: BufferRig): Promise<void> {
  expect(rig.disk.openFileCount(rig.process)).toBe(0);
  expect(rig.process.clock.owedCount).toBe(0);
  rig.disk.heal();
  await rig.close(await rig.open({ lockTimeoutMs: 0 }));
}

function cleanliness(buffer: DiskBuffer): boolean[] {
  const clean: boolean[] = [];
  buffer.events.on('closed', (closed) => clean.push(closed.clean));
  return clean;
}

describe('close', () => {
  it('waits for open deliveries, but no longer than closeTimeoutMs', async () => {
    const { rig, buffer, cursor } = await opened('a', 'b');
    const delivery = await rig.read(cursor);
    const before = rig.world.timeMs;
    await rig.close(buffer);
    expect(rig.world.timeMs - before).toBeGreaterThanOrEqual(500);
    delivery.ack();
    const next = await rig.open();
    expect(next.stats()).toMatchObject({ epoch: 1, backlog: { events: 2 } });
  });

  it('takes what is settled meanwhile and goes on as soon as all of it is', async () => {
    const { rig, buffer, cursor } = await opened('a', 'b');
    const delivery = await rig.read(cursor);
    const before = rig.world.timeMs;
    const closed = buffer.close();
    await rig.world.advance(100);
    delivery.ack();
    await rig.run(closed);
    expect(rig.world.timeMs - before).toBeLessThan(200);
    expect((await rig.open()).stats()).toMatchObject({ epoch: 1, backlog: { events: 0 } });
  });

  it('makes durable what was only copied', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ durability: 'memory' });
    expect(buffer.tryAppend(bytesOf('a'))).toBe('accepted');
    await rig.close(buffer);
    rig.crash('none');
    expect((await rig.open()).stats()).toMatchObject({ epoch: 1, backlog: { events: 1 } });
  });

  it('rejects whoever waits for room', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const appends = Array.from({ length: 40 }, () => buffer.append(new Uint8Array(50_000)));
    const settled = Promise.allSettled(appends);
    await rig.world.advance(1_000);
    await rig.close(buffer);
    const outcomes = await rig.run(settled);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'SPILLWAY_USAGE_CLOSED' });
    const next = await rig.open();
    expect(next.stats().backlog.events).toBe(40 - refused.length);
  });

  it('gives everything back when the disk cannot take what was appended, and rejects with the cause', async () => {
    const { rig, buffer } = await opened('a');
    const clean = cleanliness(buffer);
    rig.disk.faults.inject({ fault: 'ENOSPC', operation: ['write', 'create'], path: '.seg' });
    expect(buffer.tryAppend(bytesOf('b'))).toBe('accepted');
    await expect(rig.close(buffer)).rejects.toMatchObject({ kind: 'full' });
    expect(clean).toEqual([false]);
    await expectAllGivenBack(rig);
  });

  it('gives up on a full disk also where that shows only after closeTimeoutMs', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ closeTimeoutMs: 0 });
    rig.disk.faults.inject({ fault: 'ENOSPC', operation: 'create', path: '.seg' });
    expect(buffer.tryAppend(bytesOf('a'))).toBe('accepted');
    const closed = buffer.close();
    expect(await rig.within(5_000, closed)).toBe('rejected');
    await expectAllGivenBack(rig);
  });

  it('gives everything back after a failure', async () => {
    const { rig, buffer } = await opened('a');
    const clean = cleanliness(buffer);
    rig.disk.faults.inject({ fault: 'EIO', operation: 'sync', path: '.seg' });
    const append = buffer.append(bytesOf('b'));
    await expect(rig.run(append)).rejects.toMatchObject({ kind: 'io' });
    expect(buffer.stats().state).toBe('failed');
    await expect(rig.close(buffer)).rejects.toMatchObject({ kind: 'io' });
    expect(clean).toEqual([false]);
    await expectAllGivenBack(rig);
  });

  it('gives everything back when the ledger cannot be written, and the next start is not clean', async () => {
    const { rig, buffer } = await opened('a');
    const clean = cleanliness(buffer);
    rig.disk.faults.inject({ fault: 'EIO', operation: 'write', path: 'ledger' });
    await rig.close(buffer);
    expect(clean).toEqual([false]);
    rig.disk.heal();
    expect((await rig.open()).stats()).toMatchObject({ epoch: 2, backlog: { events: 1 } });
  });

  it.each(['.seg', 'ledger'])('gives everything back when closing %s fails', async (path) => {
    const { rig, buffer, cursor } = await opened('a', 'b');
    await rig.world.advance(1_000);
    const late = buffer.cursor('late');
    expect(textsOf(await rig.read(late))).toEqual(['a', 'b']); // Holds a file.
    expect(cursor.openDeliveries).toBe(0);
    rig.disk.faults.inject({ fault: 'EIO', operation: 'close', path });
    await rig.run(buffer.close().catch(() => undefined));
    await expectAllGivenBack(rig);
  });

  it('ends a read that waits for a position that cannot become durable', async () => {
    const { rig, buffer } = await opened('a');
    rig.disk.faults.inject({ fault: 'EIO', operation: 'write', path: 'ledger' });
    const read = buffer.cursor('new').read();
    expect(await rig.within(1_000, read)).toBe('pending');
    await rig.close(buffer);
    expect(await rig.run(read)).toBeUndefined();
    await expectAllGivenBack(rig);
  });

  it('ends while appends wait for a ledger that cannot be written', async () => {
    const { rig } = await opened('a');
    rig.kill();
    rig.disk.faults.inject({ fault: 'EIO', operation: 'write', path: 'ledger' });
    const buffer = await rig.open();
    const failures: unknown[] = [];
    buffer.events.on('failed', ({ cause }) => failures.push(cause));
    const refusal = buffer.append(bytesOf('b')).catch((cause: unknown) => cause);
    await rig.world.advance(300);
    await rig.close(buffer);
    expect(await refusal).toMatchObject({ code: 'SPILLWAY_USAGE_CLOSED' });
    expect(failures).toEqual([]);
    await expectAllGivenBack(rig);
  });
});

describe('close in the middle of something', () => {
  it('ends a removal that waits for the ledger', async () => {
    const { rig, buffer } = await opened('a');
    await rig.read(buffer.cursor('slow'));
    const read = buffer.cursor('slow').read();
    rig.disk.faults.inject({ fault: 'EIO', operation: 'write', path: 'ledger' });
    const removal = buffer.removeCursor('slow').catch((cause: unknown) => cause);
    expect(await rig.within(1_000, removal)).toBe('pending');
    expect(await rig.run(read)).toBeUndefined();
    await rig.close(buffer);
    expect(await rig.run(removal)).toMatchObject({ code: 'SPILLWAY_USAGE_CLOSED' });
    await expectAllGivenBack(rig);
  });

  it('ends a drop of the oldest that waits for the ledger', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ whenFull: 'drop_oldest' });
    await rig.append(buffer, 'a');
    rig.disk.faults.inject({ fault: 'EIO', operation: 'write', path: 'ledger' });
    const appends = Promise.allSettled(Array.from({ length: 30 }, () => buffer.append(new Uint8Array(50_000))));
    expect(await rig.within(2_000, appends)).toBe('pending');
    await rig.close(buffer);
    const outcomes = await rig.run(appends);
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
    await expectAllGivenBack(rig);
  });

  it.each(['memory', 'os', 'interval', 'sync'] as const)(
    'with durability %s: nothing appended before is lost',
    async (durability) => {
      const rig = new BufferRig();
      const buffer = await rig.open({ durability });
      for (let count = 0; count < 5; count++) buffer.tryAppend(bytesOf(`${count}`));
      const appends = [buffer.append(bytesOf('5')), buffer.append(bytesOf('6'))];
      await rig.close(buffer);
      await rig.run(Promise.all(appends));
      rig.crash('none');
      const next = await rig.open();
      expect((await rig.readTo(next.cursor('default'), 8)).map(({ text }) => text)).toEqual([...'0123456']);
    },
  );
});

describe('close({ drain: true })', () => {
  it('is ended by a second close that does not drain', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await rig.append(buffer, 'nobody reads this');
    const draining = buffer.close({ drain: true });
    expect(await rig.within(60_000, draining)).toBe('pending');
    await rig.close(buffer);
    expect(await rig.within(0, draining)).toBe('resolved');
    const again = await rig.open();
    expect(again.stats().backlog.events).toBe(1);
    await rig.close(again);
  });

  it('delivers until every cursor is at the end', async () => {
    const { rig, buffer, cursor } = await opened('a', 'b');
    const closed = buffer.close({ drain: true });
    expect(await rig.within(2_000, closed)).toBe('pending');
    await expect(buffer.append(bytesOf('c'))).rejects.toMatchObject({ code: 'SPILLWAY_USAGE_CLOSED' });
    (await rig.read(cursor)).ack();
    await rig.run(closed);
    expect((await rig.open()).stats()).toMatchObject({ epoch: 1, backlog: { events: 0 } });
  });

  it('is at once done when nobody has anything to read', async () => {
    const { rig, buffer, cursor } = await opened('a');
    await rig.readTo(cursor, 2);
    await rig.close(buffer, { drain: true });
  });

  it('is done when the last events turn out to be damaged', async () => {
    const { rig, buffer: first } = await opened('a', 'b');
    await rig.close(first);
    const bytes = rig.bytes(segmentName(1));
    rig.plant(segmentName(1), flipped(bytes, (framesIn(bytes).at(-1)?.offset ?? 0) + 50));
    const buffer = await rig.open();
    const read = buffer.cursor('default').read();
    await rig.close(buffer, { drain: true });
    expect(await rig.run(read)).toBeUndefined();
  });

  it('ends when writing fails, with what could be read delivered', async () => {
    const { rig, buffer, cursor } = await opened('a');
    rig.disk.faults.inject({ fault: 'EIO', operation: 'sync', path: '.seg' });
    buffer.tryAppend(bytesOf('b'));
    const closed = buffer.close({ drain: true });
    (await rig.read(cursor)).ack();
    await expect(rig.run(closed)).rejects.toMatchObject({ kind: 'io' });
    await expectAllGivenBack(rig);
  });
});
