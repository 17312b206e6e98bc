// What goes bad under a file without anybody writing: sectors that cannot be read, bytes that have changed.
//
// Rot lies over the bytes and never replaces them, so that it can be lifted again and what was written stays known.
// Writing a sector anew, in full, makes it readable; writing a byte anew makes that byte right.
import { sectorBytes } from './sparse-bytes.ts';

type Patch = { readonly from: number; readonly bytes: Uint8Array };

export class SimRot {
  readonly #badSectors = new Set<number>();
  #patches: Patch[] = [];

  /** From now on, reads that touch these bytes fail. Whole sectors go bad. */
  spoil(from: number, to: number): void {
    for (let at = Math.floor(from / sectorBytes); at * sectorBytes < to; at++) this.#badSectors.add(at);
  }

  /** From now on, reads show these bytes. */
  damage(from: number, bytes: Uint8Array): void {
    this.#patches.push({ from, bytes: new Uint8Array(bytes) });
  }

  lift(): void {
    this.#badSectors.clear();
    this.#patches = [];
  }

  /** Where the first bad byte in this range lies; undefined if all can be read. */
  firstBad(from: number, to: number): number | undefined {
    if (this.#badSectors.size === 0) return undefined;
    for (let sector = Math.floor(from / sectorBytes); sector * sectorBytes < to; sector++) {
      if (this.#badSectors.has(sector)) return Math.max(from, sector * sectorBytes);
    }
    return undefined;
  }

  /** Puts the damage into bytes that were read from `from` on. */
  show(target: Uint8Array, from: number): void {
    for (const patch of this.#patches) {
      const start = Math.max(from, patch.from);
      const end = Math.min(from + target.length, patch.from + patch.bytes.length);
      if (start < end) target.set(patch.bytes.subarray(start - patch.from, end - patch.from), start - from);
    }
  }

  overwritten(from: number, to: number): void {
    for (const sector of this.#badSectors) {
      if (sector * sectorBytes >= from && (sector + 1) * sectorBytes <= to) this.#badSectors.delete(sector);
    }
    if (this.#patches.length > 0) this.#patches = this.#patches.flatMap((patch) => outside(patch, from, to));
  }

  copyFrom(other: SimRot): void {
    for (const sector of other.#badSectors) this.#badSectors.add(sector);
    this.#patches.push(...other.#patches);
  }
}

function outside(patch: Patch, from: number, to: number): Patch[] {
  const end = patch.from + patch.bytes.length;
  if (end <= from || patch.from >= to) return [patch];
  const parts: Patch[] = [];
  if (patch.from < from) parts.push({ from: patch.from, bytes: patch.bytes.subarray(0, from - patch.from) });
  if (end > to) parts.push({ from: to, bytes: patch.bytes.subarray(to - patch.from) });
  return parts;
}
