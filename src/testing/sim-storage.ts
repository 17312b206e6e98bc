// The state of a simulated disk that calls change: names, files, the account of its space, open handles and locks.
//
// Space is counted as a small file system would: 512 bytes for each sector of data that was ever written and for each
// name. A file that has lost its last name keeps its space while a process has it open.
import { storageError, toStorageError } from '../platform/storage-errors.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimFaults } from './sim-faults.ts';
import { type FileChange, SimFile } from './sim-file.ts';
import { errnoError, type NameChange, SimNames, type SimNode } from './sim-names.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimWorld } from './sim-world.ts';
import { sectorBytes } from './sparse-bytes.ts';
import type { Assumptions } from './survivors.ts';

const nameBytes = sectorBytes;

export class SimStorage {
  readonly world: SimWorld;
  readonly faults: SimFaults;
  readonly draws: SeededRandom;
  readonly assumptions: Assumptions;
  names: SimNames = new SimNames();
  capacityBytes: number = Number.POSITIVE_INFINITY;
  delayedAllocation = false;
  readonly #handles = new Map<SimProcess, SimFile[]>();
  readonly #locks = new Map<string, SimProcess>();
  #usedBytes = 0;
  #nextId = 1;

  constructor(fields: {
    readonly world: SimWorld;
    readonly faults: SimFaults;
    readonly draws: SeededRandom;
    readonly assumptions: Assumptions;
  }) {
    this.world = fields.world;
    this.faults = fields.faults;
    this.draws = fields.draws;
    this.assumptions = fields.assumptions;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  addName(what: 'create' | 'make directory', path: string, node: SimNode): NameChange {
    if (this.#usedBytes + nameBytes > this.capacityBytes) throw toStorageError(errnoError('ENOSPC'), what, path);
    const change = this.names.add(this.#nextId++, what, path, node);
    if (node.kind === 'file') node.holders += 1;
    this.#usedBytes += nameBytes;
    return change;
  }

  rename(from: string, to: string): NameChange {
    const replaced = this.names.find(to);
    const change = this.names.rename(this.#nextId++, from, to);
    if (replaced !== undefined && replaced !== change.node) this.#dropName(replaced);
    return change;
  }

  removeName(path: string): NameChange {
    const change = this.names.remove(this.#nextId++, path);
    this.#dropName(change.node);
    return change;
  }

  removeDirectory(path: string): NameChange {
    return this.names.removeDirectory(this.#nextId++, path);
  }

  /** How many bytes of a write there is room for: all, fewer, or an error if not even the first. */
  roomForWrite(file: SimFile, position: number, byteLength: number, path: string): number {
    const length = this.faults.transferLength('write', byteLength);
    if (length === 0 || this.delayedAllocation || this.capacityBytes === Number.POSITIVE_INFINITY) return length;
    let room = this.capacityBytes - this.#usedBytes;
    let end = position;
    while (end < position + length) {
      const next = Math.min(position + length, end - (end % sectorBytes) + sectorBytes);
      room -= file.allocationFor(end, next);
      if (room < 0) break;
      end = next;
    }
    if (end === position) throw toStorageError(errnoError('ENOSPC'), 'write', path);
    return end - position;
  }

  /** The disk has given away more than it has: possible with delayed allocation only. */
  isOverfull(): boolean {
    return this.delayedAllocation && this.#usedBytes > this.capacityBytes;
  }

  write(file: SimFile, bytes: Uint8Array, position: number): FileChange | undefined {
    if (bytes.length === 0) return undefined;
    this.#usedBytes += file.allocationFor(position, position + bytes.length);
    return file.write(this.#nextId++, bytes, position);
  }

  truncate(file: SimFile, byteLength: number): FileChange {
    const before = file.allocatedBytes;
    const change = file.truncate(this.#nextId++, byteLength);
    this.#usedBytes += file.allocatedBytes - before;
    return change;
  }

  failSync(file: SimFile): void {
    const spoils = !this.assumptions.a4;
    file.syncFailed(spoils ? () => (this.draws.chance(0.25) ? this.draws.bytes(sectorBytes) : undefined) : undefined);
  }

  openHandle(process: SimProcess, file: SimFile): void {
    file.holders += 1;
    const files = this.#handles.get(process);
    if (files === undefined) this.#handles.set(process, [file]);
    else files.push(file);
  }

  closeHandle(process: SimProcess, file: SimFile): void {
    const files = this.#handles.get(process) ?? [];
    const index = files.indexOf(file);
    if (index < 0) return;
    files.splice(index, 1);
    this.#letGo(file);
  }

  /** How many files this process has open. A closed buffer must leave none. */
  handleCount(process: SimProcess): number {
    return this.#handles.get(process)?.length ?? 0;
  }

  /** True if the lock is now this process's; false while anybody has it, this process included. */
  takeLock(path: string, process: SimProcess): boolean {
    const found = this.names.find(path);
    if (found === undefined) this.addName('create', path, new SimFile()).returned = true;
    else if (found.kind === 'link') throw toStorageError(errnoError('ELOOP'), 'lock', path);
    else if (found.kind === 'directory') throw storageError('lock_foreign', 'lock', path, 'it is a directory');
    else if (found.byteLength > 0) {
      throw storageError('lock_foreign', 'lock', path, `it holds ${found.byteLength} bytes that are not ours`);
    }
    if (this.#locks.has(path)) return false;
    this.#locks.set(path, process);
    return true;
  }

  giveLock(path: string, process: SimProcess): void {
    if (this.#locks.get(path) === process) this.#locks.delete(path);
  }

  /** Takes from a dead process what the operating system would. */
  reap(process: SimProcess): void {
    for (const file of this.#handles.get(process) ?? []) this.#letGo(file);
    this.#handles.delete(process);
    for (const [path, holder] of this.#locks) if (holder === process) this.#locks.delete(path);
  }

  /** Counts names and space anew, for a disk that was changed from outside and that nobody has open. */
  recount(): void {
    this.#usedBytes = 0;
    const seen = new Set<SimNode>();
    for (const { node } of this.names.paths()) {
      this.#usedBytes += nameBytes;
      if (node.kind !== 'file') continue;
      if (!seen.has(node)) {
        node.holders = this.#handleCountOf(node);
        this.#usedBytes += node.allocatedBytes;
      }
      seen.add(node);
      node.holders += 1;
    }
  }

  copyStateTo(copy: SimStorage): void {
    copy.names = this.names.clone();
    copy.capacityBytes = this.capacityBytes;
    copy.delayedAllocation = this.delayedAllocation;
    copy.#nextId = this.#nextId;
    copy.recount();
  }

  #handleCountOf(file: SimFile): number {
    let count = 0;
    for (const files of this.#handles.values()) count += files.filter((one) => one === file).length;
    return count;
  }

  #dropName(node: SimNode): void {
    this.#usedBytes -= nameBytes;
    if (node.kind === 'file') this.#letGo(node);
  }

  #letGo(file: SimFile): void {
    file.holders -= 1;
    if (file.holders === 0) this.#usedBytes -= file.allocatedBytes;
  }
}
