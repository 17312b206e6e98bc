// How much memory a process takes over several lives, and whether it grows: looked at ten times a second.
//
// Growth is judged within a life, because each begins small. What Node takes while it warms up is left out: compared
// are the second quarter of a life and its last one, by their medians, so that one garbage collection decides nothing.

const intervalMs = 100;
/** Two seconds. Of a shorter life nothing can be said. */
const samplesMin = 20;

export class MemoryWatch implements Disposable {
  readonly #lives: number[][] = [[]];
  readonly #timer: NodeJS.Timeout;

  /** `bytes` may throw, or give NaN, while there is no process. */
  constructor(bytes: () => number) {
    this.#timer = setInterval(() => {
      try {
        const now = bytes();
        if (now > 0) this.#lives.at(-1)?.push(now);
      } catch {
        // Between two lives.
      }
    }, intervalMs);
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Another process from now on. */
  nextLife(): void {
    this.#lives.push([]);
  }

  get peakBytes(): number {
    return this.#lives.flat().reduce((peak, bytes) => Math.max(peak, bytes), 0);
  }

  /** Of the life that grew most. */
  get growthBytes(): number {
    return this.#lives.reduce((most, life) => Math.max(most, growth(life)), 0);
  }
}

/** From the second quarter of a life to its last one. */
export function growth(samples: readonly number[]): number {
  if (samples.length < samplesMin) return 0;
  const quarter = Math.floor(samples.length / 4);
  return median(samples.slice(-quarter)) - median(samples.slice(quarter, 2 * quarter));
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
