// Time as the engine sees it: a clock that can be simulated.

/** A pending timer. */
export interface Timer {
  /** Stops it; its function will not run. Does nothing once it has run. */
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC, an integer. May jump in both directions: stamps only, never intervals. */
  now(): number;

  /** Milliseconds on a clock that never goes back, with fractions; its zero has no meaning. For intervals. */
  monotonic(): number;

  /**
   * Runs `task` once, after at least `delayMs`. Pending timers keep the process alive: the engine sets one only while
   * it owes something to somebody.
   */
  setTimer(delayMs: number, task: () => void): Timer;

  /** Runs `task` when the current tick and all its microtasks are over, in the order of the calls. */
  defer(task: () => void): void;
}
