// Buffer type `disk`: the engine's buffer, with its options under the names of a config.
//
// Defaults are the engine's. What the engine finds when it opens is logged here, because nobody can listen to a buffer
// before it is open; what happens later is told by its events.

import { z } from 'zod';
import { KiB } from '../../base/units.ts';
import { DiskBuffer } from '../../engine/disk-buffer.ts';
import { bufferBytesMin, largestTimeoutMs, segmentBytesMin } from '../../engine/limits.ts';
import type { BufferContext } from '../contract/buffer.ts';
import { type BufferDefinition, defineBuffer } from '../contract/definition.ts';
import { byteSize, seconds } from '../contract/values.ts';
import { whenFull } from './when-full.ts';

const timeoutSecsMax = Math.floor(largestTimeoutMs / 1000);

const schema = z
  .strictObject({
    max_size: byteSize({ min: bufferBytesMin })
      .prefault('256MiB')
      .describe('Most bytes that all files of the buffer take together. At least 1 MiB.'),
    when_full: whenFull(),
    durability: z
      .enum(['sync', 'interval', 'os', 'memory'])
      .default('sync')
      .describe(
        'What a source is promised when its events are accepted. `sync`: they are on stable storage. `interval`: ' +
          'they are written, and on stable storage within `sync_interval_secs`. `os`: they are written, and ' +
          'survive the process. `memory`: they are in memory, and will be written.',
      ),
    sync_interval_secs: seconds({ min: 0.001, max: timeoutSecsMax })
      .prefault(0.1)
      .describe('With durability `interval`: how long what was written may wait for a sync.'),
    publish_interval_secs: seconds({ min: 0.001, max: timeoutSecsMax })
      .prefault(0.1)
      .describe(
        'How long an acknowledgement may wait until it is on disk; a crash makes sinks see again what was not. With ' +
          'durability `os` and `memory` at least 1 second.',
      ),
    segment_size: byteSize({ min: segmentBytesMin })
      .optional()
      .describe(
        'Bytes of one file, 128 KiB to a quarter of `max_size`. The largest record is 12 KiB less. Default: a ' +
          'sixteenth of `max_size`, 128 KiB to 64 MiB.',
      ),
    max_unsettled_size: byteSize({ min: 64 * KiB })
      .prefault('16MiB')
      .describe('Most bytes in the hands of one sink at a time. One frame may always be.'),
    max_unsynced_size: byteSize({ min: 64 * KiB })
      .prefault('16MiB')
      .describe('With durability `interval`: most bytes that wait for a sync, at most a quarter of `max_size`.'),
    lock_timeout_secs: seconds({ max: timeoutSecsMax })
      .prefault(30)
      .describe('How long a start waits for another process that still holds the directory.'),
  })
  .superRefine(({ max_size, segment_size }, context) => {
    if (segment_size === undefined || segment_size <= max_size / 4) return;
    const message = `expected at most a quarter of max_size, ${Math.floor(max_size / 4)} bytes`;
    context.addIssue({ code: 'custom', path: ['segment_size'], message });
  });

type DiskOptions = z.output<typeof schema>;

export const diskBuffer: BufferDefinition = defineBuffer({ type: 'disk', schema, isDurable: true, open });

async function open(options: DiskOptions, context: BufferContext): Promise<DiskBuffer> {
  const { directory, cursors, world, log } = context;
  const { fileSystem, clock, random } = world;
  const buffer = await DiskBuffer.open({
    path: directory,
    maxBytes: options.max_size,
    whenFull: options.when_full,
    durability: options.durability,
    syncIntervalMs: options.sync_interval_secs,
    publishIntervalMs: options.publish_interval_secs,
    ...(options.segment_size === undefined ? {} : { segmentBytes: options.segment_size }),
    maxUnsettledBytes: options.max_unsettled_size,
    maxUnsyncedBytes: options.max_unsynced_size,
    lockTimeoutMs: options.lock_timeout_secs,
    cursors,
    fileSystem,
    clock,
    random,
  });
  const { clean, ledger, tookMs, confirmedBytes, damage } = buffer.opening;
  const { backlog, epoch } = buffer.stats();
  const found = { directory, clean, ledger, epoch, tookMs: Math.round(tookMs), confirmedBytes, backlog };
  log.info(ledger === 'new' ? 'created the buffer' : 'opened the buffer', found);
  for (const error of damage) log.warn('found damage while opening the buffer', { directory, error });
  return buffer;
}
