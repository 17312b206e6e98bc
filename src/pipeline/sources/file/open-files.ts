// Which files are open. A file that is being written to stays open, so that it can be read to its end when its name is
// gone; there may be thousands that are not.

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
    try {
      file.handle = await this.#world.files.openToRead(file.path);
      this.#files.add(file);
      const { identity } = await file.handle.facts();
      if (this.#refused.delete(file.path)) this.#log.info('A file can be read again', { path: file.path });
      if (identity === file.identity) return true;
      await this.close(file);
    } catch (error) {
      if (isStorageError(error, 'limit')) await this.trim(this.#files.size >> 1);
      if (!isStorageError(error, 'missing')) this.#refuse(file.path, error);
      await this.close(file);
    }
    return false;
  }

  async close(file: TailedFile): Promise<void> {
    this.#files.delete(file);
    await file.close();
  }

  /** Closes those that have not grown for longest, as far as they are read and can be found again. */
  async trim(most: number = openFilesMax): Promise<void> {
    if (this.#files.size <= most) return;
    const idle = [...this.#files].filter((file) => file.isMatched && !file.needsLook && !file.needsRead);
    idle.sort((a, b) => a.grownMs - b.grownMs);
    for (const file of idle.slice(0, this.#files.size - most)) await this.close(file);
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
