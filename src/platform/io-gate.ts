// Manners: file calls block threads of a pool that the whole process shares (file system, DNS, zlib, crypto), so only
// so many of ours may be under way at once, and the others wait in order.
import { assert } from '../base/assert.ts';

export class IoGate {
  readonly places: number;
  #taken = 0;
  /** A queue over an array: taken from `#head` on, cut when half of it is used up. */
  #waiting: (() => void)[] = [];
  #head = 0;

  constructor(places: number) {
    assert(Number.isInteger(places) && places >= 1, 'a gate lets at least one through', { places });
    this.places = places;
  }

  /** Runs `start` at once if there is a place, otherwise when it is its turn. `leave` must follow, once. */
  enter(start: () => void): void {
    if (this.#taken < this.places) {
      this.#taken += 1;
      start();
    } else {
      this.#waiting.push(start);
    }
  }

  /** Gives the place to whoever has waited longest. */
  leave(): void {
    assert(this.#taken > 0, 'nobody leaves who has not entered');
    const next = this.#waiting[this.#head];
    if (next === undefined) {
      this.#taken -= 1;
      return;
    }
    this.#head += 1;
    if (2 * this.#head >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    next();
  }
}

/** How many blocking file calls a process may have under way: all but two threads of the pool, at least one. */
export function placesFor(threadPoolSize: string | undefined): number {
  const threads = Number.parseInt(threadPoolSize ?? '', 10);
  return Math.max(1, (Number.isInteger(threads) && threads > 0 ? threads : 4) - 2);
}
