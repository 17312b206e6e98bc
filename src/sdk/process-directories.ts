// One directory for each process of an application, below the path that all of them are given: a buffer has one writer,
// and cluster workers, PM2 or a rolling restart run several processes at once.
//
//   <path>/traces-4f1c09a2b7d35e68/     a buffer; who holds its lock is alive, and it is theirs
//   <path>/traces-90ab.../              free: its process has ended. The next one that starts takes it for its own;
//                                       one that runs already adopts it: delivers what is in it and removes it
//
// The lock decides, always. Names are random, because process ids are reused, and are all 1 in containers.
//
// I1  nothing is removed but under the lock, and only after a look under that lock has found nothing to deliver
// I2  data goes before the ledger that says it was delivered, the lock goes last: a crash in between repeats nothing
//     and leaves a directory that can be opened, or an empty one
//
// Somebody may make a new lock file in the moment after ours is removed. Then the directory is not empty, and stays.

import { isStorageError } from '../base/errors.ts';
import type { DiskBuffer } from '../engine/disk-buffer.ts';
import { inspectBuffer } from '../engine/disk-buffer-inspection.ts';
import { ledgerName } from '../engine/ledger.ts';
import { parseSegmentFileName } from '../engine/segment-header.ts';
import { quarantineName } from '../engine/segment-quarantine.ts';
import type { Signal } from '../otlp/signal.ts';
import type { Log } from '../pipeline/contract/log.ts';
import type { World } from '../pipeline/contract/world.ts';
import { acquireDirectoryLock, type DirectoryLock } from '../platform/directory-lock.ts';
import { nodePlatform } from '../platform/node-platform.ts';

export interface ProcessDirectoriesOptions {
  /** What the application was given. */
  readonly path: string;
  readonly signal: Signal;
  /** Opens a buffer without waiting for its lock. */
  readonly open: (directory: string) => Promise<DiskBuffer>;
  readonly world: World;
  readonly log: Log;
}

export interface HeldDirectory {
  readonly directory: string;
  readonly buffer: DiskBuffer;
}

/** `removed`, `taken` by somebody else, or `kept` because there is something in it that is not ours to remove. */
export type Removal = 'removed' | 'taken' | 'kept';

const nameBytes = 8;
const triesMax = 20;

export class ProcessDirectories {
  readonly #options: ProcessDirectoriesOptions;
  /** Directories that were reported: once is enough. */
  readonly #reported = new Set<string>();

  constructor(options: ProcessDirectoriesOptions) {
    this.#options = options;
  }

  /** A directory for this process: a free one, or else a new one. */
  async claim(): Promise<HeldDirectory> {
    for (const directory of await this.#list()) {
      const buffer = await this.#tryOpen(directory);
      if (buffer !== undefined) return { directory, buffer };
    }
    for (let tries = 1; ; tries++) {
      const made = await this.#make();
      if (made.buffer !== undefined) return made;
      if (tries === triesMax) throw made.cause;
    }
  }

  /** Between the making of a directory and its lock somebody may look whether it is free: then another one is made. */
  async #make(): Promise<HeldDirectory | { readonly buffer: undefined; readonly cause: unknown }> {
    const { path, signal, world, open } = this.#options;
    const name = Buffer.from(world.random.bytes(nameBytes)).toString('hex');
    const directory = `${path}/${signal}-${name}`;
    try {
      return { directory, buffer: await open(directory) };
    } catch (cause) {
      if (!isStorageError(cause, 'locked') && !isStorageError(cause, 'missing')) throw cause;
      return { buffer: undefined, cause };
    }
  }

  /** A directory that nobody holds, opened; undefined: there is none. */
  async adopt(passedOver: ReadonlySet<string>): Promise<HeldDirectory | undefined> {
    for (const directory of await this.#list()) {
      if (passedOver.has(directory) || !(await this.#isFree(directory))) continue;
      const buffer = await this.#tryOpen(directory);
      if (buffer !== undefined) return { directory, buffer };
    }
    return undefined;
  }

  /** Removes a directory that was drained and closed, if it still is (I1). */
  async remove(directory: string): Promise<Removal> {
    const lock = await this.#lock(directory);
    if (lock === undefined) return 'taken';
    try {
      return await this.#removeUnderLock(directory);
    } finally {
      await lock.release();
    }
  }

  /** Living processes are asked for again and again: the lock alone costs no sync, as opening would. */
  async #isFree(directory: string): Promise<boolean> {
    try {
      const lock = await this.#lock(directory);
      await lock?.release();
      return lock !== undefined;
    } catch {
      return true; // Opening it finds out what is wrong, and says so.
    }
  }

  /** Undefined: somebody has it, or it is gone. */
  async #lock(directory: string): Promise<DirectoryLock | undefined> {
    const { fileSystem, clock } = this.#options.world;
    const { holder } = nodePlatform();
    try {
      return await acquireDirectoryLock({ fileSystem, clock, directory, timeoutMs: 0, holder });
    } catch (cause) {
      if (isStorageError(cause, 'locked') || isStorageError(cause, 'missing')) return undefined;
      throw cause;
    }
  }

  async #removeUnderLock(directory: string): Promise<Removal> {
    const { path, world } = this.#options;
    const { fileSystem, random } = world;
    const { cursors, quarantine, nextId } = await inspectBuffer({ path: directory, fileSystem, random });
    const isDrained = cursors.length === 0 ? nextId === 1 : cursors.every(({ backlog }) => backlog.events === 0);
    if (!isDrained) return 'taken';
    const names = (await fileSystem.list(directory)).map(({ name }) => name);
    if (quarantine.files > 0 || !names.every(isKnown)) return 'kept';
    for (const name of names.filter(isData)) await fileSystem.remove(`${directory}/${name}`);
    await fileSystem.syncDirectory(directory); // I2.
    if (names.includes(quarantineName)) await fileSystem.removeDirectory(`${directory}/${quarantineName}`);
    for (const name of [ledgerName, 'holder', 'lock']) {
      if (name === 'lock' || (await fileSystem.facts(`${directory}/${name}`)) !== undefined) {
        await fileSystem.remove(`${directory}/${name}`);
      }
    }
    await fileSystem.removeDirectory(directory).catch(() => undefined); // Somebody has moved in.
    await fileSystem.syncDirectory(path);
    return 'removed';
  }

  async #list(): Promise<string[]> {
    const { path, signal, world } = this.#options;
    const pattern = new RegExp(`^${signal}-[0-9a-f]{${2 * nameBytes}}$`);
    try {
      const entries = await world.fileSystem.list(path);
      const names = entries.filter(({ kind, name }) => kind === 'directory' && pattern.test(name));
      return names.map(({ name }) => `${path}/${name}`).sort();
    } catch (cause) {
      if (isStorageError(cause, 'missing')) return [];
      throw cause;
    }
  }

  /** What cannot be opened is no reason to export nothing: it is said, and passed over. */
  async #tryOpen(directory: string): Promise<DiskBuffer | undefined> {
    const { open, log } = this.#options;
    try {
      return await open(directory);
    } catch (cause) {
      const isUsual = isStorageError(cause, 'locked') || isStorageError(cause, 'missing');
      if (!isUsual && !this.#reported.has(directory)) {
        this.#reported.add(directory);
        log.warn('a directory of this application cannot be opened: what is in it waits there', { error: cause });
      }
      return undefined;
    }
  }
}

function isData(name: string): boolean {
  return parseSegmentFileName(name) !== undefined;
}

function isKnown(name: string): boolean {
  return isData(name) || [ledgerName, 'holder', 'lock', quarantineName].includes(name);
}
