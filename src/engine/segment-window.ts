// Chapter 4, continued. The window: the part of one segment file that lies in memory.
//
// Why apart from the walk: the walk decides what bytes mean and is synchronous; everything that can wait or fail -
// short reads, the end of the file, blocks that cannot be read, memory for a frame larger than a chunk - is dealt with
// here.
//
// Invariants
//   I4.5  byte i of `bytes` is byte start + i of the file, start is a multiple of 8, and `end` is the end of what was
//         loaded
//   I4.6  memory is one chunk, or one frame if that is larger and the file really has that many bytes
//   I4.7  a failed load leaves what was loaded before in place: it can be tried again
// What can go wrong: a read fails. It is repeated block by block, so that one rotten sector costs one block and not a
// megabyte. A block that fails becomes a hole (no frame may touch it) or, for a reader that would rather wait and try
// again, the error itself. Errors of any other kind than `io` say nothing about the bytes and are always passed on.
// Next: segment-walk.ts.

import { assert } from '../base/assert.ts';
import { isStorageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import { alignDown, alignUp, MiB } from '../base/units.ts';
import type { FileHandle } from '../platform/file-system.ts';
import { frameAlignment, frameHeaderBytes } from './frame.ts';

/** What a block that cannot be read means: an error to the caller, or bytes that are lost. */
export type UnreadableMode = 'reject' | 'damage';

const chunkBytesDefault = MiB;
const blockBytes = 4096;

interface Hole {
  readonly from: number;
  readonly to: number;
}

export class SegmentWindow {
  readonly #file: FileHandle;
  readonly #chunkBytes: number;
  readonly #unreadable: UnreadableMode;
  #chunk: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #bytes: Uint8Array<ArrayBuffer> = this.#chunk;
  #view: DataView = new DataView(this.#bytes.buffer);
  #start = 0;
  #end = 0;
  #fileEnd = Number.POSITIVE_INFINITY;
  #holes: Hole[] = [];

  constructor(options: { file: FileHandle; chunkBytes?: number | undefined; unreadable: UnreadableMode }) {
    this.#file = options.file;
    this.#chunkBytes = alignUp(Math.max(options.chunkBytes ?? chunkBytesDefault, frameHeaderBytes), frameAlignment);
    this.#unreadable = options.unreadable;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get view(): DataView {
    return this.#view;
  }

  /** Byte offset in the file of `bytes[0]`. */
  get start(): number {
    return this.#start;
  }

  /** Byte offset in the file behind the last byte that was loaded. */
  get end(): number {
    return this.#end;
  }

  /** Where the file was seen to end; infinite until then. */
  get fileEnd(): number {
    return this.#fileEnd;
  }

  /** Whether the byte at `offset` of the file is here. */
  covers(offset: number): boolean {
    return offset >= this.#start && offset < this.#end;
  }

  /** The first hole that ends behind `offset`, among the bytes that are here. */
  holeAfter(offset: number): Hole | undefined {
    return this.#holes.find((hole) => hole.to > offset);
  }

  /** Drops what was loaded from `offset` on and the known end of the file: both may have changed since. */
  forget(offset: number): void {
    this.#fileEnd = Number.POSITIVE_INFINITY;
    this.#end = Math.max(this.#start, Math.min(this.#end, offset));
    this.#holes = this.#holes
      .filter((hole) => hole.from < this.#end)
      .map((hole) => ({ from: hole.from, to: Math.min(hole.to, this.#end) }));
  }

  forgetFileEnd(): void {
    this.#fileEnd = Number.POSITIVE_INFINITY;
  }

  /**
   * Sees to it that `byteLength` bytes from `from` (a multiple of 8) on are here, as far as the file and `limit` go,
   * and reads ahead up to a chunk. Bytes before `from` are dropped, and `bytes` and `view` may be new objects
   * afterwards.
   */
  async load(from: number, byteLength: number, limit: number): Promise<void> {
    assert(from % frameAlignment === 0, 'I4.5: a window starts at a multiple of 8', { from });
    const last = Math.min(limit, this.#fileEnd);
    const needEnd = Math.min(alignUp(from + byteLength, frameAlignment), last); // Holes end aligned, too.
    if (needEnd - from > this.#chunkBytes && !(await this.#reaches(needEnd))) return;
    const wantEnd = Math.max(needEnd, Math.min(last, from + this.#chunkBytes));
    this.#moveTo(from, wantEnd - from);
    await this.#fill(needEnd, wantEnd);
  }

  /** Whether the file has so many bytes: a damaged length must not drive an allocation beyond the bytes present. */
  async #reaches(needEnd: number): Promise<boolean> {
    const byteLength = await this.#file.byteLength();
    if (needEnd <= byteLength) return true;
    mark('segment.claim_beyond_file');
    this.#fileEnd = byteLength;
    return false;
  }

  /** Makes `from` the start and room for `byteLength` bytes, keeping what is already here. */
  #moveTo(from: number, byteLength: number): void {
    const target = this.#memoryFor(byteLength);
    const kept = this.covers(from) ? Math.min(this.#end - from, target.length) : 0;
    if (kept > 0) {
      const at = from - this.#start;
      target.set(this.#bytes.subarray(at, at + kept)); // The same memory is fine: `set` copes with overlap.
    }
    if (target !== this.#bytes) {
      this.#bytes = target;
      this.#view = new DataView(target.buffer);
    }
    this.#start = from;
    this.#end = from + kept;
    this.#holes = this.#holes.filter((hole) => hole.to > from && hole.from < this.#end);
  }

  /** The chunk, grown to its full size by and by; for a larger frame memory of its own, given up by the next load. */
  #memoryFor(byteLength: number): Uint8Array<ArrayBuffer> {
    const wanted = alignUp(byteLength, frameAlignment);
    if (wanted > this.#chunkBytes) return wanted <= this.#bytes.length ? this.#bytes : new Uint8Array(wanted);
    if (wanted > this.#chunk.length) {
      this.#chunk = new Uint8Array(Math.min(this.#chunkBytes, Math.max(wanted, 2 * this.#chunk.length)));
    }
    return this.#chunk;
  }

  async #fill(needEnd: number, wantEnd: number): Promise<void> {
    while (this.#end < wantEnd && this.#end < this.#fileEnd) {
      try {
        await this.#read(wantEnd);
      } catch (error) {
        if (!isStorageError(error, 'io')) throw error;
        await this.#fillByBlocks(needEnd, wantEnd);
        if (this.#unreadable === 'reject') return;
      }
    }
  }

  /** Reads on block by block, up to the first one that fails: a failed read does not say where it failed. */
  async #fillByBlocks(needEnd: number, wantEnd: number): Promise<void> {
    mark('segment.read_by_blocks');
    while (this.#end < wantEnd && this.#end < this.#fileEnd) {
      const blockEnd = Math.min(wantEnd, alignDown(this.#end, blockBytes) + blockBytes);
      try {
        while (this.#end < blockEnd && this.#end < this.#fileEnd) await this.#read(blockEnd);
      } catch (error) {
        if (!isStorageError(error, 'io')) throw error;
        if (this.#unreadable === 'damage') return this.#addHole(blockEnd);
        if (this.#end < needEnd) throw error; // I4.7: the blocks before it are here, the next try begins with this one.
        return;
      }
    }
  }

  async #read(end: number): Promise<void> {
    const at = this.#end - this.#start;
    const target = new Uint8Array(this.#bytes.buffer, at, end - this.#end);
    const count = await this.#file.read(target, this.#end);
    if (count === 0) this.#fileEnd = this.#end;
    else this.#end += count;
  }

  #addHole(to: number): void {
    mark('segment.unreadable_block');
    const last = this.#holes.at(-1);
    const from = last !== undefined && last.to === this.#end ? last.from : this.#end;
    if (last !== undefined && from === last.from) this.#holes.pop();
    this.#holes.push({ from, to });
    this.#bytes.fill(0, this.#end - this.#start, to - this.#start); // Old bytes of another place must not show through.
    this.#end = to;
  }
}
