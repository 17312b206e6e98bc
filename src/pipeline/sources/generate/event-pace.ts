// When how many events are due, so that a rate is kept on average.
//
// Time lost while the buffers were full is made up for, but no more than a while of it: after an outage of an hour
// nobody wants an hour's events at once.

export interface EventPaceGiven {
  /** Events in a second. */
  readonly rate: number;
  readonly startMs: number;
  readonly catchUpMsMax: number;
}

export class EventPace {
  readonly #ratePerMs: number;
  readonly #catchUpMsMax: number;
  /** Everything that was due up to here has been taken. */
  #paidMs: number;

  constructor({ rate, startMs, catchUpMsMax }: EventPaceGiven) {
    this.#ratePerMs = rate / 1000;
    this.#paidMs = startMs;
    this.#catchUpMsMax = catchUpMsMax;
  }

  /** Whole events that are due now and were not taken. */
  due(nowMs: number): number {
    this.#paidMs = Math.max(this.#paidMs, nowMs - Math.max(this.#catchUpMsMax, 1 / this.#ratePerMs));
    // A hair more than exact: an event that is due now must not wait because of the last digit of a fraction.
    return Math.floor((nowMs - this.#paidMs) * this.#ratePerMs + 1e-6);
  }

  take(events: number): void {
    this.#paidMs += events / this.#ratePerMs;
  }

  /** How long until so many are due. */
  waitMs(nowMs: number, events: number): number {
    return Math.max(0, this.#paidMs + events / this.#ratePerMs - nowMs);
  }
}
