// A chain against a list: whatever is appended, read, settled and tried again, every cursor gets every record in order.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DiskBuffer } from '../../engine/disk-buffer.ts';
import { type SimulatedWorld, simulatedWorld } from '../../testing/index.ts';
import { MemoryBuffer } from './memory-buffer.ts';
import { OverflowBuffer } from './overflow-buffer.ts';

type Command =
  | { readonly kind: 'append'; readonly events: number; readonly size: number; readonly how: 'one' | 'try' | 'batch' }
  | { readonly kind: 'read'; readonly cursor: number; readonly maxRecords: number }
  | {
      readonly kind: 'settle';
      readonly cursor: number;
      readonly which: number;
      readonly as: 'ack' | 'retry' | 'reject';
    };

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    kind: fc.constant('append' as const),
    events: fc.integer({ min: 1, max: 3 }),
    size: fc.constantFrom(1, 500, 1_500, 5_000),
    how: fc.constantFrom('one' as const, 'try' as const, 'batch' as const),
  }),
  fc.record({
    kind: fc.constant('read' as const),
    cursor: fc.nat({ max: 1 }),
    maxRecords: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({
    kind: fc.constant('settle' as const),
    cursor: fc.nat({ max: 1 }),
    which: fc.nat({ max: 5 }),
    as: fc.constantFrom('ack' as const, 'ack' as const, 'retry' as const, 'reject' as const),
  }),
);

const names = ['one', 'two'];
const cursors = names.map((name) => ({ name, from: 'oldest' as const }));

async function openChain(world: SimulatedWorld, disks: number): Promise<OverflowBuffer> {
  const { clock, random, fileSystem, sim } = world;
  const limits = { maxBytes: 4_096, maxEvents: 6, whenFull: 'block' } as const;
  const stages: (MemoryBuffer | DiskBuffer)[] = [new MemoryBuffer({ cursors: names, ...limits, clock, random })];
  for (let disk = 0; disk < disks; disk++) {
    const path = `/data/b${disk}`;
    stages.push(await sim.run(DiskBuffer.open({ path, maxBytes: 1_048_576, cursors, clock, random, fileSystem })));
  }
  return new OverflowBuffer({ stages, cursors, clock, random });
}

/** Each cursor's unsettled deliveries, and the numbers of the records it has seen for the first time. */
class Reader {
  readonly open: { numbers: number[]; settle(as: 'ack' | 'retry' | 'reject'): void }[] = [];
  readonly seen: number[] = [];
  readonly retried = new Set<number>();
  settledRecords = 0;

  take(numbers: number[], settle: (as: 'ack' | 'retry' | 'reject') => void): void {
    for (const number of numbers) {
      if (this.retried.delete(number)) continue;
      expect(number).toBe(this.seen.length); // Never again unless it was retried, and first in order.
      this.seen.push(number);
    }
    this.open.push({ numbers, settle });
  }

  settle(which: number, as: 'ack' | 'retry' | 'reject'): void {
    const [delivery] = this.open.splice(which % this.open.length, 1);
    if (delivery === undefined) return;
    delivery.settle(as);
    if (as === 'retry') for (const number of delivery.numbers) this.retried.add(number);
    else this.settledRecords += delivery.numbers.length;
  }
}

async function live(commands: readonly Command[], disks: number): Promise<void> {
  const world = simulatedWorld();
  const { sim } = world;
  const chain = await openChain(world, disks);
  const readers = names.map(() => new Reader());
  const ids: number[] = [];
  let records = 0;
  let events = 0;
  const payload = (size: number): Uint8Array => new TextEncoder().encode(`${records++} `.padEnd(size, '.'));
  const read = async (at: number, maxRecords: number): Promise<void> => {
    const reader = readers[at] as Reader;
    if (reader.seen.length === records && reader.retried.size === 0) return; // It would wait.
    const delivery = await sim.run(chain.cursor(names[at] as string).read({ maxRecords }));
    if (delivery === undefined) throw new Error('the chain is closed');
    const numbers = delivery.records.map((record) => Number.parseInt(new TextDecoder().decode(record.payload), 10));
    for (const [index, { id }] of delivery.records.entries()) expect(id).toBe(ids[numbers[index] as number]);
    reader.take(numbers, (as) => (as === 'reject' ? delivery.reject('no') : delivery[as]()));
  };
  for (const each of commands) {
    if (each.kind === 'read') await read(each.cursor, each.maxRecords);
    else if (each.kind === 'settle') {
      const reader = readers[each.cursor] as Reader;
      if (reader.open.length > 0) reader.settle(each.which, each.as);
    } else if (each.how === 'try') {
      await sim.run(chain.ready());
      ids.push(1 + events);
      expect(chain.tryAppend(payload(each.size), { events: each.events })).toBe('accepted');
      events += each.events;
    } else {
      const record = { payload: payload(each.size), events: each.events };
      const appending = each.how === 'one' ? chain.append(record.payload, record) : chain.appendBatch([record]);
      expect(await sim.run(appending)).toEqual({ status: 'stored', recordId: 1 + events });
      ids.push(1 + events);
      events += each.events;
    }
    const slowest = Math.min(...readers.map(({ settledRecords }) => settledRecords));
    expect(chain.stats().backlog.events === 0).toBe(slowest === records);
  }
  for (const [at, reader] of readers.entries()) {
    while (reader.settledRecords < records) {
      await read(at, 4);
      while (reader.open.length > 0) reader.settle(0, 'ack');
    }
    expect(reader.seen).toHaveLength(records);
  }
  expect(chain.stats().backlog).toEqual({ events: 0, bytes: 0 });
  await sim.run(chain.close());
}

it.each([1, 2])('with memory and %i disks', async (disks) => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 60 }), async (commands) => {
      await live(commands, disks);
    }),
    { numRuns: 60 },
  );
});
