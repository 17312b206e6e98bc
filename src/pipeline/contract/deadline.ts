// One deadline over several steps of a delivery: connecting, asking, sending, waiting for the answer. A sink that gives
// up in time answers `retryable`; one that does not holds its whole cursor.

import type { Clock } from '../../platform/clock.ts';

/** No answer came in time, or the delivery was aborted. */
export class Overdue extends Error {
  override readonly name = 'Overdue';
}

export interface DeadlineOptions {
  readonly clock: Clock;
  /** From now on. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export class Deadline {
  readonly signal: AbortSignal;
  readonly #clock: Clock;
  readonly #endMs: number;

  constructor({ clock, timeoutMs, signal }: DeadlineOptions) {
    this.signal = signal;
    this.#clock = clock;
    this.#endMs = clock.monotonic() + timeoutMs;
  }

  /** 0 when it is over. */
  get leftMs(): number {
    return Math.max(0, this.#endMs - this.#clock.monotonic());
  }

  /** The same abort signal, and no more time than this one has left. */
  shortened(timeoutMs: number): Deadline {
    return new Deadline({ clock: this.#clock, timeoutMs: Math.min(timeoutMs, this.leftMs), signal: this.signal });
  }

  /**
   * Settles as the work does, or rejects with {@link Overdue} when the time is over or the signal is aborted. The work
   * itself goes on: whoever began it has to end it. `doing` names it: `connecting`.
   */
  async within<Value>(work: Promise<Value>, doing: string): Promise<Value> {
    let giveUp: (reason: Overdue) => void = () => undefined;
    const givenUp = new Promise<never>((_, reject) => {
      giveUp = reject;
    });
    // Made before anything is waited for, so that its stack says who asked.
    const late = new Overdue(`no answer in time while ${doing}`);
    const onAbort = (): void => giveUp(new Overdue(`given up while ${doing}`));
    const timer = this.#clock.setTimer(this.leftMs, () => giveUp(late));
    this.signal.addEventListener('abort', onAbort);
    if (this.signal.aborted) onAbort();
    try {
      return await Promise.race([work, givenUp]);
    } finally {
      timer.cancel();
      this.signal.removeEventListener('abort', onAbort);
    }
  }
}
