// The lock between processes, by way of SQLite: Node has no flock, and what it does have (a file that exists) outlives
// the process that made it. SQLite takes POSIX record locks, which the kernel drops when the process dies, however it
// dies, and which hold between containers on one volume.
//
// What was seen, on Node 22, 24 and 26: `BEGIN EXCLUSIVE` on an empty file takes the lock and writes nothing, the file
// stays empty for ever; with the journal in memory there is no second file, so a full disk is no obstacle and a killed
// holder leaves nothing to be rolled back.
//
// The trap: the kernel drops a process's record locks on a file when that process closes ANY descriptor of the file. So
// from the moment SQLite has it, nobody in this process may open the lock file through node:fs. `lstat` and `access` do
// not open it. A second SQLite connection of the same process is safe (SQLite knows of the first one) and gets no lock.
//
// What it cannot see: somebody who deletes the lock file of a running process makes room for a second holder.
import { access, constants, lstat, type Stats } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { UsageError } from '../base/errors.ts';
import type { FileLock } from './file-system.ts';
import { call } from './node-calls.ts';
import { storageError } from './storage-errors.ts';

const sqliteBusy = 5;
const sqliteNotADatabase = 26;

/** Locks held by this process. A connection that nobody refers to would be collected, and its lock with it. */
const held = new Map<DatabaseSync, string>();

/** Whether opening this file through node:fs would drop a lock of this process. */
export function isLockedHere(path: string): boolean {
  return held.size > 0 && [...held.values()].includes(path);
}

/** Tries once. Undefined: somebody else has it. The file must exist. */
export async function tryLockFile(path: string): Promise<FileLock | undefined> {
  const before = await inspectLockFile(path);
  if (before === undefined) return undefined; // Removed since it was created: the next try makes it anew.
  await call<void>({ operation: 'lock', path }, (done) => access(path, constants.R_OK | constants.W_OK, done));
  const connection = lockBySqlite(path);
  if (connection === undefined) return undefined;
  held.set(connection, path);
  const release = async (): Promise<void> => {
    if (held.delete(connection)) connection.close();
  };
  try {
    // Between looking and locking the file may have been replaced; a lock on a file without a name locks nobody out.
    const after = await inspectLockFile(path);
    if (after !== undefined && after.ino === before.ino && after.dev === before.dev) return { release };
  } catch (error) {
    await release();
    throw error;
  }
  await release();
  return undefined;
}

/** Our lock file is a regular file without a single byte, always. */
async function inspectLockFile(path: string): Promise<Stats | undefined> {
  const stats = await call<Stats | undefined>({ operation: 'lock', path }, (done) =>
    lstat(path, (error, found) => (error?.code === 'ENOENT' ? done(null, undefined) : done(error, found))),
  );
  if (stats === undefined) return undefined;
  if (stats.isSymbolicLink()) throw storageError('unsafe', 'lock', path, 'it is a symbolic link');
  if (!stats.isFile()) throw storageError('lock_foreign', 'lock', path, 'it is no regular file');
  if (stats.size > 0)
    throw storageError('lock_foreign', 'lock', path, `it holds ${stats.size} bytes that are not ours`);
  return stats;
}

function lockBySqlite(path: string): DatabaseSync | undefined {
  const { DatabaseSync: Connection } = loadSqlite();
  let connection: DatabaseSync | undefined;
  try {
    connection = new Connection(path);
    connection.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE;');
    return connection;
  } catch (error) {
    connection?.close();
    const code = error instanceof Error && 'errcode' in error ? error.errcode : undefined;
    if (code === sqliteBusy) return undefined;
    const kind = code === sqliteNotADatabase ? 'lock_foreign' : 'io';
    throw storageError(kind, 'lock', path, `SQLite answered ${String(error)}`, error);
  }
}

/**
 * Node 22 warns, once, that node:sqlite is experimental. A user of a buffer can do nothing about that, so this one
 * warning is left out. The module is loaded synchronously: the detour is gone before anybody else can run.
 */
function loadSqlite(): typeof import('node:sqlite') {
  const { emitWarning } = process;
  const emitOthers = (...parts: unknown[]): void => {
    const isThisOne = parts[1] === 'ExperimentalWarning' && String(parts[0]).includes('SQLite');
    if (!isThisOne) Reflect.apply(emitWarning, process, parts);
  };
  process.emitWarning = emitOthers;
  try {
    const sqlite = process.getBuiltinModule('node:sqlite');
    if (sqlite !== undefined) return sqlite;
  } finally {
    process.emitWarning = emitWarning;
  }
  throw new UsageError({
    code: 'SPILLWAY_USAGE_PLATFORM',
    message:
      `Could not lock a directory: this Node (${process.version}) was built without node:sqlite. ` +
      'The lock needs it: use a build of Node that has it.',
  });
}
