// Those who wait for time to pass, and can be woken early: all of them at the end, and those who wait for a blocked
// sink as soon as it takes something again. Leaves no timer behind.

import type { Clock } from '../../platform/clock.ts';

/** What a sleeper waits for. */
export type Waiting = 'time' | 'healed';

interface Sleeper {
  readonly waiting: Waiting;
  readonly wake: (isOver: boolean) => void;
}

export class Sleepers {
  readonly #clock: Clock;
  readonly #asleep = new Set<Sleeper>();
  #isOver = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when the time has passed or something happened that was waited for; false when waiting is over for all. */
  sleep(delayMs: number, waiting: Waiting = 'time'): Promise<boolean> {
    if (this.#isOver) return Promise.resolve(false);
    return new Promise((resolve) => {
      const sleeper: Sleeper = {
        waiting,
        wake: (isOver) => {
          timer.cancel();
          this.#asleep.delete(sleeper);
          resolve(!isOver);
        },
      };
      const timer = this.#clock.setTimer(delayMs, () => sleeper.wake(false));
      this.#asleep.add(sleeper);
    });
  }

  /** The sink takes something again. */
  healed(): void {
    for (const sleeper of [...this.#asleep]) if (sleeper.waiting === 'healed') sleeper.wake(false);
  }

  /** Nobody waits any more, and nobody will. */
  end(): void {
    this.#isOver = true;
    for (const sleeper of [...this.#asleep]) sleeper.wake(true);
  }
}
