import { describe, expect, it } from 'vitest';
import { BufferRig, bytesOf, textOf } from '../../../test/buffer-rig.ts';
import { DiskBuffer } from '../../engine/disk-buffer.ts';
import { MemoryLog, simulatedWorld } from '../../testing/index.ts';
import type { CursorRequest, PipelineBuffer } from '../contract/buffer.ts';
import { diskBuffer } from './disk-buffer-plugin.ts';
import { MemoryBuffer } from './memory-buffer.ts';
import { memoryBuffer } from './memory-buffer-plugin.ts';
import { openBuffer } from './open-buffer.ts';
import { OverflowBuffer } from './overflow-buffer.ts';

const usual: readonly CursorRequest[] = [{ name: 'default', from: 'oldest' }];

type Chain = { readonly memory: MemoryBuffer; readonly disk: DiskBuffer; readonly chain: OverflowBuffer };

/** Memory for three records of one event, and a disk behind it. */
async function openChain(rig: BufferRig, cursors: readonly CursorRequest[] = usual): Promise<Chain> {
  const { clock, random } = rig.process;
  const names = cursors.map(({ name }) => name);
  const limits = { maxBytes: 100_000, maxEvents: 3, whenFull: 'block' } as const;
  const memory = new MemoryBuffer({ cursors: names, ...limits, clock, random });
  const disk = await rig.open({ cursors });
  return { memory, disk, chain: new OverflowBuffer({ stages: [memory, disk], cursors, clock, random }) };
}

async function append(rig: BufferRig, chain: PipelineBuffer, ...texts: readonly string[]): Promise<number[]> {
  const ids: number[] = [];
  for (const text of texts) {
    const result = await rig.run(chain.append(bytesOf(text)));
    ids.push(result.status === 'stored' ? result.recordId : Number.NaN);
  }
  return ids;
}

/** Reads and acknowledges so many records. */
async function take(rig: BufferRig, chain: PipelineBuffer, count: number, name: string = 'default'): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) {
    const delivery = await rig.run(chain.cursor(name).read({ maxRecords: count - texts.length }));
    if (delivery === undefined) throw new Error('the chain is closed');
    texts.push(...delivery.records.map(({ payload }) => textOf(payload)));
    delivery.ack();
  }
  return texts;
}

const eventsOf = ({ memory, disk }: Chain): number[] => [memory, disk].map((stage) => stage.stats().backlog.events);

describe('a chain', () => {
  it('skips nothing when a read of the disk that began long ago brings what comes behind memory', async () => {
    const rig = new BufferRig();
    const { chain } = await openChain(rig);
    await append(rig, chain, 'a', 'b', 'c', 'd', 'e');
    await take(rig, chain, 5);
    const reading = chain.cursor('default').read({ maxRecords: 1 }); // At the end of the disk's run.
    await rig.world.advance(100);
    await append(rig, chain, 'f', 'g', 'h', 'i', 'j');
    const first = await rig.run(reading);
    expect(first?.records.map(({ payload }) => textOf(payload))).toEqual(['f']);
    await rig.world.advance(100);
    first?.ack();
    expect(await take(rig, chain, 4)).toEqual(['g', 'h', 'i', 'j']);
  });

  it('fills memory, then the disk, and comes back to memory when everything is settled', async () => {
    const rig = new BufferRig();
    const opened = await openChain(rig);
    const { chain } = opened;
    expect(await append(rig, chain, 'a', 'b', 'c', 'd', 'e')).toEqual([1, 2, 3, 4, 5]);
    expect(eventsOf(opened)).toEqual([3, 2]);
    expect(await take(rig, chain, 3)).toEqual(['a', 'b', 'c']);
    expect(eventsOf(opened)).toEqual([0, 2]);
    await append(rig, chain, 'f'); // There is room in memory, and older records on disk.
    expect(eventsOf(opened)).toEqual([0, 3]);
    expect(await take(rig, chain, 3)).toEqual(['d', 'e', 'f']);
    expect(await append(rig, chain, 'g', 'h')).toEqual([7, 8]);
    expect(eventsOf(opened)).toEqual([2, 0]);
    expect(await take(rig, chain, 2)).toEqual(['g', 'h']);
    await rig.run(chain.close());
  });

  it('does not come back before the slowest cursor is through', async () => {
    const rig = new BufferRig();
    const opened = await openChain(rig, [...usual, { name: 'slow', from: 'oldest' }]);
    const { chain } = opened;
    await append(rig, chain, 'a', 'b', 'c', 'd');
    await take(rig, chain, 4);
    await append(rig, chain, 'e');
    expect(eventsOf(opened)).toEqual([3, 2]);
    expect(await take(rig, chain, 5, 'slow')).toEqual(['a', 'b', 'c', 'd', 'e']);
    await take(rig, chain, 1);
    await append(rig, chain, 'f');
    expect(eventsOf(opened)).toEqual([1, 0]);
  });

  it('wakes a read that waits at the end of memory when the disk takes over', async () => {
    const rig = new BufferRig();
    const { chain } = await openChain(rig);
    await append(rig, chain, 'a', 'b', 'c');
    const held = await rig.run(chain.cursor('default').read());
    const waiting = chain.cursor('default').read();
    await append(rig, chain, 'd');
    expect((await rig.run(waiting))?.records.map(({ payload }) => textOf(payload))).toEqual(['d']);
    held?.retry();
    expect(await take(rig, chain, 3)).toEqual(['a', 'b', 'c']); // Of memory, before anything new of the disk.
  });

  it('settles its stages as far as its own cursor is, so that a crash skips nothing', async () => {
    const rig = new BufferRig();
    const opened = await openChain(rig);
    const { chain } = opened;
    await append(rig, chain, 'a', 'b', 'c', 'd', 'e');
    const first = await rig.run(chain.cursor('default').read());
    const second = await rig.run(chain.cursor('default').read());
    second?.ack(); // Out of order: the records of memory are open.
    expect(eventsOf(opened)).toEqual([3, 2]);
    first?.ack();
    expect(eventsOf(opened)).toEqual([0, 0]);
  });
});

