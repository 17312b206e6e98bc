// Chapter 12, last part. Repairs: the first changes after a crash, and the confirmation of what was found.
//
// What the scan found may be in the cache of the operating system only, marked clean by a sync that failed: it can be
// read, and yet never reach the disk. So the same bytes are written again at the same places and synced, before anybody
// is told that they are durable (A4). A header that a power cut took is written as it was rebuilt: its epoch stands in
// the keys of what is handed out from now on, and one that is rebuilt after the next crash would have another.
//
// I12.6  a tail is copied aside before it is cut, a file before it is removed
// I12.7  what could not be read is not written: a repair never replaces unknown bytes
// I12.8  every step can be repeated: a full disk in the middle means trying again from the start
//
// Next: disk-buffer.ts, the whole.

import { isStorageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import { alignDown, MiB } from '../base/units.ts';
import type { FileHandle, FileSystem } from '../platform/file-system.ts';
import type { Recovered, Repair } from './recovery.ts';
import { letGo, readFully, type Segment } from './segment-catalog.ts';
import { encodeSegmentHeader, segmentHeaderBytes } from './segment-header.ts';
import type { Quarantine } from './segment-quarantine.ts';

const blockBytes = 4096;

export class Repairs {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #recovered: Recovered;
  readonly #quarantine: Quarantine;
  readonly #done: () => void;
  /** Files with bytes that were written again and must be synced. */
  #rewritten: { readonly path: string; readonly file: FileHandle }[] = [];
  #isDone = false;

  constructor(options: {
    readonly fileSystem: FileSystem;
    readonly directory: string;
    readonly recovered: Recovered;
    readonly quarantine: Quarantine;
    /** Everything is repaired and durable: the files are anybody's again. */
    readonly done: () => void;
  }) {
    this.#fileSystem = options.fileSystem;
    this.#directory = options.directory;
    this.#recovered = options.recovered;
    this.#quarantine = options.quarantine;
    this.#done = options.done;
  }

  /** Whether this segment is still to be repaired or confirmed: until then nobody else may remove it (I13.2). */
  concerns(segment: Segment): boolean {
    if (this.#isDone) return false;
    return this.#recovered.repairs.some((repair) => repair.segment === segment && repair.action !== 'leave');
  }

  /** Copies aside, cuts, removes and writes again. Needs no free space but for the copies; may be repeated (I12.8). */
  async apply(): Promise<void> {
    await this.close();
    for (const { segment, from, to } of this.#recovered.damage) await this.#quarantine.keep(segment.path, from, to);
    for (const repair of this.#recovered.repairs) await this.#repair(repair);
  }

  /** Makes everything durable that `apply` wrote, and the names. Not to be repeated when it fails. */
  async sync(): Promise<void> {
    try {
      for (const { file } of this.#rewritten) await file.syncData();
      const touched = this.#recovered.repairs.some((repair) => repair.action !== 'leave');
      if (touched) await this.#fileSystem.syncDirectory(this.#directory);
    } finally {
      await this.close();
    }
    this.#isDone = true;
    this.#done();
  }

  async close(): Promise<void> {
    const files = this.#rewritten;
    this.#rewritten = [];
    for (const { file } of files) await letGo(file);
  }

  async #repair(repair: Repair): Promise<void> {
    const { segment, action, end } = repair;
    switch (action) {
      case 'leave':
        return;
      case 'quarantine_and_remove':
        await this.#quarantine.keep(segment.path, 0, segment.byteLength);
        return await this.#remove(repair);
      case 'remove':
        return await this.#remove(repair);
      case 'quarantine_and_cut':
        await this.#quarantine.keep(segment.path, end, segment.byteLength);
        return await this.#rewrite(repair, true);
      case 'cut':
        return await this.#rewrite(repair, true);
      case 'keep':
        return await this.#rewrite(repair, false);
    }
  }

  async #remove({ segment }: Repair): Promise<void> {
    const { catalog } = this.#recovered;
    // First, so that no reader looks for it meanwhile; nothing is written before the repairs are done, so its bytes are
    // not given away twice.
    if (catalog.at(segment.number) !== undefined) catalog.remove(segment);
    try {
      await this.#fileSystem.remove(segment.path);
    } catch (cause) {
      if (!isStorageError(cause, 'missing')) throw cause; // Missing: done before the disk was full.
    }
  }

  async #rewrite({ segment, situation, from, end }: Repair, cut: boolean): Promise<void> {
    if (end <= from && !cut) return;
    const file = await this.#fileSystem.open(segment.path, 'read_write');
    this.#rewritten.push({ path: segment.path, file });
    // Shorter: the last frame is whole but for the zeros behind it, which this puts back.
    if (cut || segment.byteLength < end) {
      await file.truncate(end);
      segment.byteLength = end;
    }
    // Nothing before the hint but the header: that is as doubtful as the frames behind it.
    const isDoubtful = from === segmentHeaderBytes;
    // A newer program's header said more than this build knows: one of ours must not pass for it.
    const isRebuilt = isDoubtful && situation.frames !== 'newer' && (await rewriteHeader(file, segment));
    const start = isDoubtful && !isRebuilt ? 0 : from;
    const chunk = new Uint8Array(1 * MiB);
    for (let at = start; at < end; ) {
      const part = chunk.subarray(0, Math.min(chunk.length, end - at));
      const count = await readUnlessBroken(file, part, at);
      if (count === 0) break;
      if (count === undefined) await rewriteBlocks(file, at, at + part.length);
      else await writeFully(file, part.subarray(0, count), at);
      at += count ?? part.length;
    }
  }
}

/** Writes a header that was rebuilt over the one that is none. Whether it has. */
async function rewriteHeader(file: FileHandle, { state, header }: Segment): Promise<boolean> {
  if (state !== 'rebuilt' || header === undefined || header.firstId === 0) return false; // No frame is left whole.
  const found = await readUnlessBroken(file, new Uint8Array(segmentHeaderBytes), 0);
  if (found === undefined) return false; // I12.7.
  mark('recovery.header_rewritten');
  await writeFully(file, encodeSegmentHeader(header), 0);
  return true;
}

/** Block by block: those that cannot be read stay as they are (I12.7). */
async function rewriteBlocks(file: FileHandle, from: number, end: number): Promise<void> {
  const block = new Uint8Array(blockBytes);
  for (let at = from; at < end; ) {
    const part = block.subarray(0, Math.min(alignDown(at, blockBytes) + blockBytes, end) - at);
    const count = await readUnlessBroken(file, part, at);
    if (count === undefined) mark('recovery.block_not_rewritten');
    else await writeFully(file, part.subarray(0, count), at);
    at += part.length;
  }
}

/** How many bytes were read, or undefined if some of them cannot be. */
async function readUnlessBroken(file: FileHandle, target: Uint8Array, position: number): Promise<number | undefined> {
  try {
    return await readFully(file, target, position);
  } catch (cause) {
    if (!isStorageError(cause, 'io')) throw cause;
    return undefined;
  }
}

async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += await file.write(bytes.subarray(done), position + done);
}
