// One file of the simulated disk: what live processes see, and what is certain to be there after a power cut.
//
// Between the two stands the list of changes that no sync has settled, in the order in which they took effect. A power
// cut decides about each of them, per sector. How long a change stays undecided:
//
//   a write or truncate            undecided
//   a sync that succeeds           durable: all changes whose call had returned before the sync was called; earlier
//                                  truncates too, because lengths are journaled in order
//   a sync that fails              in limbo: every write that had taken effect. The cache shows the bytes, marked
//                                  clean, so that no later sync concerns itself with them (A4). Only writing the same
//                                  bytes again and a sync that succeeds make them durable. Truncates stay undecided.
//
// Sectors (A2, A3): the disk holds a sector as the cache held it at some moment since it was last durable, so of the
// writes that touch a sector the first n are kept, n drawn for each sector. Writes in limbo are drawn on their own for
// each failed sync, because pages that are clean may have been dropped and read again in between.
//
// Lengths are metadata: of the changes of length the first n are kept, whatever became of the data. A length without
// data shows zeros (or garbage, if the disk is told so), data without length is gone.
import { alignDown, alignUp } from '../base/units.ts';
import { SimRot } from './sim-rot.ts';
import { SparseBytes, sectorBytes } from './sparse-bytes.ts';

/** One write or truncate that is not durable. */
export type FileChange = {
  readonly id: number;
  readonly kind: 'write' | 'truncate';
  readonly from: number;
  /** End of the written bytes; for a truncate the new length. */
  end: number;
  /** Whether the call has returned: only such changes does a sync take along. */
  returned: boolean;
  /** 0 while a sync would still write it out; otherwise the number of the failed sync that left it in limbo. */
  limbo: number;
};

type Fragment = {
  readonly change: FileChange;
  readonly from: number;
  readonly to: number;
  /** What was written; undefined for a truncate. */
  readonly bytes: Uint8Array | undefined;
};

/** Decides what a power cut leaves of one file. */
export type FileSurvival = {
  /** All or nothing, without asking about each piece. */
  readonly everything?: 'kept' | 'lost';
  /** How many of these changes of length, in order, reached the disk. */
  keptLengths(changes: readonly FileChange[]): number;
  /** How many of these writes to one sector, in order, reached the disk. */
  keptWrites(sector: number, changes: readonly FileChange[]): number;
  /** Of a growth that is not kept: the length up to which it happened all the same. */
  partOfGrowth?(before: number, after: number): number;
  /** For disks that break A2 or A3: what a kept or lost piece of a sector really looks like. */
  garble?(isKept: boolean, piece: Uint8Array): Uint8Array | undefined;
  /** For disks that break A3: what becomes of everything else in a sector that is written. */
  spoil?(): Uint8Array | undefined;
  /** What a new sector shows whose data was lost: undefined for zeros. */
  hole?(): Uint8Array | undefined;
};

export class SimFile {
  readonly kind = 'file';
  worldWritable = false;
  /** What went bad on the disk under it; reads see it, the promises do not. */
  readonly rot: SimRot = new SimRot();
  /** Names and open handles in live processes; without any, the space is free. */
  holders = 0;
  #live: SparseBytes;
  #durable: SparseBytes;
  #pending: Fragment[] = [];
  #failedSyncs = 0;

  constructor() {
    this.#live = SparseBytes.empty();
    this.#durable = SparseBytes.empty();
  }

  get byteLength(): number {
    return this.#live.byteLength;
  }

  get durableLength(): number {
    return this.#durable.byteLength;
  }

  get allocatedBytes(): number {
    return this.#live.allocatedBytes;
  }

  allocationFor(from: number, to: number): number {
    return this.#live.allocationFor(from, to);
  }

  /** Live bytes as they were written; beyond the end they are zero. */
  read(target: Uint8Array, from: number): void {
    this.#live.read(target, from);
  }

