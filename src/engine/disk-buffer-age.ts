// Chapter 13, continued. How old a backlog is: when the oldest record was appended that a cursor has not acknowledged.
//
// Nobody keeps a list of times: it would grow with the backlog. The answer stands in the head of the frame at the
// cursor: in memory if the cursor keeps up, otherwise in a file, of which the walk reads one window in most cases.
//
// Next: disk-buffer.ts.

import { StorageError } from '../base/errors.ts';
import type { FileSystem } from '../platform/file-system.ts';
import type { Core } from './disk-buffer-core.ts';
import { appendTimeFrom } from './disk-buffer-inspection.ts';
import type { Cursor } from './ordered-finalizer-cursor.ts';
import { segmentHeaderBytes } from './segment-header.ts';

/** Milliseconds since 1970-01-01 UTC; undefined without a backlog, if what is left of it is lost, or cannot be read. */
export async function oldestMsOf(core: Core, fileSystem: FileSystem, cursor: Cursor): Promise<number | undefined> {
  if (cursor.nextId >= core.log.nextId) return undefined;
  const inMemory = core.log.appendTimeOf(cursor.nextId);
  if (inMemory !== undefined) return inMemory;
  try {
    return await oldestOnDisk(core, fileSystem, cursor);
  } catch (cause) {
    // Freed at this moment, or a disk that does not answer: whoever reads the backlog is told.
    if (cause instanceof StorageError) return undefined;
    throw cause;
  }
}

async function oldestOnDisk(core: Core, fileSystem: FileSystem, cursor: Cursor): Promise<number | undefined> {
  const { segment: first, offset, nextId } = cursor.position;
  for (const segment of [...core.catalog.segments]) {
    if (segment.number < first || segment.leaving) continue;
    await core.catalog.describe(segment);
    const from = segment.number === first ? offset : segmentHeaderBytes;
    const appendedAt = await appendTimeFrom(fileSystem, segment, from, nextId);
    if (appendedAt !== undefined) return appendedAt;
  }
  return undefined;
}
