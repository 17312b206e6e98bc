// How many bytes of bodies a listener holds at once, over all its requests: the one thing that keeps its memory flat
// whatever its clients do.
//
// A share grows with what has arrived, not with what a client announces: else a few clients that announce much and send
// nothing would keep everybody out.

export class ByteBudget {
  readonly #bytesMax: number;
  #bytesTaken = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytesTaken(): number {
    return this.#bytesTaken;
  }

  share(): BudgetShare {
    return new BudgetShare(this);
  }

  /** Whether there was room; if not, nothing was taken. */
  take(bytes: number): boolean {
    if (this.#bytesTaken + bytes > this.#bytesMax) return false;
    this.#bytesTaken += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytesTaken -= bytes;
  }
}

/** What one request holds of the budget. */
export class BudgetShare {
  readonly #budget: ByteBudget;
  #bytesTaken = 0;

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  take(bytes: number): boolean {
    if (!this.#budget.take(bytes)) return false;
    this.#bytesTaken += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytesTaken -= bytes;
    this.#budget.give(bytes);
  }

  /** Gives back all of it. Does nothing the second time. */
  release(): void {
    this.give(this.#bytesTaken);
  }
}
