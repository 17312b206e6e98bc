import { describe, expect, it } from 'vitest';
import { MemoryLog, simulatedWorld } from '../../testing/index.ts';
import { MemoryBuffer, type MemoryBufferOptions } from './memory-buffer.ts';
import { memoryBuffer } from './memory-buffer-plugin.ts';

const world = simulatedWorld();
const { sim, clock, random } = world;

function opened(given: Partial<MemoryBufferOptions> = {}): MemoryBuffer {
  const limits = { maxBytes: 1_048_576, maxEvents: Number.POSITIVE_INFINITY, whenFull: 'block' } as const;
  return new MemoryBuffer({ cursors: ['default'], ...limits, clock, random, ...given });
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('its limits', () => {
  it('count events', () => {
    const buffer = opened({ maxEvents: 5 });
    expect(buffer.tryAppend(bytesOf('a'), { events: 3 })).toBe('accepted');
    expect(buffer.tryAppend(bytesOf('b'), { events: 3 })).toBe('full');
    expect(buffer.tryAppend(bytesOf('b'), { events: 2 })).toBe('accepted');
  });

  it('let in one record of more events than there may be, while nothing else is there', async () => {
    const buffer = opened({ maxEvents: 5 });
    expect(buffer.tryAppend(bytesOf('a'), { events: 512 })).toBe('accepted');
    expect(buffer.tryAppend(bytesOf('b'))).toBe('full');
    (await sim.run(buffer.cursor('default').read()))?.ack();
    expect(buffer.tryAppend(bytesOf('b'))).toBe('accepted');
  });

  it('count what the objects around a payload cost, so that empty records are bounded too', () => {
    const buffer = opened({ maxBytes: 10_000 });
    let stored = 0;
    while (buffer.tryAppend(new Uint8Array(0)) === 'accepted') stored += 1;
    expect(stored).toBe(Math.floor(10_000 / 256));
  });

  it('hold for batches: all of it or nothing', () => {
    const buffer = opened({ maxEvents: 3 });
    expect(buffer.tryAppendBatch([{ payload: bytesOf('a') }, { payload: bytesOf('b') }])).toBe('accepted');
    expect(buffer.tryAppendBatch([{ payload: bytesOf('c') }, { payload: bytesOf('d') }])).toBe('full');
    expect(buffer.stats().backlog.events).toBe(2);
  });
});

it('lets nobody overtake an append that waits', async () => {
  const buffer = opened({ maxEvents: 5 });
  buffer.tryAppend(bytesOf('a'), { events: 4 });
  const order: string[] = [];
  const waiting = ['large', 'small'].map((text, at) =>
    buffer.append(bytesOf(text), { events: at === 0 ? 3 : 1 }).then(() => order.push(text)),
  );
  expect(buffer.tryAppend(bytesOf('small, too'))).toBe('wait');
  expect(buffer.stats().waitingAppends).toBe(2);
  (await sim.run(buffer.cursor('default').read()))?.ack();
  await sim.run(Promise.all(waiting));
  expect(order).toEqual(['large', 'small']);
});

it('gives memory back as the slowest cursor goes on', async () => {
  const buffer = opened({ cursors: ['default', 'slow'] });
  for (let round = 0; round < 40; round++) {
    for (let record = 0; record < 100; record++) buffer.tryAppend(new Uint8Array(1_000));
    for (const name of ['default', 'slow']) {
      const cursor = buffer.cursor(name);
      while (cursor.nextId < (round + 1) * 100 + 1) (await sim.run(cursor.read({ maxRecords: 33 })))?.ack();
      expect(buffer.stats().disk.usedBytes).toBe(name === 'slow' ? 0 : 100 * 1_256);
    }
  }
});

it('hands out the records of one tick together, to whoever waits', async () => {
  const buffer = opened();
  const waiting = buffer.cursor('default').read();
  for (const text of ['a', 'b', 'c']) buffer.tryAppend(bytesOf(text));
  expect((await sim.run(waiting))?.records).toHaveLength(3);
});

it('counts over its life what became of every event', async () => {
  const buffer = opened({ maxEvents: 4, whenFull: 'drop_oldest' });
  for (let record = 0; record < 10; record++) buffer.tryAppend(bytesOf('12'));
  const delivery = await sim.run(buffer.cursor('default').read());
  delivery?.settle(['ack', 'ack', { reject: 'no' }, undefined]);
  const { totals, backlog } = buffer.stats();
  expect(totals.appended).toEqual({ events: 10, bytes: 20 });
  expect(totals.acknowledged).toEqual({ events: 2, bytes: 4 });
  expect(totals.removed.rejected).toEqual({ events: 1, bytes: 2 });
  expect(totals.removed.dropped_oldest).toEqual({ events: 6, bytes: 12 });
  expect(backlog).toEqual({ events: 1, bytes: 2 });
});

it('may be appended to by whoever is told of a loss', () => {
  const buffer = opened({ maxEvents: 2, whenFull: 'drop_oldest' });
  let appended = 0;
  buffer.events.on('lost', () => {
    if (appended++ === 0) buffer.tryAppend(bytesOf('from the listener'));
  });
  for (let record = 0; record < 3; record++) buffer.tryAppend(bytesOf('a'));
  expect(buffer.stats().backlog.events).toBe(2);
});

describe('the buffer type', () => {
  const limitsOf = async (given: object) => {
    const log = new MemoryLog();
    const context = { id: 'b', directory: '/none', cursors: [{ name: 'sink', from: 'oldest' as const }], world, log };
    const buffer = await memoryBuffer.open(memoryBuffer.schema.parse(given) as never, context);
    return { log, buffer };
  };

  it('holds 500 events unless told otherwise, or what fits into max_size', async () => {
    const taken = async (given: object): Promise<number> => {
      const { buffer } = await limitsOf(given);
      let stored = 0;
      while (stored < 2_000 && buffer.tryAppend(bytesOf('a')) === 'accepted') stored += 1;
      return stored;
    };
    expect(await taken({})).toBe(500);
    expect(await taken({ max_events: 7 })).toBe(7);
    expect(await taken({ max_size: '1MiB' })).toBe(2_000);
    expect(await taken({ max_size: '4096' })).toBe(15);
    expect(await taken({ max_size: '1MiB', max_events: 9 })).toBe(9);
  });

  it('is not durable, and says what it loses', async () => {
    expect(memoryBuffer).toMatchObject({ type: 'memory', isDurable: false });
    const { buffer, log } = await limitsOf({});
    buffer.tryAppend(bytesOf('four'), { events: 4 });
    await sim.run(buffer.close());
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { events: 4, bytes: 4 } }]);
  });

  it.each([{ max_events: 0 }, { max_events: 1.5 }, { max_size: 100 }, { when_full: 'wait' }, { path: 'x' }])(
    'refuses %j',
    (given) => expect(memoryBuffer.schema.safeParse(given).success).toBe(false),
  );
});
