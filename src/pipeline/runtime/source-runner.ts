// A source in the pipeline: made, run, and made again when it crashes, until it is stopped or its input has ended.

import { join } from 'node:path';
import type { Log } from '../contract/log.ts';
import type { SourceSettings } from '../contract/settings.ts';
import type { Source } from '../contract/source.ts';
import type { SourceStatus } from '../contract/status.ts';
import type { World } from '../contract/world.ts';
import type { Intake } from './intake.ts';
import { longestPauseMs, supervise } from './supervision.ts';

export interface SourceRunnerOptions {
  readonly settings: SourceSettings;
  readonly dataDir: string;
  readonly intake: Intake;
  readonly world: World;
  readonly log: Log;
  /** Aborted when the source shall stop. */
  readonly stopping: AbortSignal;
}

export class SourceRunner {
  readonly #options: SourceRunnerOptions;
  readonly #log: Log;
  #state: SourceStatus['state'] = 'starting';
  #reason: string | undefined;
  #restarts = 0;
  #source: Source | undefined;
  #startedMs = 0;

  constructor(options: SourceRunnerOptions) {
    this.#options = options;
    this.#log = options.log.child({ source: options.settings.id });
  }

  /** Resolves when the source has ended: `ended` by itself, `stopped` because it was told to. */
  async run(): Promise<'ended' | 'stopped'> {
    const { settings, world, stopping } = this.#options;
    await supervise(() => this.#live(), {
      what: `source ${settings.id}`,
      clock: world.clock,
      random: world.random,
      log: this.#log,
      stopping,
      crashed: (reason) => {
        this.#state = 'waiting';
        this.#reason = reason;
        this.#restarts += 1;
      },
    });
    // A source that did not wait for its answers has ended all the same, but its input has not been taken yet.
    await this.#options.intake.idle();
    this.#state = stopping.aborted ? 'stopped' : 'ended';
    this.#reason = undefined;
    if (this.#state === 'ended') this.#log.info('the input of the source has ended');
    return this.#state;
  }

  status(): SourceStatus {
    const { settings, intake, world } = this.#options;
    const runsWell = this.#state === 'running' && world.clock.monotonic() - this.#startedMs > longestPauseMs;
    return {
      id: settings.id,
      type: settings.definition.type,
      state: this.#state,
      reason: runsWell ? undefined : this.#reason,
      restarts: this.#restarts,
      address: this.#source?.address,
      ...intake.counts(),
    };
  }

  async #live(): Promise<void> {
    const { settings, dataDir, intake, world, stopping } = this.#options;
    const source = await settings.definition.create(settings.options as never, {
      id: settings.id,
      stateDirectory: join(dataDir, 'sources', settings.id),
      world,
      log: this.#log,
      stopping,
      emit: (batch, options) => intake.emit(batch, options),
    });
    this.#source = source;
    this.#state = 'running';
    this.#startedMs = world.clock.monotonic();
    try {
      await source.run();
    } finally {
      this.#source = undefined;
    }
  }
}
