import { describe, expect, expectTypeOf, it } from 'vitest';
import type { ZodType } from 'zod';
import type { DiskBuffer } from '../../engine/disk-buffer.ts';
import { MemoryLog, type SimulatedWorld, simulatedWorld } from '../../testing/index.ts';
import type { CursorRequest, PipelineBuffer } from '../contract/buffer.ts';
import { diskBuffer } from './disk-buffer-plugin.ts';

const schema = diskBuffer.schema as ZodType<Record<string, unknown>>;
const directory = '/data/buffers/sink';

type Opened = { readonly buffer: PipelineBuffer; readonly log: MemoryLog };

async function opened(
  world: SimulatedWorld,
  given: object = {},
  cursors: readonly CursorRequest[] = [{ name: 'sink', from: 'oldest' }],
): Promise<Opened> {
  const log = new MemoryLog();
  const options = schema.parse(given) as never;
  const buffer = await world.sim.run(diskBuffer.open(options, { id: 'sink', directory, cursors, world, log }));
  return { buffer, log };
}

async function append(world: SimulatedWorld, buffer: PipelineBuffer, ...texts: readonly string[]): Promise<void> {
  for (const text of texts) await world.sim.run(buffer.append(new TextEncoder().encode(text)));
}

async function readText(world: SimulatedWorld, buffer: PipelineBuffer, cursor: string): Promise<string[]> {
  const delivery = await world.sim.run(buffer.cursor(cursor).read());
  return delivery?.records.map(({ payload }) => new TextDecoder().decode(payload)) ?? [];
}

it('is what a pipeline asks of a buffer', () => {
  expectTypeOf<DiskBuffer>().toExtend<PipelineBuffer>();
  expect(diskBuffer).toMatchObject({ kind: 'buffer', type: 'disk', isDurable: true });
});

describe('its options', () => {
  it('have the defaults of the engine', () => {
    expect(schema.parse({})).toEqual({
      max_size: 268_435_456,
      when_full: 'block',
      durability: 'sync',
      sync_interval_secs: 100,
      publish_interval_secs: 100,
      max_unsettled_size: 16_777_216,
      max_unsynced_size: 16_777_216,
      lock_timeout_secs: 30_000,
    });
  });

  it.each([
    [{ max_size: '1023KiB' }, 'max_size'],
    [{ max_size: '4MiB', segment_size: '2MiB' }, 'segment_size'],
    [{ segment_size: '64KiB' }, 'segment_size'],
    [{ when_full: 'overflow' }, 'when_full'],
    [{ durability: 'safe' }, 'durability'],
    [{ publish_interval_secs: 0 }, 'publish_interval_secs'],
  ])('%j is refused', (given, key) => {
    const { error } = schema.safeParse(given);
    expect(error?.issues.map(({ path }) => path[0])).toEqual([key]);
  });

  it('refuse a key that does not exist', () => {
    expect(schema.safeParse({ max_sizes: 1 }).success).toBe(false);
  });

  it('reach the engine', async () => {
    const world = simulatedWorld();
    const given = { max_size: '4MiB', segment_size: '512KiB', when_full: 'drop_newest', durability: 'interval' };
    const { buffer } = await opened(world, given);
    const stats = buffer.stats();
    expect(stats.disk.maxBytes).toBe(4_194_304);
    expect(stats.maxRecordBytes).toBe(512 * 1024 - 12 * 1024);
    expect(stats).toMatchObject({ whenFull: 'drop_newest', durability: 'interval' });
    await world.sim.run(buffer.close());
  });
});

describe('a cursor that is new to the buffer', () => {
  it('begins where it asks to, and stays where it was from then on', async () => {
    const world = simulatedWorld();
    const first = (await opened(world)).buffer;
    await append(world, first, 'a', 'b');
    await world.sim.run(first.close());
    const cursors: readonly CursorRequest[] = [
      { name: 'sink', from: 'newest' }, // Known, and it has not read: `newest` means nothing.
      { name: 'replay', from: 'oldest' },
      { name: 'tail', from: 'newest' },
    ];
    for (let life = 0; life < 2; life++) {
      const { buffer } = await opened(world, {}, cursors);
      await append(world, buffer, `c${life}`);
      expect((await readText(world, buffer, 'sink'))[0]).toBe('a');
      expect((await readText(world, buffer, 'replay'))[0]).toBe('a');
      expect((await readText(world, buffer, 'tail'))[0]).toBe('c0');
      await world.sim.run(buffer.close());
    }
  });
});

it('logs what it found', async () => {
  const world = simulatedWorld();
  const first = await opened(world);
  expect(first.log.lines).toMatchObject([{ level: 'info', message: 'created the buffer', fields: { directory } }]);
  await append(world, first.buffer, 'a', 'b');
  await world.sim.run(first.buffer.close());
  world.disk.flipBits(`${directory}/ledger`, 100);
  const second = await opened(world);
  expect(second.log.lines.map(({ level }) => level)).toEqual(['info', 'warn']);
  expect(second.log.lines[0]?.fields).toMatchObject({ ledger: 'one_slot', backlog: { events: 2 } });
});

it('does not open for a second owner', async () => {
  const world = simulatedWorld();
  await opened(world);
  await expect(opened(world, { lock_timeout_secs: 0 })).rejects.toMatchObject({ kind: 'locked' });
});
