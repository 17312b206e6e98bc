// A simulated machine: one disk, and the processes that run on it one after another or side by side.
//
// The disk keeps two views of bytes and names (sim-file.ts, sim-names.ts): what live processes see, and what a power
// cut would leave. Everything uncertain is drawn from the world's seed. What the disk may be relied on for is written
// down as assumptions A1..A5 (survivors.ts); each can be switched off.
//
// Tests drive it from outside, at once and without calls: they start and kill processes, cut the power, inject faults,
// let bytes rot, and ask what would survive.
import { toStorageError } from '../platform/storage-errors.ts';
import type { SeededRandom } from './seeded-random.ts';
import { type Fault, type IoCall, SimFaults } from './sim-faults.ts';
import { type FileChange, SimFile } from './sim-file.ts';
import { type Latencies, SimIo } from './sim-io.ts';
import { errnoError, type NameChange, SimDirectory } from './sim-names.ts';
import { type AfterDeath, SimProcess } from './sim-process.ts';
import { SimStorage } from './sim-storage.ts';
import type { SimWorld } from './sim-world.ts';
import { type Assumptions, allAssumptions, fileSurvival, nameSurvival, type Survivors } from './survivors.ts';

export type SimDiskOptions = {
  /** Directories that exist from the beginning; missing parents are made. Default `['/data']`. */
  readonly directories?: readonly string[];
  /** Room for data (in sectors of 512 bytes that were written) and names (512 bytes each). Default: no limit. */
  readonly capacityBytes?: number;
  /** Whether writes to a full disk succeed and the next sync fails instead, as with delayed allocation. Default no. */
  readonly delayedAllocation?: boolean;
  /** What a file shows where its length survived and its data did not. Default zeros. */
  readonly holes?: 'zeros' | 'garbage';
  /** Assumptions to switch off, for example `{ a1: false }`. */
  readonly assumptions?: Partial<Assumptions>;
  readonly latencies?: Latencies;
};

/** A change that a power cut would keep or lose. */
export type Undecided = {
  readonly id: number;
  readonly path: string;
  readonly what: NameChange['what'] | FileChange['kind'];
  /** For writes: the bytes from .. to. For a truncate `to` is the new length. */
  readonly from: number;
  readonly to: number;
};

export class SimDisk {
  readonly world: SimWorld;
  /** Rules and probabilities of things that go wrong. */
  readonly faults: SimFaults;
  readonly assumptions: Assumptions;
  readonly #options: SimDiskOptions;
  readonly #draws: SeededRandom;
  readonly #storage: SimStorage;
  readonly #io: SimIo;
  readonly #processes = new Set<SimProcess>();
  #processCount = 0;
  #crashed: Promise<void> | undefined;

  constructor(world: SimWorld, options: SimDiskOptions = {}) {
    this.world = world;
    this.#options = options;
    this.assumptions = { ...allAssumptions, ...options.assumptions };
    this.faults = new SimFaults(world.random.fork('faults'));
    this.#draws = world.random.fork('disk');
    this.#storage = new SimStorage({ world, faults: this.faults, draws: this.#draws, assumptions: this.assumptions });
    this.#storage.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.#storage.delayedAllocation = options.delayedAllocation ?? false;
    this.#io = new SimIo(world, this.faults, world.random.fork('io'));
    if (options.latencies !== undefined) this.#io.latencies = options.latencies;
    for (const directory of options.directories ?? ['/data']) this.plantDirectory(directory);
  }

  // Processes and their ends.

