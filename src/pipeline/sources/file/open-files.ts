// Which files are open. A file that is being written to stays open, so that it can be read to its end when its name is
// gone; there may be thousands that are not.
//
// Never more than `openFilesMax`, also while thousands wait to be read: they would take every file that the process may
// open, and the buffer, which has to take what is read, would get none. One that has to wait is opened again for its
// turn. Only files without a name are kept beyond that: nobody could open them again.

import { isStorageError } from '../../../base/errors.ts';
import type { Log } from '../../contract/log.ts';
import type { World } from '../../contract/world.ts';
import type { TailedFile } from './tailed-file.ts';

export const openFilesMax = 256;

export class OpenFiles {
  readonly #world: World;
  readonly #log: Log;
  readonly #files = new Set<TailedFile>();
  /** Names that could not be opened, and why: said once each. */
  readonly #refused = new Map<string, unknown>();

  constructor(world: World, log: Log) {
    this.#world = world;
    this.#log = log;
  }

  /** False if it cannot be opened now, or if its name leads to another file by now. */
  async open(file: TailedFile): Promise<boolean> {
    if (file.handle !== undefined) return true;
    if (this.#files.size >= openFilesMax) await this.#makeRoom();
    try {
      return await this.#openNow(file);
    } catch (error) {
      await this.close(file);
      if (isStorageError(error, 'limit') && (await this.#makeRoom())) return await this.open(file);
      if (!isStorageError(error, 'missing')) this.#refuse(file.path, error);
      return false;
    }
  }

  async #openNow(file: TailedFile): Promise<boolean> {
    file.handle = await this.#world.files.openToRead(file.path);
    this.#files.add(file);
    const { identity } = await file.handle.facts();
    if (this.#refused.delete(file.path)) this.#log.info('A file can be read again', { path: file.path });
    if (identity === file.identity) return true;
    await this.close(file);
    return false;
  }

  async close(file: TailedFile): Promise<void> {
    this.#files.delete(file);
    await file.close();
  }

  /** Closes those that have not grown for longest, as far as they are read and can be found again. */
  async trim(): Promise<void> {
    if (this.#files.size <= openFilesMax) return;
    const idle = [...this.#files].filter((file) => file.isMatched && !file.needsLook && !file.needsRead);
    idle.sort((a, b) => a.grownMs - b.grownMs);
    for (const file of idle.slice(0, this.#files.size - openFilesMax)) await this.close(file);
  }

  /** Closes half of them, those that wait to be read last of all. False: there was none that could be opened again. */
  async #makeRoom(): Promise<boolean> {
    const named = [...this.#files].filter((file) => file.isMatched);
    named.sort((a, b) => Number(a.needsRead) - Number(b.needsRead) || a.grownMs - b.grownMs);
    for (const file of named.slice(0, Math.ceil(this.#files.size / 2))) await this.close(file);
    return named.length > 0;
  }

  async closeAll(): Promise<void> {
    for (const file of [...this.#files]) await this.close(file);
  }

  #refuse(path: string, error: unknown): void {
    if (this.#refused.has(path)) return;
    this.#refused.set(path, error);
    this.#log.warn('A file cannot be read; it is tried again', { path, error });
  }
}
