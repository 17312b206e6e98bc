// The bytes of a simulated file: holes cost nothing, copies share what neither side has changed.
//
// Bytes live in chunks of 16 KiB that come into being with the first write. Everything outside is zero. A mask per
// chunk remembers which 512-byte sectors were ever written, for the account of the disk's space.
//
// Invariant: bytes at and beyond `byteLength` are zero, so that a file that grows again shows zeros.

export const sectorBytes = 512;
const chunkBytes = 16 * 1024;

export class SparseBytes {
  readonly #chunks: (Uint8Array | undefined)[];
  /** Whether nobody else reads the chunk; a shared one is copied before the first change. */
  readonly #owned: boolean[];
  readonly #masks: number[];
  #byteLength: number;

  private constructor(chunks: (Uint8Array | undefined)[], masks: number[], byteLength: number) {
    this.#chunks = chunks;
    this.#owned = [];
    this.#masks = masks;
    this.#byteLength = byteLength;
  }

  static empty(): SparseBytes {
    return new SparseBytes([], [], 0);
  }

  /** A copy in time proportional to the number of chunks, not of bytes. */
  clone(): SparseBytes {
    this.#owned.length = 0;
    return new SparseBytes(this.#chunks.slice(), this.#masks.slice(), this.#byteLength);
  }

  get byteLength(): number {
    return this.#byteLength;
  }

  /** Cuts (what is cut away becomes zero) or extends with zeros. */
  setLength(byteLength: number): void {
    if (byteLength < this.#byteLength) this.#clearFrom(byteLength);
    this.#byteLength = byteLength;
  }

  /** Copies bytes from `from` on into `target`; beyond the end they are zero. */
  read(target: Uint8Array, from: number): void {
    for (let done = 0; done < target.length; ) {
      const position = from + done;
      const inside = position % chunkBytes;
      const count = Math.min(target.length - done, chunkBytes - inside);
      const chunk = this.#chunks[(position - inside) / chunkBytes];
      if (chunk === undefined) target.fill(0, done, done + count);
      else target.set(chunk.subarray(inside, inside + count), done);
      done += count;
    }
  }

  slice(from: number, to: number): Uint8Array {
    const result = new Uint8Array(to - from);
    this.read(result, from);
    return result;
  }

  /** Stores bytes; the length grows if they reach beyond it. */
  write(source: Uint8Array, at: number): void {
    for (let done = 0; done < source.length; ) {
      const position = at + done;
      const inside = position % chunkBytes;
      const count = Math.min(source.length - done, chunkBytes - inside);
      const index = (position - inside) / chunkBytes;
      this.#own(index).set(source.subarray(done, done + count), inside);
      this.#masks[index] = (this.#masks[index] ?? 0) | maskOf(inside, inside + count);
      done += count;
    }
    if (source.length > 0) this.#byteLength = Math.max(this.#byteLength, at + source.length);
  }

  equals(other: SparseBytes, from: number, to: number): boolean {
    for (let position = from; position < to; ) {
      const inside = position % chunkBytes;
      const count = Math.min(to - position, chunkBytes - inside);
      const index = (position - inside) / chunkBytes;
      if (!sameBytes(this.#chunks[index], other.#chunks[index], inside, inside + count)) return false;
      position += count;
    }
    return true;
  }

  /** What the file occupies on the disk: 512 bytes for each sector that was ever written. */
  get allocatedBytes(): number {
    let sectors = 0;
    for (const mask of this.#masks) if (mask !== undefined) sectors += countBits(mask);
    return sectors * sectorBytes;
  }

  /** By how much {@link allocatedBytes} would grow if these bytes were written. */
  allocationFor(from: number, to: number): number {
    let sectors = 0;
    for (let position = from; position < to; ) {
      const inside = position % chunkBytes;
      const count = Math.min(to - position, chunkBytes - inside);
      const index = (position - inside) / chunkBytes;
      sectors += countBits(maskOf(inside, inside + count) & ~(this.#masks[index] ?? 0));
      position += count;
    }
    return sectors * sectorBytes;
  }

  #clearFrom(position: number): void {
    const inside = position % chunkBytes;
    const index = (position - inside) / chunkBytes;
    if (inside > 0 && this.#chunks[index] !== undefined) this.#own(index).fill(0, inside);
    if (inside > 0) this.#masks[index] = (this.#masks[index] ?? 0) & maskOf(0, inside);
    const kept = inside > 0 ? index + 1 : index;
    if (this.#chunks.length > kept) this.#chunks.length = kept;
    if (this.#owned.length > kept) this.#owned.length = kept;
    if (this.#masks.length > kept) this.#masks.length = kept;
  }

  #own(index: number): Uint8Array {
    const present = this.#chunks[index];
    if (present !== undefined && this.#owned[index] === true) return present;
    const mine = present === undefined ? new Uint8Array(chunkBytes) : present.slice();
    this.#chunks[index] = mine;
    this.#owned[index] = true;
    return mine;
  }
}

/** The bits of the sectors that the bytes `from` .. `to` of one chunk touch. */
function maskOf(from: number, to: number): number {
  const first = Math.floor(from / sectorBytes);
  const last = Math.floor((to - 1) / sectorBytes);
  const count = last - first + 1;
  return count >= 32 ? -1 : ((1 << count) - 1) << first;
}

function countBits(mask: number): number {
  let rest = mask - ((mask >>> 1) & 0x55555555);
  rest = (rest & 0x33333333) + ((rest >>> 2) & 0x33333333);
  return Math.imul((rest + (rest >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined, from: number, to: number): boolean {
  if (a === b) return true;
  if (a !== undefined && b !== undefined) return Buffer.compare(a.subarray(from, to), b.subarray(from, to)) === 0;
  for (let at = from; at < to; at++) if ((a?.[at] ?? 0) !== (b?.[at] ?? 0)) return false;
  return true;
}
