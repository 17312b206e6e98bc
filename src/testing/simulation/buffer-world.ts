// A buffer that lives and dies many times on one simulated disk, held against the model: who opens it, kills it, cuts
// its power, and what must be true when it comes back.
import { StorageError } from '../../base/errors.ts';
import { DiskBuffer } from '../../engine/disk-buffer.ts';
import type { BufferStats } from '../../engine/disk-buffer-stats.ts';
import type { DiskBufferOptions } from '../../engine/limits.ts';
import { BufferModel } from '../buffer-model.ts';
import { check } from '../buffer-model-parts.ts';
import { PromiseMonitor } from '../promise-monitor.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { SimDisk } from '../sim-disk.ts';
import type { SimProcess } from '../sim-process.ts';
import { SimWorld } from '../sim-world.ts';
import { Life } from './life.ts';
import { drawOptions, type Swarm } from './swarm.ts';

export const directory = '/data/buffer';

export class BufferWorld {
  readonly world: SimWorld;
  readonly disk: SimDisk;
  readonly model: BufferModel = new BufferModel();
  readonly random: SeededRandom;
  readonly swarm: Swarm;
  /** Markers of segments whose header was damaged. */
  readonly salts: Map<string, number> = new Map();
  life: Life | undefined;
  /** Under way: the buffer is being opened. */
  opening: { readonly process: SimProcess; options: DiskBufferOptions } | undefined;
  options: DiskBufferOptions | undefined;
  lastSerial = 0;
  lifeCount = 0;
  /** Cursor names whose removal was asked for and may have happened. */
  readonly removed: Set<string> = new Set();
  /** Cursors that must be there after a crash. */
  readonly settledCursors: Set<string> = new Set();
  /** What was done to the ledger since both of its slots were written. */
  ledgerDamage: 'none' | 'one' | 'both' = 'none';
  /** Whether reads may have been refused by the disk in this life. */
  mayFailReads = false;
  hasBadSectors = false;
  /** Whether anything was sent back: retried records come together, whatever their bytes. */
  wasRetried = false;
  /** Whether anything was done that may make the disk take more than `maxBytes`: it was larger before. */
  #bytesAllowed = 0;
  #highestEpoch = 0;
  #uuid: string | undefined;
  #before: { readonly clean: boolean | 'perhaps'; readonly floor: ReadonlyMap<string, number> } | undefined;

  constructor(seed: number | string, swarm: Swarm) {
    this.swarm = swarm;
    this.world = new SimWorld({ seed, timerLatenessMsMax: swarm.timerLatenessMs });
    this.random = this.world.random.fork('life');
    this.disk = new SimDisk(this.world, { holes: swarm.holes, delayedAllocation: swarm.delayedAllocation });
  }

  /** Begins to open the buffer, with other options than last time. */
  open(): void {
    const process = this.disk.start();
    this.model.readsFail = this.#isUnreadableNow;
    this.mayFailReads = this.hasBadSectors || this.#isUnreadableNow;
    const { fileSystem, clock, random } = process;
    const drawn = drawOptions(this.random, this.swarm, this.options);
    const options: DiskBufferOptions = { ...drawn, path: directory, fileSystem, clock, random };
    const opening = { process, options };
    this.opening = opening;
    DiskBuffer.open(options).then(
      (buffer) => {
        if (process.isAlive && this.opening === opening) this.#guard(() => this.#opened(process, buffer, options));
      },
      (cause: unknown) => {
        if (process.isAlive && this.opening === opening) this.#guard(() => this.#refused(process, cause));
      },
    );
  }

  /** The process is killed; what it had written stays. */
  kill(): void {
    const process = this.life?.process ?? this.opening?.process;
    if (process === undefined) return;
    this.#sawLast();
    this.disk.killProcess(process);
    this.#ended();
    this.model.killed();
  }

  powerCut(): void {
    this.#sawLast();
    this.disk.powerCut();
    this.#ended();
    this.model.powerCut();
  }