const padded = (number: number): string => `${number} `.padEnd(20_000, '.');

/** Appends until an append waits for room. Returns its number. */
async function fill(rig: BufferRig, chain: PipelineBuffer): Promise<number> {
  for (let number = 0; ; number++) {
    let settled = false;
    void chain.append(bytesOf(padded(number))).then(() => {
      settled = true;
    });
    await rig.until(() => settled || chain.stats().waitingAppends > 0);
    if (!settled) return number;
  }
}

describe('a disk at its limits', () => {
  it('keeps its turn while an append waits for it, although everything is settled', async () => {
    const rig = new BufferRig();
    const opened = await openChain(rig);
    const { chain } = opened;
    rig.disk.faults.inject({ fault: 'EIO', operation: 'write', path: '/ledger' }); // So nothing is freed.
    const waiting = await fill(rig, chain);
    await take(rig, chain, waiting);
    expect(chain.stats().backlog.events).toBe(0);
    const late = chain.append(bytesOf('late'));
    expect([chain.stats().waitingAppends, opened.memory.stats().backlog.events]).toEqual([2, 0]);
    rig.disk.faults.clear();
    const [first, second] = await take(rig, chain, 2);
    expect([Number.parseInt(first ?? '', 10), second]).toEqual([waiting, 'late']);
    await rig.run(late);
    expect(chain.cursor('default').nextId).toBe(waiting + 3);
  });

  it('drops what the chain has read ahead, and that never comes', async () => {
    const rig = new BufferRig();
    const { clock, random } = rig.process;
    const disk = await rig.open({ cursors: usual, whenFull: 'drop_oldest' });
    const chain = new OverflowBuffer({ stages: [disk], cursors: usual, clock, random });
    let isLost = false;
    chain.events.on('lost', () => {
      isLost = true;
    });
    await append(rig, chain, ...Array.from({ length: 20 }, (_, at) => padded(at)));
    const cursor = chain.cursor('default');
    const held = await rig.run(cursor.read({ maxRecords: 1 }));
    let next = 20;
    while (!isLost) await append(rig, chain, padded(next++));
    const { nextId } = cursor;
    expect(nextId).toBeGreaterThan(2);
    held?.ack();
    const numbers = (await take(rig, chain, next + 1 - nextId)).map((text) => Number.parseInt(text, 10));
    expect(numbers).toEqual(Array.from({ length: next + 1 - nextId }, (_, at) => nextId - 1 + at));
    expect(chain.stats().backlog.events).toBe(0);
  });

  it('passes what is damaged at its end', async () => {
    const rig = new BufferRig();
    const first = await openChain(rig);
    await append(rig, first.chain, 'a', 'b', 'c', 'd', 'e', 'f'.padEnd(8_192, 'f'));
    await rig.run(first.chain.close());
    const path = '/data/buffer/0000000000000001.seg';
    rig.disk.flipBits(path, rig.disk.bytesOf(path).length - 1_000);
    const second = await openChain(rig);
    expect(await take(rig, second.chain, 2)).toEqual(['d', 'e']);
    const waiting = second.chain.cursor('default').read();
    await rig.until(() => second.chain.cursor('default').nextId === 4);
    expect(second.chain.stats().backlog.events).toBe(0);
    await append(rig, second.chain, 'g');
    expect(eventsOf(second)).toEqual([1, 0]);
    expect((await rig.run(waiting))?.records.map(({ payload }) => textOf(payload))).toEqual(['g']);
  });

  it('passes what is damaged also while it drains', async () => {
    const rig = new BufferRig();
    const first = await openChain(rig);
    const small = Array.from({ length: 3 + 80 }, (_, at) => `${at}`); // More than is read ahead at once.
    await append(rig, first.chain, ...small, 'f'.padEnd(8_192, 'f'));
    await rig.run(first.chain.close());
    const path = '/data/buffer/0000000000000001.seg';
    rig.disk.flipBits(path, rig.disk.bytesOf(path).length - 1_000);
    const { chain } = await openChain(rig);
    const cursor = chain.cursor('default');
    const delivery = await rig.run(cursor.read());
    const closing = chain.close({ drain: true });
    let left = 80 - (delivery?.records.length ?? 0);
    expect(left).toBeGreaterThan(0);
    delivery?.ack();
    while (left > 0) {
      const next = await rig.run(cursor.read());
      left -= next?.records.length ?? left;
      next?.ack();
    }
    expect(await rig.run(cursor.read())).toBeUndefined(); // Nothing is left behind the damage.
    await rig.run(closing);
    expect(chain.stats().backlog.events).toBe(0);
  });

  it('does not wait, when it is closed, for what the chain has only read ahead', async () => {
    const rig = new BufferRig();
    const { chain } = await openChain(rig);
    await append(rig, chain, 'a', 'b', 'c', 'd', 'e', 'f');
    await take(rig, chain, 4);
    const startedAt = rig.world.timeMs;
    await rig.run(chain.close());
    expect(rig.world.timeMs - startedAt).toBeLessThan(1_000);
  });
});

