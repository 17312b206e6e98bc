// Chapter 8, second part. The stall: what the committer does while the disk has no room.
//
// No room is not a failure: nothing is lost, writing waits and the same thing is tried again, with backoff, or at once
// when a segment was freed. Whoever appends feels it as backpressure.
//
// Next: committer-pace.ts.

import { isStorageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { EventHub } from './events.ts';

const stallMsFirst = 50;
const stallMsMax = 5_000;

export class Stall {
  readonly #clock: Clock;
  readonly #events: EventHub;
  readonly #mayGoOn: () => boolean;
  readonly #changed: () => void;
  #cause: unknown;
  #stalledAt: number | undefined;
  #delayMs = stallMsFirst;
  #waiting: { readonly timer: Timer; readonly retry: () => void } | undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly events: EventHub;
    /** Whether what found no room may be tried again. */
    readonly mayGoOn: () => boolean;
    /** Called when there was no room. */
    readonly changed: () => void;
  }) {
    this.#clock = options.clock;
    this.#events = options.events;
    this.#mayGoOn = options.mayGoOn;
    this.#changed = options.changed;
  }

  /** Whether a task waits for room. */
  get isStalled(): boolean {
    return this.#stalledAt !== undefined;
  }

  /** Why the task that waits found no room. */
  get cause(): unknown {
    return this.#cause;
  }

  /**
   * Runs `task`; as long as it finds no room (`full`), waits and runs it again. Any other rejection is passed on, and
   * so is the last one once it may not go on.
   */
  async run(task: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await task();
        this.#end();
        return;
      } catch (cause) {
        if (!isStorageError(cause, 'full') || !this.#mayGoOn()) throw cause;
        const waited = this.#wait(cause);
        this.#changed();
        await waited;
        if (!this.#mayGoOn()) throw cause;
      }
    }
  }

  /** Room may have come back: what waits is tried again now. */
  retry(): void {
    this.#waiting?.retry();
  }

  #wait(cause: unknown): Promise<void> {
    this.#cause = cause;
    if (this.#stalledAt === undefined) {
      mark('committer.stalled');
      this.#stalledAt = this.#clock.monotonic();
      this.#delayMs = stallMsFirst;
    } else {
      this.#delayMs = Math.min(this.#delayMs * 2, stallMsMax);
    }
    this.#events.emit('stalled', { cause, retryInMs: this.#delayMs });
    return new Promise((resolve) => {
      const retry = (): void => {
        this.#waiting?.timer.cancel();
        this.#waiting = undefined;
        resolve();
      };
      this.#waiting = { timer: this.#clock.setTimer(this.#delayMs, retry), retry };
    });
  }

  #end(): void {
    if (this.#stalledAt === undefined) return;
    mark('committer.resumed');
    const afterMs = this.#clock.monotonic() - this.#stalledAt;
    this.#stalledAt = undefined;
    this.#cause = undefined;
    this.#events.emit('resumed', { afterMs });
  }
}
