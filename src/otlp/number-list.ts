// A list of unsigned 32-bit numbers that grows. An array of numbers would take twice the bytes, and how many there are
// is for strangers to say: a request of 20 MiB may hold millions of empty messages.

export class NumberList {
  #values = new Uint32Array(16);
  length = 0;

  at(index: number): number {
    return this.#values[index] as number;
  }

  push(value: number): void {
    if (this.length === this.#values.length) {
      const grown = new Uint32Array(this.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.length] = value;
    this.length += 1;
  }

  /** Replaces a value that is there. */
  set(index: number, value: number): void {
    this.#values[index] = value;
  }

  /** Forgets everything from `length` on. */
  cut(length: number): void {
    this.length = length;
  }

  /** The last index below `end`, from `from` on, whose value is not above `value`. The values in between ascend. */
  lastNotAbove(value: number, from: number, end: number): number {
    let low = from;
    let high = end;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#values[middle] as number) <= value) low = middle;
      else high = middle;
    }
    return low;
  }
}
