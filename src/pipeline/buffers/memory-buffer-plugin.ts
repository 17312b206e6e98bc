// Buffer type `memory`: fast, and gone with the process. Its keys as in Vector; it is bounded in bytes in every case.

import { z } from 'zod';
import { MiB } from '../../base/units.ts';
import type { BufferContext } from '../contract/buffer.ts';
import { type BufferDefinition, defineBuffer } from '../contract/definition.ts';
import { byteSize } from '../contract/values.ts';
import { MemoryBuffer } from './memory-buffer.ts';
import { whenFull } from './when-full.ts';

const maxEventsDefault = 500;
const maxBytesDefault = 128 * MiB;

const schema = z.strictObject({
  max_events: z
    .int()
    .min(1)
    .optional()
    .describe(
      'Most log records, spans and data points, handed out or not. A request with more is taken while the buffer is ' +
        'empty. Default: 500, or no limit where `max_size` is given.',
    ),
  max_size: byteSize({ min: 4096 })
    .optional()
    .describe(
      'Most bytes, handed out or not, with 256 added for each request. What a sink has in its hands is a copy and ' +
        'comes on top. Default: 128 MiB.',
    ),
  when_full: whenFull(),
});

type MemoryOptions = z.output<typeof schema>;

export const memoryBuffer: BufferDefinition = defineBuffer({ type: 'memory', schema, isDurable: false, open });

async function open(options: MemoryOptions, { cursors, world, log }: BufferContext): Promise<MemoryBuffer> {
  const buffer = new MemoryBuffer({
    cursors: cursors.map(({ name }) => name),
    maxBytes: options.max_size ?? maxBytesDefault,
    maxEvents: options.max_events ?? (options.max_size === undefined ? maxEventsDefault : Number.POSITIVE_INFINITY),
    whenFull: options.when_full,
    clock: world.clock,
    random: world.random,
  });
  buffer.events.on('closed', ({ clean }) => {
    const { backlog } = buffer.stats();
    if (!clean) log.warn('closed a buffer in memory with events that no sink has taken: they are lost', { ...backlog });
  });
  return buffer;
}
