// One process on a simulated machine: its file system, its clock, its randomness, and its end.
//
// A dead process does nothing more: its timers do not fire and its calls do not settle, which is how death looks from
// inside. (For tests of code that must not hang it can be told to reject them instead.)
import type { Random } from '../platform/random.ts';
import type { SeededRandom } from './seeded-random.ts';
import { SimFileSystem } from './sim-file-system.ts';
import type { SimIo } from './sim-io.ts';
import type { SimStorage } from './sim-storage.ts';
import { SimClock } from './sim-world.ts';

export type AfterDeath = 'never' | 'reject';

export class SimProcess {
  readonly name: string;
  readonly fileSystem: SimFileSystem;
  readonly clock: SimClock;
  readonly random: Random;
  readonly afterDeath: AfterDeath;
  #isAlive = true;

  constructor(fields: {
    readonly name: string;
    readonly storage: SimStorage;
    readonly io: SimIo;
    readonly random: SeededRandom;
    readonly afterDeath: AfterDeath;
  }) {
    this.name = fields.name;
    this.fileSystem = new SimFileSystem(fields.storage, fields.io, this);
    this.clock = new SimClock(fields.storage.world);
    this.random = fields.random;
    this.afterDeath = fields.afterDeath;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** For the disk, which also decides what becomes of the calls in flight: use `disk.killProcess`. */
  end(): void {
    this.#isAlive = false;
    this.clock.stop();
  }
}
