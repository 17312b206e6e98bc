// The files that rotation has put aside: `shop.jsonl.000001`, `shop.jsonl.000002.gz`. Higher numbers are younger.
//
// A file is compressed into `<name>.gz.new`, which is synced and then renamed; only then the original goes. A crash
// leaves a draft, which is made again, or both, and then the original is removed: never a name with half a file.
// Nothing here is urgent, and no failure here holds up what is delivered: it is logged, and tried again at the next
// rotation or start.

import { basename, dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { FileHandle } from '../../../platform/file-system.ts';
import type { HostFile, HostFiles } from '../../../platform/host-files.ts';
import type { Log } from '../../contract/log.ts';

const readBytes = 256 * 1024;
const digits = 6;

export interface RotatedFilesGiven {
  readonly files: HostFiles;
  readonly log: Log;
  readonly compression: 'none' | 'gzip';
  /** How many to keep for one path; undefined: all. */
  readonly keep: number | undefined;
}

interface Rotated {
  readonly number: number;
  readonly path: string;
  readonly isCompressed: boolean;
}

export class RotatedFiles {
  readonly #given: RotatedFilesGiven;
  readonly #stopping = new AbortController();
  readonly #failures = new Set<string>();
  #work: Promise<void> = Promise.resolve();

  constructor(given: RotatedFilesGiven) {
    this.#given = given;
  }

  /** Renames the file to the next free number; durable when it resolves. Rejects with StorageError. */
  async putAside(path: string): Promise<void> {
    const { files } = this.#given;
    const youngest = (await this.#list(path)).rotated.at(-1)?.number ?? 0;
    await files.rename(path, `${path}.${String(youngest + 1).padStart(digits, '0')}`);
    await files.syncDirectory(dirname(path));
  }

  /** Removes what is too much and compresses what is not, behind the scenes, one path after the other. */
  tend(path: string): void {
    this.#work = this.#work.then(() => this.#tend(path));
  }

  /** Resolves when nothing is under way any more. A file that is being compressed is left for the next start. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#work;
  }

  async #tend(path: string): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    try {
      const { rotated, drafts } = await this.#list(path);
      for (const draft of drafts) await this.#given.files.remove(draft);
      const kept = await this.#removeBeyondKeep(rotated);
      if (this.#given.compression === 'gzip') await this.#compressAll(kept);
      this.#failures.delete(path);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      // Said once for each path until it works again: a full disk would fill the log as well.
      if (!this.#failures.has(path)) this.#given.log.warn('rotated files could not be tended', { path, error });
      this.#failures.add(path);
    }
  }

  async #removeBeyondKeep(rotated: readonly Rotated[]): Promise<readonly Rotated[]> {
    const { files, keep } = this.#given;
    if (keep === undefined) return rotated;
    const numbers = [...new Set(rotated.map(({ number }) => number))];
    const kept = new Set(numbers.slice(Math.max(0, numbers.length - keep)));
    for (const { number, path } of rotated) if (!kept.has(number)) await files.remove(path);
    return rotated.filter(({ number }) => kept.has(number));
  }

  async #compressAll(rotated: readonly Rotated[]): Promise<void> {
    const { files } = this.#given;
    const done = new Set(rotated.filter(({ isCompressed }) => isCompressed).map(({ number }) => number));
    for (const { number, path, isCompressed } of rotated) {
      if (isCompressed) continue;
      // The name with .gz is given to whole files only, so where both are there the crash came just before this.
      if (!done.has(number)) await compress(files, path, this.#stopping.signal);
      await files.remove(path);
    }
  }

  async #list(path: string): Promise<{ rotated: Rotated[]; drafts: string[] }> {
    const rotated: Rotated[] = [];
    const drafts: string[] = [];
    const prefix = `${basename(path)}.`;
    for (const name of await this.#given.files.list(dirname(path))) {
      const parts = name.startsWith(prefix) ? /^(\d{6,7})(\.gz)?(\.new)?$/.exec(name.slice(prefix.length)) : null;
      if (parts === null) continue;
      const [, number, gz, draft] = parts;
      const found = `${path}${name.slice(prefix.length - 1)}`;
      if (draft !== undefined) drafts.push(found);
      else rotated.push({ number: Number(number), path: found, isCompressed: gz !== undefined });
    }
    return { rotated: rotated.sort((a, b) => a.number - b.number), drafts };
  }
}

async function compress(files: HostFiles, path: string, signal: AbortSignal): Promise<void> {
  const draft = `${path}.gz.new`;
  try {
    await compressInto(files, { path, draft, signal });
  } catch (error) {
    await files.remove(draft).catch(() => undefined); // The first error says more.
    throw error;
  }
  await files.rename(draft, `${path}.gz`); // After the sync: whoever sees the name sees the whole file.
  await files.syncDirectory(dirname(path));
}

async function compressInto(
  files: HostFiles,
  { path, draft, signal }: { path: string; draft: string; signal: AbortSignal },
): Promise<void> {
  const from = await files.openToRead(path);
  try {
    const to = await files.openToWrite(draft);
    try {
      await to.truncate(0);
      await pipeline(partsOf(from), createGzip(), (parts) => writeAll(parts, to), { signal });
      await to.syncData();
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

async function* partsOf(file: HostFile): AsyncGenerator<Uint8Array> {
  for (let position = 0; ; ) {
    const part = new Uint8Array(readBytes);
    const count = await file.read(part, position);
    if (count === 0) return;
    yield part.subarray(0, count);
    position += count;
  }
}

async function writeAll(parts: AsyncIterable<Uint8Array>, to: FileHandle): Promise<void> {
  let position = 0;
  for await (const part of parts) {
    for (let done = 0; done < part.length; ) done += await to.write(part.subarray(done), position + done);
    position += part.length;
  }
}