  durableBytes(): Uint8Array {
    return this.#durable.slice(0, this.#durable.byteLength);
  }

  /** Takes effect in the live view. `bytes` is kept: the caller gives a copy that nobody changes. */
  write(id: number, bytes: Uint8Array, at: number): FileChange {
    const end = at + bytes.length;
    const change: FileChange = { id, kind: 'write', from: at, end, returned: false, limbo: 0 };
    this.#live.write(bytes, at);
    this.rot.overwritten(at, end);
    this.#pending.push({ change, from: at, to: end, bytes });
    return change;
  }

  truncate(id: number, byteLength: number): FileChange {
    const before = this.#live.byteLength;
    const change: FileChange = { id, kind: 'truncate', from: before, end: byteLength, returned: false, limbo: 0 };
    this.#live.setLength(byteLength);
    this.rot.overwritten(byteLength, Number.POSITIVE_INFINITY);
    this.#pending.push({
      change,
      from: Math.min(before, byteLength),
      to: Math.max(before, byteLength),
      bytes: undefined,
    });
    return change;
  }

  /** The changes that a sync called now would make durable. */
  changesForSync(): ReadonlySet<FileChange> {
    const taken = new Set<FileChange>();
    for (const { change } of this.#pending) if (change.returned && change.limbo === 0) taken.add(change);
    return taken;
  }

  /** A sync succeeded that had been called when these changes had returned. */
  syncSucceeded(taken: ReadonlySet<FileChange>): void {
    if (taken.size === 0) return;
    let lastTaken = -1;
    this.#pending.forEach((fragment, index) => {
      if (this.#isDirty(fragment, taken)) lastTaken = index;
    });
    let stays: Fragment[] = [];
    this.#pending.forEach((fragment, index) => {
      const journaled = fragment.change.kind === 'truncate' && index < lastTaken;
      if (journaled || this.#isDirty(fragment, taken)) stays = this.#makeDurable(fragment, stays);
      else stays.push(fragment);
    });
    this.#pending = stays;
  }

  /**
   * A sync failed: nobody knows what of all that had taken effect is on the disk, now or later (A4). `spoil` is for
   * disks that break A4 as well: it may give bytes that replace what was durable in a sector concerned.
   */
  syncFailed(spoil?: (sector: number) => Uint8Array | undefined): void {
    this.#failedSyncs += 1;
    for (const { change, bytes, from, to } of this.#pending) {
      if (bytes === undefined || change.limbo !== 0) continue;
      for (const sector of spoil === undefined ? [] : sectorsOf(from, to)) {
        const spoiled = spoil?.(sector)?.subarray(0, Math.max(0, this.#durable.byteLength - sector * sectorBytes));
        if (spoiled !== undefined) this.#durable.write(spoiled, sector * sectorBytes);
      }
    }
    for (const { change } of this.#pending) {
      if (change.kind === 'write' && change.limbo === 0) change.limbo = this.#failedSyncs;
    }
  }

  /** Whether every power cut at this moment would leave these live bytes as they are. */
  wouldSurvive(from: number, to: number, wholeSectors: boolean): boolean {
    if (to > this.#live.byteLength || to > this.#durable.byteLength) return false;
    if (!this.#live.equals(this.#durable, from, to)) return false;
    for (const fragment of this.#pending) {
      if (fragment.bytes === undefined) {
        if (fragment.change.end < to) return false;
        continue;
      }
      if (wholeSectors && touchesSameSector(fragment, from, to)) return false;
      const start = Math.max(from, fragment.from);
      const end = Math.min(to, fragment.to);
      if (start < end && !this.#isLive(fragment.from, fragment.bytes, start, end)) return false;
    }
    return true;
  }

  /** The changes a power cut would decide about, in the order in which they took effect. */
  undecided(): FileChange[] {
    return [...new Set(this.#pending.map((fragment) => fragment.change))];
  }

  /** The power is cut: what survives becomes both views. */
  powerCut(survival: FileSurvival): void {
    if (survival.everything === 'kept') this.#durable = this.#live.clone();
    else if (survival.everything === undefined && this.#pending.length > 0) this.#decide(survival);
    this.#pending = [];
    this.#live = this.#durable.clone();
  }

  /**
   * The cache drops its clean pages, as it may at any time: of what is in limbo, live processes now see what the disk
   * has. (What they still see stays undecided. That is harsher than a real disk, never milder.)
   */
  dropCleanPages(survival: FileSurvival): void {
    const keeps = keeper(this.#pending, survival);
    for (const { change, bytes, from, to } of this.#pending.slice()) {
      if (bytes === undefined || change.limbo === 0) continue;
      for (const sector of sectorsOf(from, to)) {
        if (keeps(change, sector)) continue;
        const start = sector * sectorBytes;
        this.#pending = this.#pending.flatMap((fragment) =>
          fragment.change === change ? without(fragment, start, start + sectorBytes) : [fragment],
        );
      }
    }
    this.#live = this.#replay();
  }

  /** Whether the live view is what the durable one and the undecided changes make. For the simulator's own tests. */
  isConsistent(): boolean {
    const expected = this.#replay();
    return expected.equals(this.#live, 0, Math.max(expected.byteLength, this.#live.byteLength));
  }

  /** A copy for another disk. Handles of the old one do not reach it. */
  clone(): SimFile {
    const copy = new SimFile();
    copy.worldWritable = this.worldWritable;
    copy.rot.copyFrom(this.rot);
    copy.#live = this.#live.clone();
    copy.#durable = this.#durable.clone();
    copy.#failedSyncs = this.#failedSyncs;
    const changes = new Map<FileChange, FileChange>();
    copy.#pending = this.#pending.map((fragment) => {
      const change = changes.get(fragment.change) ?? { ...fragment.change };
      changes.set(fragment.change, change);
      return { ...fragment, change };
    });
    return copy;
  }

  #replay(): SparseBytes {
    const result = this.#durable.clone();
    for (const { change, bytes, from } of this.#pending) {
      if (bytes === undefined) result.setLength(change.end);
      else result.write(bytes, from);
    }
    result.setLength(this.#live.byteLength);
    return result;
  }

  #isDirty(fragment: Fragment, taken: ReadonlySet<FileChange>): boolean {
    return fragment.change.limbo === 0 && taken.has(fragment.change);
  }

  #isLive(from: number, bytes: Uint8Array, start: number, end: number): boolean {
    const live = this.#live.slice(start, end);
    return Buffer.compare(live, bytes.subarray(start - from, end - from)) === 0;
  }

  /** Returns `earlier`, changes that stay undecided, without what this one has overwritten for good. */
  #makeDurable(fragment: Fragment, earlier: readonly Fragment[]): Fragment[] {
    if (fragment.bytes !== undefined) {
      this.#durable.write(fragment.bytes, fragment.from);
      return earlier.flatMap((one) => without(one, fragment.from, fragment.to));
    }
    const byteLength = fragment.change.end;
    this.#durable.setLength(byteLength);
    for (const { change } of earlier) change.end = Math.min(change.end, byteLength);
    return earlier.flatMap((one) => without(one, byteLength, Number.POSITIVE_INFINITY));
  }

  #decide(survival: FileSurvival): void {
    const durableLength = this.#durable.byteLength;
    const { byteLength, truncates } = this.#decideLength(survival);
    const keeps = keeper(this.#pending, survival);
    const written = new Set<number>();
    for (const { change, bytes, from, to } of this.#pending) {
      if (bytes === undefined) {
        if (truncates.has(change)) this.#durable.setLength(change.end);
        continue;
      }
      for (const sector of sectorsOf(from, to)) {
        const start = Math.max(from, sector * sectorBytes);
        const piece = bytes.subarray(start - from, Math.min(to, (sector + 1) * sectorBytes) - from);
        const isKept = keeps(change, sector);
        const spoiled = isKept ? survival.spoil?.() : undefined;
        if (spoiled !== undefined) this.#durable.write(spoiled, sector * sectorBytes);
        const found = survival.garble?.(isKept, piece) ?? (isKept ? piece : undefined);
        if (found !== undefined) this.#durable.write(found, start);
        // A block that was given to the file and never written shows whatever was there before.
        else if (sector * sectorBytes >= durableLength && !written.has(sector)) this.#showHole(sector, survival);
        written.add(sector);
      }
    }
    this.#durable.setLength(byteLength);
  }

  #showHole(sector: number, survival: FileSurvival): void {
    const found = survival.hole?.();
    if (found !== undefined) this.#durable.write(found, sector * sectorBytes);
  }

  #decideLength(survival: FileSurvival): { byteLength: number; truncates: ReadonlySet<FileChange> } {
    let seen = this.#durable.byteLength;
    const changing = this.undecided().filter((change) => {
      const next = lengthAfter(seen, change);
      const changes = next !== seen;
      seen = next;
      return changes;
    });
    const kept = changing.slice(0, survival.keptLengths(changing));
    let byteLength = kept.reduce(lengthAfter, this.#durable.byteLength);
    const next = changing[kept.length];
    if (next?.kind === 'write' && next.end > byteLength) {
      byteLength = survival.partOfGrowth?.(byteLength, next.end) ?? byteLength;
    }
    return { byteLength, truncates: new Set(kept.filter((change) => change.kind === 'truncate')) };
  }
}

function lengthAfter(before: number, change: FileChange): number {
  return change.kind === 'truncate' ? change.end : Math.max(before, change.end);
}

function sectorsOf(from: number, to: number): number[] {
  const first = Math.floor(from / sectorBytes);
  const count = Math.floor((to - 1) / sectorBytes) - first + 1;
  return Array.from({ length: count }, (_, index) => first + index);
}

function touchesSameSector(fragment: Fragment, from: number, to: number): boolean {
  const start = alignDown(from, sectorBytes);
  const end = alignUp(to, sectorBytes);
  return fragment.from < end && fragment.to > start;
}

/** The parts of a fragment outside `from` .. `to`. A truncate is taken away whole or not at all. */
function without(fragment: Fragment, from: number, to: number): Fragment[] {
  const { bytes } = fragment;
  if (fragment.to <= from || fragment.from >= to || bytes === undefined) return [fragment];
  const parts: Fragment[] = [];
  if (fragment.from < from) parts.push({ ...fragment, to: from, bytes: bytes.subarray(0, from - fragment.from) });
  if (fragment.to > to) parts.push({ ...fragment, from: to, bytes: bytes.subarray(to - fragment.from) });
  return parts;
}

/** Asks once for each sector and each failed sync how many of the writes are kept; answers for each write. */
function keeper(
  fragments: readonly Fragment[],
  survival: FileSurvival,
): (change: FileChange, sector: number) => boolean {
  const writesOf = new Map<number, Map<number, FileChange[]>>();
  for (const { change, bytes, from, to } of fragments) {
    if (bytes === undefined) continue;
    const sectors = writesOf.get(change.limbo) ?? new Map<number, FileChange[]>();
    writesOf.set(change.limbo, sectors);
    for (const sector of sectorsOf(from, to)) {
      const writes = sectors.get(sector);
      if (writes === undefined) sectors.set(sector, [change]);
      else if (writes.at(-1) !== change) writes.push(change);
    }
  }
  const keptOf = new Map<FileChange[], number>();
  return (change, sector) => {
    const writes = writesOf.get(change.limbo)?.get(sector);
    if (writes === undefined) return false;
    const kept = keptOf.get(writes) ?? survival.keptWrites(sector, writes);
    keptOf.set(writes, kept);
    return writes.indexOf(change) < kept;
  };
}
