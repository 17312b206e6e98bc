// How long an export waits for its buffer, and how it counts.
//
// The SDK exports one batch after the other, and drops what comes meanwhile without telling the exporter. So an export
// must not wait for a disk that is full: it fails, after a moment's patience for the first and at once for those that
// follow, while room is wanted all the same. If what it copied is accepted later, it counts as accepted then.

import { StorageError } from '../base/errors.ts';
import type { Clock } from '../platform/clock.ts';

export interface AcceptanceOptions {
  readonly clock: Clock;
  /** Why the disk takes nothing at present; undefined: it does. */
  readonly stalledBy: () => unknown;
  /** Appends that may wait for a disk that is full. */
  readonly waitingMax: number;
  readonly path: string;
}

/** How often a waiting export looks whether the disk is full. */
const lookMs = 500;
/** Longest wait for a disk that is not full, and does not answer. */
const looksMax = 20;

export class Acceptance {
  readonly #options: AcceptanceOptions;
  readonly #waiting = new Set<Promise<unknown>>();
  #accepted = 0;
  #failed = 0;

  constructor(options: AcceptanceOptions) {
    this.#options = options;
  }

  /** Events of exports that succeeded, and of those that failed. */
  get counts(): { readonly accepted: number; readonly failed: number } {
    return { accepted: this.#accepted, failed: this.#failed };
  }

  /** Resolves when every append under way has an end. */
  async settled(): Promise<void> {
    await Promise.all(this.#waiting);
  }

  /** Begins an append; resolves when it is accepted, rejects when it is not, or not in time. */
  async of(events: number, append: () => Promise<void>): Promise<void> {
    const { stalledBy, waitingMax } = this.#options;
    const cause = stalledBy();
    if (cause !== undefined && this.#waiting.size >= waitingMax) {
      this.#failed += events;
      throw this.#fullError(cause);
    }
    const done = append();
    let isLate = false;
    const counted = done.then(
      () => {
        if (isLate) this.#failed -= events;
        this.#accepted += events;
      },
      () => {
        if (!isLate) this.#failed += events;
      },
    );
    this.#waiting.add(counted);
    void counted.then(() => this.#waiting.delete(counted));
    await this.#inTime(done, () => {
      isLate = true;
      this.#failed += events;
    });
  }

  #inTime(done: Promise<void>, late: () => void): Promise<void> {
    const { clock, stalledBy, path } = this.#options;
    return new Promise((resolve, reject) => {
      const giveUp = (error: Error): void => {
        late();
        reject(error);
      };
      const look = (looks: number): void => {
        const cause = stalledBy();
        if (cause !== undefined) giveUp(this.#fullError(cause));
        else if (looks === looksMax) giveUp(new Error(`${path} has not taken the items within ${looks * lookMs} ms`));
        else timer = clock.setTimer(lookMs, () => look(looks + 1));
      };
      // At once if the disk has been full for a while; what is appended then is what memory has room for.
      let timer = clock.setTimer(stalledBy() === undefined ? lookMs : 0, () => look(1));
      const end = (settle: () => void): void => {
        timer.cancel();
        settle();
      };
      done.then(
        () => end(resolve),
        (cause: unknown) => end(() => reject(cause)),
      );
    });
  }

  #fullError(cause: unknown): StorageError {
    const { path } = this.#options;
    return new StorageError({
      kind: 'full',
      operation: 'append',
      path,
      message: `Could not store the items in ${path}: the disk has no room. They count as failed; free some space`,
      cause,
    });
  }
}