describe('the next start', () => {
  it('finds what was on disk, in order and before what is new, and not what was in memory', async () => {
    const rig = new BufferRig();
    const first = await openChain(rig);
    await append(rig, first.chain, 'a', 'b', 'c', 'd', 'e', 'f');
    rig.crash('none'); // The power fails: memory is gone, what the disk had promised is there.
    const second = await openChain(rig);
    expect(eventsOf(second)).toEqual([0, 3]);
    await append(rig, second.chain, 'g');
    expect(await take(rig, second.chain, 4)).toEqual(['d', 'e', 'f', 'g']);
    expect(second.chain.stats().uuid).not.toBe(first.chain.stats().uuid);
    await append(rig, second.chain, 'h');
    expect(eventsOf(second)).toEqual([1, 0]);
  });

  it('repeats what a crash made the disk forget, and skips nothing, wherever it strikes', async () => {
    for (let taken = 0; taken <= 8; taken++) {
      const rig = new BufferRig({ seed: taken });
      const first = await openChain(rig);
      await append(rig, first.chain, '0', '1', '2', '3', '4', '5', '6', '7');
      await take(rig, first.chain, taken);
      rig.kill();
      const second = await openChain(rig);
      const left = second.chain.stats().backlog.events;
      expect(left).toBeGreaterThanOrEqual(Math.min(5, 8 - taken));
      const texts = left === 0 ? [] : await take(rig, second.chain, left);
      expect(texts).toEqual(['3', '4', '5', '6', '7'].slice(5 - left));
    }
  });

  it('keeps a cursor that nobody asks for any more, and ends it when told', async () => {
    const rig = new BufferRig();
    const first = await openChain(rig, [...usual, { name: 'gone', from: 'oldest' }]);
    await append(rig, first.chain, 'a', 'b', 'c', 'd');
    await rig.run(first.chain.close());
    const second = await openChain(rig);
    await take(rig, second.chain, 1);
    expect(second.chain.stats().cursors.map(({ name, backlog }) => [name, backlog.events])).toEqual([
      ['default', 0],
      ['gone', 1],
    ]);
    await rig.run(second.chain.removeCursor('gone'));
    expect(second.chain.stats().backlog.events).toBe(0);
    await append(rig, second.chain, 'e');
    expect(eventsOf(second)).toEqual([1, 0]);
  });
});

describe('opened from settings', () => {
  const stage = (definition: typeof diskBuffer, given: object) => {
    return { definition, options: definition.schema.parse(given) };
  };
  const context = (world: ReturnType<typeof simulatedWorld>) => {
    return { id: 'b', directory: '/data/b', cursors: usual, world, log: new MemoryLog() };
  };

  it('one stage is that buffer, several are a chain; the first disk has the directory', async () => {
    const world = simulatedWorld();
    const { sim, disk } = world;
    const single = await sim.run(openBuffer({ id: 'b', stages: [stage(diskBuffer, {})] }, context(world)));
    expect(single).toBeInstanceOf(DiskBuffer);
    await sim.run(single.append(bytesOf('a')));
    await sim.run(single.close());
    const stages = [stage(memoryBuffer, {}), stage(diskBuffer, {}), stage(diskBuffer, {})];
    const chain = await sim.run(openBuffer({ id: 'b', stages }, context(world)));
    expect(chain).toBeInstanceOf(OverflowBuffer);
    expect(chain.stats().backlog.events).toBe(1);
    expect(disk.paths()).toContain('/data/b.2/ledger');
    await sim.run(chain.close());
  });

  it('closes what it had opened when one stage cannot be opened', async () => {
    const world = simulatedWorld();
    const { sim } = world;
    const stages = [stage(diskBuffer, {}), stage(diskBuffer, { lock_timeout_secs: 0 })];
    const holder = await sim.run(
      diskBuffer.open(stages[1]?.options as never, { ...context(world), directory: '/data/b.2' }),
    );
    await expect(sim.run(openBuffer({ id: 'b', stages }, context(world)))).rejects.toMatchObject({ kind: 'locked' });
    await sim.run(holder.close());
    const chain = await sim.run(openBuffer({ id: 'b', stages }, context(world)));
    await sim.run(chain.close());
  });
});
