// Behaviours of the systems this buffer learned from that only the whole buffer shows. Letters and numbers are those of
// docs/decisions/0003-lineage.md.
import { describe, expect, it } from 'vitest';
import { BufferRig, bufferPath, bytesOf, MiB, segmentName, textsOf } from '../../test/buffer-rig.ts';
import type { DiskBuffer } from './disk-buffer.ts';
import { decodeLedgerSlot, type LedgerContent, ledgerSlotBytes } from './ledger-slot.ts';

const KiB = 1024;

/** The newest content that the ledger on the disk holds. */
function ledgerOf(rig: BufferRig): LedgerContent {
  const bytes = rig.bytes('ledger');
  const slots = [0, ledgerSlotBytes].flatMap((start) => {
    const reading = decodeLedgerSlot(bytes.subarray(start, start + ledgerSlotBytes));
    return reading.kind === 'valid' ? [reading] : [];
  });
  const [newest] = slots.sort((one, other) => other.generation - one.generation);
  if (newest === undefined) throw new Error('no slot is valid');
  return newest.content;
}

async function appendSizes(rig: BufferRig, buffer: DiskBuffer, ...sizes: readonly number[]): Promise<void> {
  await rig.run(Promise.all(sizes.map((size) => buffer.append(new Uint8Array(size).fill(65)))));
}

describe('lineage of the queue', () => {
  it('V12: what the directory takes is counted anew from the files at open', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await appendSizes(rig, buffer, 100, 90_000, 80_000, 5);
    rig.kill();
    const again = await rig.open();
    expect(again.stats().disk.usedBytes).toBe(rig.disk.bytesBelow(bufferPath));
    await rig.close(again);
  });

  it('V13: reading frees nothing, acknowledging does', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await appendSizes(rig, buffer, 100_000, 100_000, 100_000);
    const cursor = buffer.cursor('default');
    const before = buffer.stats().disk.usedBytes;
    const deliveries = [await rig.read(cursor), await rig.read(cursor)];
    await rig.world.advance(1000);
    expect(buffer.stats().disk.usedBytes).toBe(before);
    for (const delivery of deliveries) delivery.ack();
    await rig.world.advance(1000);
    expect(buffer.stats().disk.usedBytes).toBeLessThan(before - 100_000);
    await rig.close(buffer);
  });

  it('V17: a record that comes between the look and the wait wakes the reader all the same', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const rig = new BufferRig({ seed });
      const buffer = await rig.open();
      const cursor = buffer.cursor('default');
      for (let turn = 0; turn < 10; turn++) {
        const read = cursor.read();
        for (let steps = turn % 4; steps > 0; steps--) await rig.world.step();
        const appended = rig.append(buffer, `${turn}`);
        const delivery = await rig.run(read);
        expect(delivery === undefined ? [] : textsOf(delivery)).toEqual([`${turn}`]);
        delivery?.ack();
        await appended;
      }
      await rig.close(buffer);
    }
  });

  it('V18, V32: closing is done once, wakes whoever reads with the end, and is idempotent', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const closed: unknown[] = [];
    buffer.events.on('closed', (value) => closed.push(value));
    const read = buffer.cursor('default').read();
    const [one, other] = [buffer.close(), buffer.close()];
    expect(await rig.run(read)).toBeUndefined();
    await rig.run(Promise.all([one, other]));
    await rig.run(buffer.close());
    expect(closed).toEqual([{ clean: true }]);
  });

  it('V20: what a failed write took along is not counted as stored', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    await rig.append(buffer, 'kept');
    rig.disk.faults.inject({ fault: 'EIO', operation: 'write', path: '.seg' });
    await expect(rig.append(buffer, 'lost')).rejects.toMatchObject({ kind: 'io' });
    rig.disk.heal();
    expect(buffer.stats().frontiers.durable).toBe(2);
    await rig.run(buffer.close().catch(() => undefined));
    expect(ledgerOf(rig)).toMatchObject({ clean: false, writer: { nextId: 2 } });
  });

  it('V27: a power cut anywhere around a roll leaves a buffer that goes on', async () => {
    for (let operation = 1; operation <= 25; operation++) {
      const rig = new BufferRig({ seed: operation });
      const first = await rig.open();
      await appendSizes(rig, first, 100_000);
      const crashed = rig.disk.crashAfterOperation(operation);
      void Promise.all([1, 2, 3].map(() => first.append(new Uint8Array(100_000)))).catch(() => undefined);
      await rig.run(crashed);
      rig.crash('random');
      const buffer = await rig.open();
      const [id] = await rig.append(buffer, 'behind the roll');
      const cursor = buffer.cursor('default');
      const seen = await rig.readTo(cursor, (id as number) + 1);
      expect(seen.at(-1)?.text).toBe('behind the roll');
      expect(seen[0]?.id).toBe(1);
      await rig.close(buffer);
    }
  });

  it.each(['os', 'interval', 'sync'] as const)(
    'V28: with %s the ledger never mentions what is not durable',
    async (durability) => {
      const rig = new BufferRig();
      const buffer = await rig.open({ durability, publishIntervalMs: 5, syncIntervalMs: 20 });
      const cursor = buffer.cursor('default');
      let published = 0;
      buffer.events.on('published', () => {
        const { writer } = ledgerOf(rig);
        if (writer.nextId === 1) return;
        published += 1;
        expect(rig.disk.wouldSurvive(`${bufferPath}/${segmentName(writer.segment)}`, 0, writer.offset)).toBe(true);
      });
      for (let count = 0; count < 60; count++) {
        await appendSizes(rig, buffer, 1 + ((count * 7919) % 9000));
        (await rig.read(cursor)).ack();
        await rig.world.advance(30);
      }
      expect(published).toBeGreaterThan(1);
      await rig.close(buffer);
    },
  );

  it.each(['os', 'memory'] as const)(
    'V29: with %s, too, what was appended becomes durable without anybody asking',
    async (durability) => {
      const rig = new BufferRig();
      const buffer = await rig.open({ durability });
      await appendSizes(rig, buffer, 100);
      await rig.world.advance(1100);
      expect(buffer.stats().frontiers.durable).toBe(2);
      await rig.close(buffer);
    },
  );

  it('V30: whoever is woken finds the counters where they should be', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open();
    const cursor = buffer.cursor('default');
    for (let count = 0; count < 20; count++) {
      const read = cursor.read().then((delivery) => ({ delivery, durable: buffer.stats().frontiers.durable }));
      await rig.append(buffer, `${count}`);
      const { delivery, durable } = await rig.run(read);
      const last = delivery?.records.at(-1);
      expect(durable).toBeGreaterThan(last?.id ?? 0);
      delivery?.ack();
    }
    await rig.close(buffer);
  });

  it('V38: write, crash, write again: nothing accepted is lost', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.append(first, 'before');
    rig.crash('none');
    const buffer = await rig.open();
    await rig.append(buffer, 'after');
    const seen = await rig.readTo(buffer.cursor('default'), 3);
    expect(seen.map(({ text }) => text)).toEqual(['before', 'after']);
    await rig.close(buffer);
  });
});