  /** Starts a process: a file system, a clock and randomness of its own on this disk. */
  start(name?: string, afterDeath: AfterDeath = 'never'): SimProcess {
    this.#processCount += 1;
    const called = name ?? `process-${this.#processCount}`;
    const random = this.world.random.fork(`process ${this.#processCount}`);
    const process = new SimProcess({ name: called, storage: this.#storage, io: this.#io, random, afterDeath });
    this.#processes.add(process);
    return process;
  }

  /** kill -9. The disk keeps all that had taken effect; calls in flight do so, or a part of them, or none, by draw. */
  killProcess(process: SimProcess, inFlight: 'drawn' | 'none' = 'drawn'): void {
    if (!process.isAlive) return;
    process.end();
    this.#processes.delete(process);
    this.#io.abandon(process, inFlight);
    this.#storage.reap(process);
  }

  /** The power fails and comes back: every process is dead, the survivors are what the disk has. */
  powerCut(survivors: Survivors = 'random'): void {
    for (const process of this.#processes) this.killProcess(process, survivors === 'random' ? 'drawn' : 'none');
    const rules = { assumptions: this.assumptions, holes: this.#options.holes ?? 'zeros' } as const;
    const nodes = this.#storage.names.nodes();
    this.#storage.names.powerCut(nameSurvival(survivors, this.#draws));
    for (const node of nodes) {
      if (node.kind === 'file') node.powerCut(fileSurvival(survivors, rules, this.#draws));
    }
    this.#storage.recount();
  }

  /** The cache forgets clean pages: after a failed sync, live processes may from now on see older bytes again. */
  dropCaches(): void {
    const rules = { assumptions: allAssumptions, holes: 'zeros' } as const;
    for (const { node } of this.#storage.names.paths()) {
      if (node.kind === 'file') node.dropCleanPages(fileSurvival('random', rules, this.#draws));
    }
  }

  /**
   * Stops every process right after the `count`-th further operation that changes the disk (a write, a sync, a name)
   * has taken effect; nothing else that is in flight does. Resolves then. `powerCut` or `start` come next.
   */
  crashAfterOperation(count: number): Promise<void> {
    this.#crashed = new Promise((resolve) => {
      this.#io.crashAfterEffect(this.#io.effectCount + count, () => {
        for (const process of this.#processes) this.killProcess(process, 'none');
        resolve();
      });
    });
    return this.#crashed;
  }

  /** The promise of the latest `crashAfterOperation`; one that never resolves if there was none. */
  get crashed(): Promise<void> {
    return this.#crashed ?? new Promise(() => undefined);
  }

  /** Operations so far that have changed the disk. */
  get operationCount(): number {
    return this.#io.effectCount;
  }

  /** A second disk in another world, as this one is now, with the same uncertainties and without processes. */
  clone(world: SimWorld): SimDisk {
    const copy = new SimDisk(world, { ...this.#options, directories: [] });
    this.#storage.copyStateTo(copy.#storage);
    return copy;
  }

  // What goes wrong.

  /** Calls so far, all processes together; the next one has the number after it. */
  get callCount(): number {
    return this.#io.callCount;
  }

  /** The latest calls, oldest first. */
  get calls(): readonly IoCall[] {
    return this.#io.calls;
  }

  /** Makes the call with this number fail, or all calls from it on. `callCount + 1` is the next one. */
  failCall(number: number, fault: Fault, howLong: 'once' | 'from_then_on'): void {
    this.#io.failCall(number, fault, howLong);
  }

  /** Faults stop: calls succeed again. Damage and bad sectors stay until `liftRot`. */
  heal(): void {
    this.faults.clear();
    this.#io.failNoCall();
  }

  /** Reads of these bytes show something else from now on, until they are written anew. */
  damage(path: string, offset: number, bytes: Uint8Array): void {
    this.#file(path).rot.damage(offset, bytes);
  }

  /** Turns single bits over, as rot does. */
  flipBits(path: string, offset: number, mask = 1): void {
    const [byte = 0] = this.bytesOf(path).subarray(offset, offset + 1);
    this.damage(path, offset, Uint8Array.of(byte ^ mask));
  }

  /** Reads that touch these sectors fail from now on, until they are written anew in full. */
  failReads(path: string, from: number, to: number): void {
    this.#file(path).rot.spoil(from, to);
  }

  liftRot(): void {
    for (const node of this.#storage.names.nodes()) if (node.kind === 'file') node.rot.lift();
  }

  // What would survive.

  /** Whether in every power cut at this moment these live bytes survive under this name. */
  wouldSurvive(path: string, from: number, to: number): boolean {
    const node = this.#storage.names.find(path);
    if (node?.kind !== 'file' || !this.#storage.names.wouldSurvive(path)) return false;
    return node.wouldSurvive(from, to, !this.assumptions.a3);
  }

  /** Whether in every power cut at this moment this name survives with what it names now. */
  nameWouldSurvive(path: string): boolean {
    return this.#storage.names.wouldSurvive(path);
  }

  /** Every change a power cut would decide about, oldest first. */
  undecided(): { readonly writes: readonly Undecided[]; readonly names: readonly Undecided[] } {
    const names = this.#storage.names.undecided().map(({ id, path, what }) => ({ id, path, what, from: 0, to: 0 }));
    const writes = this.#storage.names
      .paths()
      .flatMap(({ path, node }) =>
        node.kind !== 'file'
          ? []
          : node.undecided().map((one) => ({ id: one.id, path, what: one.kind, from: one.from, to: one.end })),
      );
    return { writes: writes.sort((a, b) => a.id - b.id), names };
  }

  // Looking and planting, without a call and without a process.

  /** Paths that live processes can reach, sorted. */
  paths(): string[] {
    return this.#storage.names
      .paths()
      .map(({ path }) => path)
      .sort();
  }

  /** The bytes of a file as live processes see them, rot included. */
  bytesOf(path: string): Uint8Array {
    const file = this.#file(path);
    const bytes = new Uint8Array(file.byteLength);
    file.read(bytes, 0);
    file.rot.show(bytes, 0);
    return bytes;
  }

  has(path: string): boolean {
    return this.#storage.names.find(path) !== undefined;
  }

  /** The lengths of all files below this directory, added up. */
  bytesBelow(directory: string): number {
    let total = 0;
    for (const { path, node } of this.#storage.names.paths()) {
      if (node.kind === 'file' && path.startsWith(`${directory}/`)) total += node.byteLength;
    }
    return total;
  }

  /** What the disk has given away of its capacity. */
  get usedBytes(): number {
    return this.#storage.usedBytes;
  }

  get capacityBytes(): number {
    return this.#storage.capacityBytes;
  }

  /** A disk can grow, and others can take its space away. */
  set capacityBytes(capacityBytes: number) {
    this.#storage.capacityBytes = capacityBytes;
  }

  /** How many files this process has open. A closed buffer leaves none. */
  openFileCount(process: SimProcess): number {
    return this.#storage.handleCount(process);
  }

  /** Puts a durable file there, or gives the one that is there these bytes, durably. */
  plantFile(path: string, bytes: Uint8Array): void {
    let node = this.#storage.names.find(path);
    if (node === undefined) {
      node = new SimFile();
      this.#storage.names.plant(path, node);
    }
    const file = this.#file(path);
    file.truncate(0, 0);
    file.write(0, new Uint8Array(bytes), 0);
    file.powerCut({ everything: 'kept', keptLengths: () => 0, keptWrites: () => 0 });
    this.#storage.recount();
  }

  plantDirectory(path: string): void {
    let parent = '';
    for (const name of path.split('/').filter((part) => part !== '')) {
      parent = `${parent}/${name}`;
      if (!this.has(parent)) this.#storage.names.plant(parent, new SimDirectory());
    }
    this.#storage.recount();
  }

  plantLink(path: string, target: string): void {
    this.#storage.names.plant(path, { kind: 'link', target, worldWritable: true });
    this.#storage.recount();
  }

  setWorldWritable(path: string, worldWritable: boolean): void {
    const node = this.#storage.names.find(path);
    if (node === undefined) throw toStorageError(errnoError('ENOENT'), 'inspect', path);
    node.worldWritable = worldWritable;
  }

  #file(path: string): SimFile {
    const node = this.#storage.names.find(path);
    if (node === undefined) throw toStorageError(errnoError('ENOENT'), 'inspect', path);
    if (node.kind !== 'file') throw toStorageError(errnoError('EISDIR'), 'inspect', path);
    return node;
  }
}