  /** Everything is compared with everything. */
  inspect(): void {
    const { life } = this;
    if (life === undefined) return;
    const stats = life.inspect();
    const bytes = this.disk.bytesBelow(directory);
    this.#bytesAllowed = Math.max(stats.disk.maxBytes, Math.min(this.#bytesAllowed, bytes));
    check(bytes <= this.#bytesAllowed, `the directory takes ${bytes} bytes, allowed are ${this.#bytesAllowed}`);
  }

  /** The buffer was closed, whatever came of it. */
  closed(life: Life): void {
    life.state = 'over';
    const timers = life.process.clock.owedCount;
    const files = this.disk.openFileCount(life.process);
    check(timers === 0, `a closed buffer left ${timers} timers`);
    check(files === 0, `a closed buffer left ${files} files open`);
    // Its last word may be in the ledger although a failed sync made it doubtful.
    // Where a segment could not be read, there is something left to look at however well the end was.
    this.#remember(life, (life.clean && !this.mayFailReads) || 'perhaps');
  }

  /** What the user of a closed buffer still holds is gone; so is the process. */
  leave(life: Life): void {
    check(life.pending.size === 0, `a closed buffer never answered: ${[...life.pending.values()].join(', ')}`);
    this.disk.killProcess(life.process);
    const { clean, floor } = this.#before ?? { clean: false, floor: new Map<string, number>() };
    this.#ended();
    this.#before = { clean, floor };
    this.model.killed();
  }

  #sawLast(): void {
    const { life } = this;
    if (life === undefined || life.isOver) return;
    life.inspect();
    // A close may have published its last word, and nobody has heard of it yet.
    this.#remember(life, life.state === 'closing' ? 'perhaps' : life.clean);
  }

