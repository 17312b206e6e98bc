// The clock of the operating system.
import type { Clock, Timer } from './clock.ts';

/** setTimeout takes 32 bits, and runs at once what does not fit. */
const delayMsMax = 2 ** 31 - 1;

export interface NodeClockOptions {
  /** Whether a pending timer keeps the process alive, as the engine expects it. Default true. */
  readonly holdsProcess?: boolean;
}

export class NodeClock implements Clock {
  readonly #holdsProcess: boolean;

  constructor({ holdsProcess = true }: NodeClockOptions = {}) {
    this.#holdsProcess = holdsProcess;
  }

  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  setTimer(delayMs: number, task: () => void): Timer {
    return new NodeTimer(delayMs, task, this.#holdsProcess);
  }

  defer(task: () => void): void {
    setImmediate(task);
  }
}

class NodeTimer implements Timer {
  readonly #holdsProcess: boolean;
  #handle: NodeJS.Timeout | undefined;

  constructor(delayMs: number, task: () => void, holdsProcess: boolean) {
    this.#holdsProcess = holdsProcess;
    this.#wait(delayMs, task);
  }

  cancel(): void {
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }

  #wait(delayMs: number, task: () => void): void {
    const restMs = delayMs - delayMsMax;
    if (restMs <= 0) this.#handle = setTimeout(task, delayMs);
    else this.#handle = setTimeout(() => this.#wait(restMs, task), delayMsMax);
    if (!this.#holdsProcess) this.#handle.unref();
  }
}
