// A file of lines that only grows, open for writing, and never with a torn line in the middle.
//
// What is written counts once it is synced. A crash may leave a part of the last write behind: the next open cuts the
// file back to its last newline; those bytes were promised to nobody. A write that fails is cut back at once. After a
// sync that failed nobody knows what the disk holds of the last write, and a later sync would not say: the file is not
// written to any more (`isTrusted`), and its owner puts it aside and writes the same lines to a new one.
//
// Limit: after a power cut some file systems show zeros in place of the last, unpromised lines.

import { dirname } from 'node:path';
import type { FileHandle } from '../../../platform/file-system.ts';
import type { HostFiles } from '../../../platform/host-files.ts';
import type { Log } from '../../contract/log.ts';

const newline = 0x0a;
const scanBytes = 64 * 1024;

export interface OutputFileGiven {
  readonly files: HostFiles;
  readonly path: string;
  readonly log: Log;
}

export class OutputFile {
  readonly path: string;
  /** Device and inode. */
  readonly identity: string;
  readonly #given: OutputFileGiven;
  readonly #handle: FileHandle;
  #byteLength: number;
  #lastWriteMs: number;
  #isTrusted = true;

  private constructor(
    given: OutputFileGiven,
    handle: FileHandle,
    found: { readonly byteLength: number; readonly lastWriteMs: number; readonly identity: string },
  ) {
    this.path = given.path;
    this.identity = found.identity;
    this.#given = given;
    this.#handle = handle;
    this.#byteLength = found.byteLength;
    this.#lastWriteMs = found.lastWriteMs;
  }

  /** Opens or makes the file, and its folder; the names are durable then. Rejects with StorageError. */
  static async open(given: OutputFileGiven): Promise<OutputFile> {
    const { files, path, log } = given;
    await files.makeDirectories(dirname(path));
    const handle = await files.openToWrite(path);
    try {
      await files.syncDirectory(dirname(path));
      const facts = await files.facts(path);
      const foundBytes = await handle.byteLength();
      const byteLength = await endOfLastLine(handle, foundBytes);
      if (byteLength < foundBytes) {
        log.warn('cut a line that a crash had torn', { path, cutBytes: foundBytes - byteLength });
        await handle.truncate(byteLength);
      }
      const { identity = '', modifiedMs: lastWriteMs = 0 } = facts ?? {};
      return new OutputFile(given, handle, { byteLength, lastWriteMs, identity });
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get byteLength(): number {
    return this.#byteLength;
  }

  /** The wall clock at the last write, of this process or an earlier one. */
  get lastWriteMs(): number {
    return this.#lastWriteMs;
  }

  /** False after a failed sync, or when a failed write could not be cut back. */
  get isTrusted(): boolean {
    return this.#isTrusted;
  }

  /** Whether the path still leads here, and nobody else has changed the length: log rotation by others does both. */
  async isStillThere(): Promise<boolean> {
    const facts = await this.#given.files.facts(this.path);
    return facts?.identity === this.identity && facts.byteLength === this.#byteLength;
  }

  /** Appends whole lines; on stable storage when it resolves. Rejects with StorageError, and nothing counts then. */
  async append(lines: Uint8Array, nowMs: number): Promise<void> {
    try {
      for (let done = 0; done < lines.length; ) {
        done += await this.#handle.write(lines.subarray(done), this.#byteLength + done);
      }
    } catch (error) {
      await this.#cutBack();
      throw error;
    }
    try {
      await this.#handle.syncData();
    } catch (error) {
      this.#isTrusted = false;
      await this.#cutBack(); // So that what is put aside ends with what was promised, as far as that can be had.
      throw error;
    }
    this.#byteLength += lines.length;
    this.#lastWriteMs = nowMs;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #cutBack(): Promise<void> {
    try {
      await this.#handle.truncate(this.#byteLength);
    } catch (error) {
      this.#isTrusted = false;
      this.#given.log.warn('a torn line could not be cut off', { path: this.path, error });
    }
  }
}

/** The length of the file without an unfinished last line. */
async function endOfLastLine(handle: FileHandle, byteLength: number): Promise<number> {
  const block = new Uint8Array(scanBytes);
  for (let end = byteLength; end > 0; ) {
    const start = Math.max(0, end - scanBytes);
    const part = block.subarray(0, end - start);
    for (let done = 0; done < part.length; ) {
      const count = await handle.read(part.subarray(done), start + done);
      if (count === 0) return 0; // Somebody else has just cut it; the next look at its length will tell.
      done += count;
    }
    const at = part.lastIndexOf(newline);
    if (at !== -1) return start + at + 1;
    end = start;
  }
  return 0;
}
