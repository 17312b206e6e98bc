// The one gate through which errors of the operating system become errors of ours.
//
// Every file system behind the interface uses it, the simulated one too, so that the engine meets the same kinds and
// the same sentences in a test as on a real disk. What a kind means to the engine: `full` stalls it, `denied`,
// `read_only` and `limit` need an operator, everything that is not named here is `io`, a disk that must not be trusted.
import { StorageError, type StorageErrorKind } from '../base/errors.ts';

/** What is tried on a path, in the words of the error messages. */
export type StorageOperation =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'measure'
  | 'close'
  | 'list'
  | 'inspect'
  | 'resolve'
  | 'make directory'
  | 'rename'
  | 'remove'
  | 'remove directory'
  | 'sync directory'
  | 'lock'
  | 'unlock';

const kindOfErrno: ReadonlyMap<string, StorageErrorKind> = new Map([
  ['ENOSPC', 'full'],
  ['EDQUOT', 'full'],
  ['EACCES', 'denied'],
  ['EPERM', 'denied'],
  ['ENOENT', 'missing'],
  ['EEXIST', 'exists'],
  ['EROFS', 'read_only'],
  ['EMFILE', 'limit'],
  ['ENFILE', 'limit'],
  ['ENOMEM', 'limit'],
  ['ELOOP', 'unsafe'],
]);

/** What follows from an error of this kind, and what to do. */
const adviceOfKind = {
  full: 'Nothing was lost, but nothing can be added: free space on this file system or raise the quota',
  denied: 'The operating system refuses access: run as the owner of this path, or correct its permissions',
  missing: 'It should be there: check that the path is right and that nothing else removes files from it',
  exists: 'It should not be there: check that no other program uses this path',
  io: 'The disk or its connection is not to be trusted: look into the system log and check the hardware',
  read_only:
    'The file system does not accept changes: mount it writable; a disk with errors is often remounted read-only',
  limit: 'A limit of the process or the system is reached: raise it (ulimit -n for open files) or free memory',
  locked: 'Only one process may use it at a time: stop the other one, or use another directory',
  lock_foreign: 'It is not a lock of ours and is left alone: move it away if nothing needs it, and start again',
  unsafe: 'A symbolic link in this place could lead writes astray: put a real file or directory there',
} as const satisfies Record<StorageErrorKind, string>;

/** Makes any error a {@link StorageError}; one that is already passes unchanged. */
export function toStorageError(cause: unknown, operation: StorageOperation, path: string): StorageError {
  if (cause instanceof StorageError) return cause;
  const errno = errnoOf(cause);
  const kind = (errno === undefined ? undefined : kindOfErrno.get(errno)) ?? 'io';
  const found = errno ?? (cause instanceof Error ? cause.message : String(cause));
  return storageError(kind, operation, path, `the operating system answered ${found}`, cause);
}

/** A {@link StorageError} with the sentence that belongs to its kind. `found` completes "could not ...:". */
export function storageError(
  kind: StorageErrorKind,
  operation: StorageOperation,
  path: string,
  found: string,
  cause?: unknown,
): StorageError {
  const message = `Could not ${operation} ${path}: ${found}. ${adviceOfKind[kind]}.`;
  return new StorageError({ kind, operation, path, message, cause });
}

function errnoOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !('code' in cause)) return undefined;
  return typeof cause.code === 'string' ? cause.code : undefined;
}
