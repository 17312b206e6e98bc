// Takes over what dead processes of the application have left, one directory at a time: opens it, delivers what is in
// it, removes it, looks for the next. While the receiver is away one of them is open, the others wait on disk.
//
// A crash in the middle loses nothing: the directory is a buffer like any other, and the next one adopts it.

import type { DiskBuffer } from '../engine/disk-buffer.ts';
import type { Log } from '../pipeline/contract/log.ts';
import type { World } from '../pipeline/contract/world.ts';
import type { Timer } from '../platform/clock.ts';
import type { Drain } from './drain.ts';
import type { HeldDirectory, ProcessDirectories } from './process-directories.ts';

export interface AdoptionOptions {
  readonly directories: ProcessDirectories;
  readonly startDrain: (buffer: DiskBuffer) => Promise<Drain>;
  readonly world: Pick<World, 'clock'>;
  readonly log: Log;
}

export interface AdoptionStats {
  readonly directories: number;
  readonly delivered: number;
  readonly backlogEvents: number;
}

/** In a rolling restart the predecessor ends after its successor has started: it is looked for again and again. */
const lookIntervalMs = 15_000;

export class Adoption {
  readonly #options: AdoptionOptions;
  /** Directories that are drained and stay: what else is in them is not ours to remove. */
  readonly #kept = new Set<string>();
  #timer: Timer | undefined;
  #current: { readonly held: HeldDirectory; readonly drain: Drain } | undefined;
  #looking: Promise<void> | undefined;
  #isStopped = false;
  #directories = 0;
  #delivered = 0;

  constructor(options: AdoptionOptions) {
    this.#options = options;
  }

  /** Looks now, and from now on. */
  start(): void {
    if (this.#isStopped || this.#looking !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#looking = this.#look()
      .catch((cause: unknown) => this.#options.log.warn('what a dead process left waits on disk', { error: cause }))
      .finally(() => {
        this.#looking = undefined;
        if (this.#isStopped) return;
        this.#timer = this.#options.world.clock.setTimer(lookIntervalMs, () => this.start());
      });
  }

  /** Gives back what is at hand. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#letGo();
    await this.#looking;
  }

  stats(): AdoptionStats {
    const current = this.#current;
    return {
      directories: this.#directories,
      delivered: this.#delivered + (current?.drain.counts.delivered ?? 0),
      backlogEvents: current?.held.buffer.stats().backlog.events ?? 0,
    };
  }

  async #letGo(): Promise<void> {
    const current = this.#current;
    if (current === undefined) return;
    await current.drain.stop(0);
    await current.held.buffer.close().catch(() => undefined);
  }

  async #look(): Promise<void> {
    const { directories, log } = this.#options;
    while (!this.#isStopped) {
      const held = await directories.adopt(this.#kept);
      if (held === undefined) return;
      const { directory } = held;
      await this.#drain(held);
      if (this.#isStopped) return;
      const removal = await directories.remove(directory);
      if (removal === 'taken') return; // By whom we do not know: with the next look, and not in a circle.
      this.#directories += 1;
      if (removal === 'removed')
        log.info('what a dead process left is delivered, its directory removed', { directory });
      else this.#kept.add(directory);
    }
  }

  async #drain(held: HeldDirectory): Promise<void> {
    const { startDrain } = this.#options;
    let drain: Drain;
    try {
      drain = await startDrain(held.buffer);
    } catch (cause) {
      await held.buffer.close().catch(() => undefined);
      throw cause;
    }
    this.#current = { held, drain };
    try {
      if (this.#isStopped) await this.#letGo();
      await held.buffer.close({ drain: true });
      await drain.stop(0);
    } finally {
      this.#delivered += drain.counts.delivered;
      this.#current = undefined;
    }
  }
}