describe('lineage of the log', () => {
  it('F22: a torn tail is not built upon: the next record stands in a new segment', async () => {
    const rig = new BufferRig();
    const first = await rig.open();
    await rig.append(first, 'whole');
    rig.kill();
    const bytes = rig.bytes(segmentName(1));
    rig.plant(segmentName(1), Uint8Array.from([...bytes, ...bytes.subarray(4096, 4110)]));
    const buffer = await rig.open();
    await rig.append(buffer, 'next');
    expect(rig.segments()).toEqual([segmentName(1), segmentName(2)]);
    expect(rig.bytes(segmentName(1)).length).toBe(bytes.length);
    await rig.close(buffer);
  });

  it('L22: closing makes durable what was only copied, unless writing has failed', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ durability: 'memory' });
    buffer.tryAppend(bytesOf('copied'));
    await rig.close(buffer);
    rig.crash('none');
    const again = await rig.open();
    expect(await rig.readTo(again.cursor('default'), 2)).toMatchObject([{ text: 'copied' }]);
    again.tryAppend(bytesOf('never'));
    rig.disk.faults.inject({ fault: 'EIO', operation: 'write', path: '.seg' });
    await expect(rig.run(again.commit())).rejects.toMatchObject({ kind: 'io' });
    const writes = rig.disk.calls.filter(
      ({ operation, path }) => operation === 'write' && path.endsWith('.seg'),
    ).length;
    await rig.run(again.close().catch(() => undefined));
    const after = rig.disk.calls.filter(({ operation, path }) => operation === 'write' && path.endsWith('.seg')).length;
    expect(after).toBe(writes);
  });

  it('F28: records of mixed sizes come back whole across slots and segments', async () => {
    const rig = new BufferRig();
    const buffer = await rig.open({ maxBytes: 32 * MiB, segmentBytes: 256 * KiB });
    let state = 0x9e37_79b9;
    const sizes = Array.from({ length: 1500 }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state % 2500;
    });
    const payloads = sizes.map((size, place) => new Uint8Array(size).fill(place));
    await rig.run(Promise.all(payloads.map((payload) => buffer.append(payload))));
    rig.crash('none');
    const again = await rig.open({ maxBytes: 32 * MiB, segmentBytes: 256 * KiB });
    const cursor = again.cursor('default');
    let place = 0;
    while (place < payloads.length) {
      const delivery = await rig.read(cursor);
      for (const { payload } of delivery.records) {
        expect(Buffer.compare(payload, payloads[place] as Uint8Array)).toBe(0);
        place += 1;
      }
      delivery.ack();
    }
    expect(rig.segments().length).toBeGreaterThan(5);
    await rig.close(again);
  });
});
