// At most so many deliveries in so many milliseconds, wherever the window is laid: a delivery may start when the one
// that is `requests` before it began an interval ago. A token bucket would let twice as many through in the interval
// after a pause. What it costs is the memory of the starts within one interval.

import { assert } from '../../base/assert.ts';

export class RateLimit {
  readonly #requests: number;
  readonly #intervalMs: number;
  /** On the monotonic clock, ascending: those within the last interval, and those that are still to come. */
  #starts: number[] = [];

  constructor({ requests, intervalMs }: { readonly requests: number; readonly intervalMs: number }) {
    assert(requests >= 1 && intervalMs >= 0, 'a rate limit lets something through', { requests, intervalMs });
    this.#requests = requests;
    this.#intervalMs = intervalMs;
  }

  /** Takes the next start and says how long to wait for it. First come, first served. */
  reserve(nowMs: number): number {
    this.#forget(nowMs);
    const before = this.#starts.length - this.#requests;
    const earliest = before < 0 ? nowMs : (this.#starts[before] as number) + this.#intervalMs;
    const start = Math.max(nowMs, earliest);
    this.#starts.push(start);
    return start - nowMs;
  }

  /** In one cut now and then: taking starts off the front one by one would move all others each time. */
  #forget(nowMs: number): void {
    const kept = this.#starts.findIndex((start) => start > nowMs - this.#intervalMs);
    const gone = kept < 0 ? this.#starts.length : kept;
    if (gone > this.#starts.length / 2) this.#starts = this.#starts.slice(gone);
  }
}
