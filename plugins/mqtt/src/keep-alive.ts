// Keeps a connection alive, and notices when nobody is at its other end: the server is asked for a sign of life twice
// in its keep-alive time. Whatever it says counts as one, and so does nothing it was not asked for.
import type { Clock, Timer } from 'spillway/plugin';

export interface KeepAliveOptions {
  readonly clock: Clock;
  /** 0: it is not asked. */
  readonly intervalMs: number;
  /** Sends a PINGREQ. */
  readonly ask: () => void;
  /** It said nothing for half of the interval after it was asked. */
  readonly lost: () => void;
}

export class KeepAlive {
  readonly #options: KeepAliveOptions;
  #timer: Timer | undefined;
  #isSilent = false;

  constructor(options: KeepAliveOptions) {
    this.#options = options;
    this.#wait();
  }

  /** The server has said something. */
  heard(): void {
    this.#isSilent = false;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(): void {
    const { clock, intervalMs } = this.#options;
    if (intervalMs > 0) this.#timer = clock.setTimer(intervalMs / 2, () => this.#look());
  }

  #look(): void {
    // What came while the process was busy is read after this: timers go first.
    if (this.#isSilent) this.#options.clock.defer(() => this.#decide());
    else this.#ask();
  }

  #decide(): void {
    if (this.#timer === undefined) return; // Stopped meanwhile.
    if (this.#isSilent) this.#options.lost();
    else this.#ask();
  }

  #ask(): void {
    this.#isSilent = true;
    this.#wait();
    this.#options.ask();
  }
}
