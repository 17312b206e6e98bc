// The buffers of a pipeline, opened: all of them or none, and what lies in the data directory besides is reported.

import { join } from 'node:path';
import { isStorageError } from '../../base/errors.ts';
import { isDurableBuffer, openBuffer } from '../buffers/open-buffer.ts';
import type { CursorRequest, PipelineBuffer } from '../contract/buffer.ts';
import type { Log } from '../contract/log.ts';
import type { BufferSettings, PipelineSettings } from '../contract/settings.ts';
import type { World } from '../contract/world.ts';

export interface OpenedBuffer {
  readonly settings: BufferSettings;
  readonly buffer: PipelineBuffer;
  /** Whether what is in it, and its keys, outlive the process. */
  readonly isDurable: boolean;
}

/** Where the buffer with this id keeps its files. */
export function bufferDirectory(dataDir: string, id: string): string {
  return join(dataDir, 'buffers', id);
}

/** Rejects with the first error, or the reason of `stopping`, with everything closed that was opened. */
export async function openBuffers(
  settings: PipelineSettings,
  { world, log, stopping }: { readonly world: World; readonly log: Log; readonly stopping: AbortSignal | undefined },
): Promise<ReadonlyMap<string, OpenedBuffer>> {
  const opened = new Map<string, OpenedBuffer>();
  await world.files.makeDirectories(join(settings.dataDir, 'buffers'));
  try {
    for (const each of settings.buffers) {
      stopping?.throwIfAborted();
      const cursors = cursorsOf(settings, each.id);
      if (cursors.length === 0) continue; // Nobody reads it: what is in it stays where it is.
      const directory = bufferDirectory(settings.dataDir, each.id);
      const ownLog = log.child({ buffer: each.id });
      const buffer = await openBuffer(each, { id: each.id, directory, cursors, world, log: ownLog });
      opened.set(each.id, { settings: each, buffer, isDurable: isDurableBuffer(each) });
      reportStrangeCursors(buffer, cursors, directory, ownLog);
    }
    await reportStrangeDirectories(settings, world, log);
    stopping?.throwIfAborted();
    return opened;
  } catch (cause) {
    await Promise.allSettled([...opened.values()].map(({ buffer }) => buffer.close()));
    throw cause;
  }
}

function cursorsOf({ sinks }: PipelineSettings, buffer: string): CursorRequest[] {
  return sinks.filter((sink) => sink.buffer === buffer).map(({ id, startAt }) => ({ name: id, from: startAt }));
}

/** A cursor without a sink holds back everything it has not acknowledged: somebody should know, and decide. */
function reportStrangeCursors(
  buffer: PipelineBuffer,
  requested: readonly CursorRequest[],
  directory: string,
  log: Log,
): void {
  for (const { name, backlog } of buffer.stats().cursors) {
    if (requested.some((each) => each.name === name)) continue;
    log.warn(
      `no sink of the config reads with the cursor ${name}, which keeps its backlog on disk; give it a sink of this ` +
        `name again, or end it, while the pipeline is stopped, with: spillway cursor remove ${directory} ${name}`,
      { cursor: name, events: backlog.events, bytes: backlog.bytes },
    );
  }
}

/** A directory that no buffer of the config uses may hold telemetry of one that was renamed. It is never touched. */
async function reportStrangeDirectories({ dataDir, buffers }: PipelineSettings, world: World, log: Log): Promise<void> {
  const folder = join(dataDir, 'buffers');
  const used = new Set(buffers.map(({ id }) => id));
  const entries = await world.fileSystem.list(folder).catch((cause: unknown) => {
    if (isStorageError(cause, 'missing')) return [];
    throw cause;
  });
  for (const { name, kind } of entries) {
    // The later disks of an overflow chain stand beside the first one: `<id>.2`.
    if (kind !== 'directory' || used.has(name.replace(/\.\d+$/, ''))) continue;
    log.warn('a directory belongs to no buffer of the config and is left alone: look into it with spillway inspect', {
      directory: join(folder, name),
    });
  }
}
