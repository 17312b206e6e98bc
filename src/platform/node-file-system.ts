// The file system of the operating system: with its parts (node-file-handle, node-calls, node-lock) the only user of
// node:fs.
//
// Raw descriptors and callbacks, because a promise of node:fs costs more than the whole call through the page cache.
// Nothing is followed that was put in place of one of our files: every open refuses symbolic links, and what is not a
// regular file is not opened, nor waited for (a FIFO would take a thread for ever).
import {
  chmod,
  close,
  constants,
  fchmod,
  fstat,
  fsync,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rmdir,
  type Stats,
  unlink,
} from 'node:fs';
import { assert } from '../base/assert.ts';
import { isStorageError } from '../base/errors.ts';
import type { DirectoryEntry, FileHandle, FileKind, FileLock, FileSystem, OpenMode, PathFacts } from './file-system.ts';
import { call, callsAtOnce } from './node-calls.ts';
import { NodeFileHandle } from './node-file-handle.ts';
import { isLockedHere, tryLockFile } from './node-lock.ts';
import { type StorageOperation, storageError } from './storage-errors.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;
const fileMode = 0o600;
const directoryMode = 0o700;
const writableByOthers = 0o002;

/** One for the process, as the locks that it stands beside are the process's. */
const heldDirectories = new Set<string>();

export class NodeFileSystem implements FileSystem {
  readonly heldDirectories: Set<string> = heldDirectories;

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    assert(!isLockedHere(path), 'a lock file is not opened while its lock is held: closing it would drop the lock', {
      path,
    });
    if (mode === 'create') return new NodeFileHandle(await createFile(path), path);
    const access = mode === 'read' ? O_RDONLY : O_RDWR;
    const descriptor = await openDescriptor('open', path, access | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stats = await call<Stats>({ operation: 'open', path }, (done) => fstat(descriptor, done));
      if (!stats.isFile()) throw storageError('io', 'open', path, `it is no regular file but a ${kindOf(stats)}`);
    } catch (error) {
      await closeAfterFailure(descriptor, path);
      throw error;
    }
    return new NodeFileHandle(descriptor, path);
  }

  async list(directory: string): Promise<DirectoryEntry[]> {
    const subject = { operation: 'list', path: directory } as const;
    const names = await call<string[]>(subject, (done) => readdir(directory, done));
    const entries: DirectoryEntry[] = [];
    let next = 0;
    const lookAtSome = async (): Promise<void> => {
      while (next < names.length) {
        const name = names[next++] as string;
        const facts = await factsOf('list', `${directory}/${name}`);
        if (facts !== undefined) entries.push({ name, ...facts });
      }
    };
    // As many as may run at once, and not more, so that a large directory does not make other calls wait behind it.
    await Promise.all(Array.from({ length: callsAtOnce }, lookAtSome));
    return entries;
  }

  facts(path: string): Promise<PathFacts | undefined> {
    return factsOf('inspect', path);
  }

  async resolve(path: string): Promise<string> {
    return await call<string>({ operation: 'resolve', path }, (done) => realpath.native(path, done));
  }

  async makeDirectory(path: string): Promise<void> {
    const subject = { operation: 'make directory', path } as const;
    await call<void>(subject, (done) => mkdir(path, directoryMode, (error) => done(error)));
    // The process's umask may have taken rights away that we need; it cannot have added any.
    await call<void>(subject, (done) => chmod(path, directoryMode, done));
  }

  async rename(from: string, to: string): Promise<void> {
    await call<void>({ operation: 'rename', path: from }, (done) => rename(from, to, done));
  }

  async remove(path: string): Promise<void> {
    await call<void>({ operation: 'remove', path }, (done) => unlink(path, done));
  }

  async removeDirectory(path: string): Promise<void> {
    await call<void>({ operation: 'remove directory', path }, (done) => rmdir(path, (error) => done(error)));
  }

  async syncDirectory(path: string): Promise<void> {
    const descriptor = await openDescriptor('sync directory', path, O_RDONLY | O_DIRECTORY);
    try {
      await call<void>({ operation: 'sync directory', path }, (done) => fsync(descriptor, done));
    } catch (error) {
      await closeAfterFailure(descriptor, path);
      throw error;
    }
    await call<void>({ operation: 'close', path }, (done) => close(descriptor, done));
  }

  async tryLock(path: string): Promise<FileLock | undefined> {
    // Created by us and not by SQLite, which would leave the rights to the umask. Closing the new file can drop no
    // lock: whoever reaches this has excluded that this process holds one.
    try {
      const descriptor = await createFile(path);
      await call<void>({ operation: 'close', path }, (done) => close(descriptor, done));
    } catch (error) {
      if (!isStorageError(error, 'exists')) throw error;
    }
    return await tryLockFile(path);
  }
}

async function createFile(path: string): Promise<number> {
  const descriptor = await openDescriptor('create', path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
  try {
    // The umask may have taken rights away, from us too.
    await call<void>({ operation: 'create', path }, (done) => fchmod(descriptor, fileMode, done));
  } catch (error) {
    await closeAfterFailure(descriptor, path);
    throw error;
  }
  return descriptor;
}

async function openDescriptor(operation: StorageOperation, path: string, flags: number): Promise<number> {
  return await call<number>({ operation, path }, (done) => open(path, flags, fileMode, done));
}

/** The error that made us close is the one to report. */
async function closeAfterFailure(descriptor: number, path: string): Promise<void> {
  await call<void>({ operation: 'close', path }, (done) => close(descriptor, done)).catch(() => undefined);
}

async function factsOf(operation: StorageOperation, path: string): Promise<PathFacts | undefined> {
  try {
    const stats = await call<Stats>({ operation, path }, (done) => lstat(path, done));
    // A link's own mode says nothing; what it leads to is refused anyway.
    const worldWritable = (stats.mode & writableByOthers) !== 0;
    return { kind: kindOf(stats), byteLength: stats.size, worldWritable };
  } catch (error) {
    if (isNothingThere(error)) return undefined;
    throw error;
  }
}

function isNothingThere(error: unknown): boolean {
  if (isStorageError(error, 'missing')) return true;
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOTDIR';
}

function kindOf(stats: Stats): FileKind {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'link' : 'other';
}