  /** What its last life leaves behind that the next one is held to. */
  #remember(life: Life, clean: boolean | 'perhaps'): void {
    const { publishes } = life.buffer.stats().work;
    // A life that could not write the ledger leaves the word of the one before.
    const isOld = publishes === 0 && this.#before?.clean !== false;
    this.#before = { clean: isOld ? 'perhaps' : clean, floor: life.floor };
    // An epoch that never came to the ledger was never used for a record.
    if (publishes > 0) this.#highestEpoch = Math.max(life.epoch, this.#highestEpoch);
    if (publishes > 1) this.ledgerDamage = 'none'; // Both slots were written anew.
  }

  /** A buffer that was being opened may have published that it is not clean any more. */
  #wasOpening(): void {
    const { opening } = this;
    if (opening !== undefined && this.#before?.clean === true) this.#before = { ...this.#before, clean: 'perhaps' };
  }

  #ended(): void {
    if (this.opening !== undefined) this.#wasOpening();
    this.life = undefined;
    this.opening = undefined;
  }

  get #isUnreadableNow(): boolean {
    const { readError = 0, nameError = 0 } = this.disk.faults.chances;
    return readError + nameError > 0;
  }

  #guard(tell: () => void): void {
    try {
      tell();
    } catch (cause) {
      this.world.fail(cause);
    }
  }

  #refused(process: SimProcess, cause: unknown): void {
    this.#wasOpening();
    this.opening = undefined;
    check(cause instanceof StorageError, `open was refused with ${String(cause)}`);
    check(this.swarm.faults.size > 0, `open was refused on a disk without faults: ${String(cause)}`);
    const timers = process.clock.owedCount;
    const files = this.disk.openFileCount(process);
    check(timers === 0, `a refused open left ${timers} timers after: ${String(cause)}`);
    check(files === 0, `a refused open left ${files} files open after: ${String(cause)}`);
    this.disk.killProcess(process);
  }

  #opened(process: SimProcess, buffer: DiskBuffer, options: DiskBufferOptions): void {
    this.opening = undefined;
    this.options = options;
    // A slot of the ledger that could not be read is no slot, as if it were damaged.
    if (this.model.readsFail) this.ledgerDamage = 'both';
    this.lifeCount += 1;
    const stats = buffer.stats();
    this.#bytesAllowed = Math.max(stats.disk.maxBytes, this.disk.bytesBelow(directory));
    if (this.#uuid !== undefined && this.#uuid !== stats.uuid) {
      this.model.begunAnew();
      this.#highestEpoch = 0;
      this.#before = undefined;
    }
    this.#uuid = stats.uuid;
    this.#checkEpoch(stats.epoch);
    this.#checkCursors(stats.cursors);
    // Nor could the last run's leavings be confirmed where they could not be read.
    this.model.readsDoubtful = this.mayFailReads;
    if (this.mayFailReads) this.model.cacheDropped();
    this.model.opened(stats.frontiers.reserved, stats.cursors, countedId(stats));
    // What nobody has published in this life yet, the next crash may take back.
    const floor = stats.work.publishes > 0 ? undefined : this.#before?.floor;
    const fail = (cause: unknown): void => this.world.fail(cause);
    this.life = new Life({
      model: this.model,
      process,
      buffer,
      floor: new Map(floor ?? positionsOf(stats.cursors)),
      fail,
    });
    const { disk, swarm } = this;
    if (swarm.faults.size === 0) new PromiseMonitor({ buffer, disk, directory }); // It knows nothing of damage.
    this.removed.clear();
    for (const { name } of stats.cursors) if (stats.work.publishes > 0) this.settledCursors.add(name);
    for (const name of this.settledCursors) if (!this.model.cursors.has(name)) this.settledCursors.delete(name);
  }

  #checkEpoch(epoch: number): void {
    const before = this.#before;
    // Then only headers tell, and an epoch without records may be taken again: keys are held apart from epochs.
    if (this.ledgerDamage !== 'none') this.#highestEpoch = 0;
    if (before?.clean === true && this.ledgerDamage === 'none') {
      check(epoch === this.#highestEpoch, `epoch ${epoch} after a clean end in ${this.#highestEpoch}`);
    } else if (this.ledgerDamage === 'none' && before?.clean !== 'perhaps') {
      check(epoch > this.#highestEpoch, `epoch ${epoch} was used up to ${this.#highestEpoch}`);
    }
  }

  #checkCursors(found: readonly { readonly name: string; readonly nextId: number }[]): void {
    const { model, ledgerDamage } = this;
    for (const { name, nextId } of found) {
      const known = model.cursors.get(name);
      const position = known?.nextId ?? Number.POSITIVE_INFINITY;
      // A cursor that nobody has read from yet may not be durable; one of its name, removed before, may be found.
      // Without a ledger a cursor begins at the oldest record; a slot that heals puts it where it was.
      const isLost = ledgerDamage !== 'none';
      const mayDiffer = isLost || !this.settledCursors.has(name);
      check(nextId <= position || mayDiffer, `cursor ${name} skipped from ${position} to ${nextId}`);
      if (this.#before === undefined || ledgerDamage !== 'none') continue;
      const floor = this.#before.clean === true ? position : (this.#before.floor.get(name) ?? 0);
      check(known === undefined || nextId >= floor, `cursor ${name} went back to ${nextId}, published was ${floor}`);
    }
    if (ledgerDamage === 'both' || this.#before === undefined) return;
    for (const name of this.settledCursors) {
      const isThere = this.removed.has(name) || found.some((cursor) => cursor.name === name);
      check(isThere || ledgerDamage !== 'none', `cursor ${name} is gone`);
    }
  }
}

function positionsOf(cursors: readonly { readonly name: string; readonly nextId: number }[]): Map<string, number> {
  return new Map(cursors.map(({ name, nextId }) => [name, nextId]));
}

/** Below this id everything is counted, by the totals. */
function countedId({ totals: { acknowledged, damaged, removed } }: BufferStats): number {
  const { rejected, dropped_oldest, unconfirmed } = removed;
  return 1 + acknowledged.events + damaged.events + rejected.events + dropped_oldest.events + unconfirmed.events;
}
