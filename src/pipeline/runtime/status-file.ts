// What the sinks are doing, in a file of the data directory, so that `spillway inspect` can say why a buffer grows.
//
// Written when a state changes, at most once a second, and at a graceful stop, so that it also says which cursors had a
// sink last. It is a courtesy: whoever reads it checks that the process still runs, and nothing depends on it.

import { join } from 'node:path';
import { pid } from 'node:process';
import type { Timer } from '../../platform/clock.ts';
import type { Log } from '../contract/log.ts';
import type { PipelineStatus, SinkStatus } from '../contract/status.ts';
import type { World } from '../contract/world.ts';

export const statusFileName = 'status.json';
const intervalMs = 1_000;

export interface StatusFileContent {
  readonly pid: number;
  readonly writtenMs: number;
  readonly sinks: readonly Pick<SinkStatus, 'id' | 'type' | 'buffer' | 'state' | 'reason' | 'sinceMs'>[];
}

export interface StatusFileOptions {
  readonly dataDir: string;
  readonly world: World;
  readonly log: Log;
  readonly status: () => PipelineStatus;
}

export class StatusFile {
  readonly #options: StatusFileOptions;
  readonly #path: string;
  #timer: Timer | undefined;
  #written = '';
  #writing: Promise<void> = Promise.resolve();
  #hasComplained = false;

  constructor(options: StatusFileOptions) {
    this.#options = options;
    this.#path = join(options.dataDir, statusFileName);
  }

  start(): void {
    this.#timer = this.#options.world.clock.setTimer(intervalMs, () => {
      this.#writing = this.#write().finally(() => {
        if (this.#timer !== undefined) this.start();
      });
    });
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#writing;
    await this.#write();
  }

  async #write(): Promise<void> {
    const { world, status, log } = this.#options;
    const sinks = status().sinks.map(({ id, type, buffer, state, reason, sinceMs }) => ({
      id,
      type,
      buffer,
      state,
      reason,
      sinceMs,
    }));
    const states = JSON.stringify(sinks);
    if (states === this.#written) return;
    const content: StatusFileContent = { pid, writtenMs: world.clock.now(), sinks };
    try {
      await world.files.replaceText(this.#path, `${JSON.stringify(content)}\n`);
      this.#written = states;
    } catch (cause) {
      if (!this.#hasComplained) log.warn('the status file cannot be written', { error: cause });
      this.#hasComplained = true;
    }
  }
}
