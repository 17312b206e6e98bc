// Chapter 13, first part. The buffer's directory: created durably, resolved once, refused when it is not safe.
//
// Its ancestors may be links, mounts, owned by others or group-writable: volumes are. The directory itself and the
// files in it may be neither symbolic links nor writable by the world, for whoever can write there could make us
// overwrite what is not ours.
//
// Next: disk-buffer-cursors.ts.

import { isStorageError, StorageError } from '../base/errors.ts';
import type { DirectoryEntry, FileSystem } from '../platform/file-system.ts';
import { ledgerName } from './ledger.ts';
import { parseSegmentFileName } from './segment-header.ts';
import { quarantineName } from './segment-quarantine.ts';

/** Makes sure that the directory exists, durably, and is safe to use. Resolves with its real path. */
export async function prepareDirectory(fileSystem: FileSystem, path: string): Promise<string> {
  const trimmed = path.replace(/(?<=.)\/+$/, '');
  // Where a ledger is, the directory was durable before it.
  if ((await fileSystem.facts(`${trimmed}/${ledgerName}`)) === undefined) await makeDirectories(fileSystem, trimmed);
  const facts = await fileSystem.facts(trimmed);
  if (facts?.kind !== 'directory') {
    throw unsafe(trimmed, `it is ${facts?.kind === 'link' ? 'a symbolic link' : 'not a directory'}`);
  }
  if (facts.worldWritable) throw unsafe(trimmed, 'everybody may write to it');
  return await fileSystem.resolve(trimmed);
}

/**
 * The directory's entries. Rejects with StorageError `unsafe` when one of our own files is a link or world-writable.
 */
export async function listDirectory(fileSystem: FileSystem, directory: string): Promise<readonly DirectoryEntry[]> {
  const entries = await fileSystem.list(directory);
  for (const entry of entries) checkEntry(directory, entry);
  return entries;
}

// Each directory is durable in its parent before anything is put into it (A5). One that is there may have been made by
// somebody who was killed before that; what lies above it was durable when it was made.
async function makeDirectories(fileSystem: FileSystem, path: string): Promise<void> {
  const parent = parentOf(path);
  const existed = (await fileSystem.facts(path)) !== undefined;
  if (!existed) {
    if (parent !== path) await makeDirectories(fileSystem, parent);
    try {
      await fileSystem.makeDirectory(path);
    } catch (cause) {
      if (!isStorageError(cause, 'exists')) throw cause; // Somebody was faster: just as good.
    }
  }
  try {
    await fileSystem.syncDirectory(parent);
  } catch (cause) {
    // Whoever may not even open the parent did not make this directory in it.
    if (!existed || !isStorageError(cause, 'denied')) throw cause;
  }
}

function checkEntry(directory: string, entry: DirectoryEntry): void {
  const expected = entry.name === quarantineName ? 'directory' : 'file';
  // A directory named like a segment is foreign: nothing is ever written to it. A link would be followed.
  const isSegment = parseSegmentFileName(entry.name) !== undefined && entry.kind !== 'directory';
  if (!isSegment && !['lock', 'holder', ledgerName, quarantineName].includes(entry.name)) return;
  const path = `${directory}/${entry.name}`;
  if (entry.kind !== expected) throw unsafe(path, `it is a ${entry.kind}, expected a ${expected}`);
  if (entry.worldWritable) throw unsafe(path, 'everybody may write to it');
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}

function unsafe(path: string, found: string): StorageError {
  return new StorageError({
    kind: 'unsafe',
    operation: 'open',
    path,
    message:
      `Cannot use ${path} for a buffer: ${found}. Nothing was changed; choose a directory of its own ` +
      '(mode 0700, files 0600)',
  });
}
