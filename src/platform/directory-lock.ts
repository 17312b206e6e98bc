// One holder of a buffer directory at a time: the lock file, who waits for it and how long, and the file that says who
// it is.
//
// Two levels. Inside one process a registry by resolved path refuses a second holder before any file is touched,
// because the operating system's lock cannot tell two holders in one process apart. Between processes it is
// FileSystem.tryLock, asked again and again until it is free or the time is up: in a rolling update the successor
// starts before its predecessor has ended.
//
// `holder` is written by whoever has the lock and read by whoever does not get it. It helps people and decides nothing:
// no failure of it is an error, and what it says may be old for the moment between lock and write.
import type { Clock } from './clock.ts';
import type { FileLock, FileSystem } from './file-system.ts';
import { storageError } from './storage-errors.ts';

/** Who holds a directory. */
export type LockHolder = {
  readonly pid: number;
  readonly host: string;
  /** When the process started, ISO 8601. */
  readonly started: string;
  readonly title: string;
};

export type DirectoryLockOptions = {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  /** An existing directory. */
  readonly directory: string;
  /** How long to wait for another process to end, in ms. 0 tries once. */
  readonly timeoutMs: number;
  readonly holder: LockHolder;
};

export type DirectoryLock = {
  /** The directory with links and `..` resolved. */
  readonly directory: string;
  /** Gives the directory back. A second call does nothing. */
  release(): Promise<void>;
};

const pollMsMin = 5;
const pollMsMax = 100;
/** What is written is far below; what is read may be anything. */
const holderBytesMax = 4096;
const fieldLengthMax = 120;

/** Rejects with kind `locked` when the directory is held until the time is up, at once when this process holds it. */
export async function acquireDirectoryLock(options: DirectoryLockOptions): Promise<DirectoryLock> {
  const { fileSystem } = options;
  const directory = await fileSystem.resolve(options.directory);
  if (fileSystem.heldDirectories.has(directory)) {
    throw storageError('locked', 'lock', directory, 'this process itself has it open already');
  }
  // From here to the end of the wait the directory counts as ours: two waiters of one process would both get it.
  fileSystem.heldDirectories.add(directory);
  try {
    const lock = await waitForLock(options, directory);
    await writeHolder(fileSystem, directory, options.holder);
    return { directory, release: () => release(fileSystem, directory, lock) };
  } catch (error) {
    fileSystem.heldDirectories.delete(directory);
    throw error;
  }
}

async function release(fileSystem: FileSystem, directory: string, lock: FileLock): Promise<void> {
  try {
    await lock.release();
  } finally {
    fileSystem.heldDirectories.delete(directory);
  }
}

async function waitForLock(options: DirectoryLockOptions, directory: string): Promise<FileLock> {
  const { fileSystem, clock, timeoutMs } = options;
  const startMs = clock.monotonic();
  for (let pollMs = pollMsMin; ; pollMs = Math.min(2 * pollMs, pollMsMax)) {
    const lock = await fileSystem.tryLock(`${directory}/lock`);
    if (lock !== undefined) return lock;
    const leftMs = startMs + timeoutMs - clock.monotonic();
    if (leftMs <= 0) {
      const holder = await readHolder(fileSystem, directory);
      const who = holder === undefined ? 'another process' : describe(holder);
      throw storageError('locked', 'lock', directory, `${who} held it for all of the ${timeoutMs} ms that were waited`);
    }
    await new Promise<void>((resolve) => {
      clock.setTimer(Math.min(pollMs, leftMs), resolve);
    });
  }
}

async function writeHolder(fileSystem: FileSystem, directory: string, holder: LockHolder): Promise<void> {
  const path = `${directory}/holder`;
  try {
    const isThere = (await fileSystem.facts(path)) !== undefined;
    const file = await fileSystem.open(path, isThere ? 'read_write' : 'create');
    try {
      const bytes = new TextEncoder().encode(`${JSON.stringify(holder)}\n`);
      await file.truncate(0);
      // One attempt: a part of it is not readable, and that is all that can happen.
      await file.write(bytes.subarray(0, holderBytesMax), 0);
    } finally {
      await file.close();
    }
  } catch {
    // On a full disk, for example. The lock holds all the same.
  }
}

/** What the file `holder` says, for people: whoever wrote it may have ended since. */
export async function readHolder(fileSystem: FileSystem, directory: string): Promise<LockHolder | undefined> {
  try {
    const file = await fileSystem.open(`${directory}/holder`, 'read');
    try {
      const bytes = new Uint8Array(holderBytesMax);
      const count = await file.read(bytes, 0);
      return decodeHolder(new TextDecoder().decode(bytes.subarray(0, count)));
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

/** Anybody may have written this: only what has the right type and shape goes into a message. */
function decodeHolder(text: string): LockHolder | undefined {
  const found: unknown = JSON.parse(text);
  if (typeof found !== 'object' || found === null) return undefined;
  const fields = new Map<string, unknown>(Object.entries(found));
  const textOf = (name: string): string => {
    const value = fields.get(name);
    return typeof value === 'string' ? value.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, fieldLengthMax) : 'unknown';
  };
  const pid = fields.get('pid');
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid)) return undefined;
  return { pid, host: textOf('host'), started: textOf('started'), title: textOf('title') };
}

function describe(holder: LockHolder): string {
  return `process ${holder.pid} on host ${holder.host} ("${holder.title}", started ${holder.started})`;
}
