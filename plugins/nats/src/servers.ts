// The servers of a cluster: the one that answered last is asked first, and after trouble the next one, which may see a
// leader where this one does not.
import type { Deadline } from 'spillway/plugin';
import { type ConnectOptions, NatsConnection } from './connection.ts';
import { answerFor, answerForAll, type Failure } from './failure.ts';

export class Servers {
  readonly #urls: readonly URL[];
  readonly #options: Omit<ConnectOptions, 'url'>;
  readonly #connectTimeoutMs: number;
  #first = 0;

  constructor(urls: string, options: Omit<ConnectOptions, 'url'>, connectTimeoutMs: number) {
    this.#urls = urls.split(',').map((url) => new URL(url.trim()));
    this.#options = options;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** The first that takes us, or what all of them said. */
  async connect(deadline: Deadline): Promise<NatsConnection | Failure> {
    const failures: Failure[] = [];
    for (const _ of this.#urls) {
      const url = this.#urls[this.#first % this.#urls.length] as URL;
      try {
        return await NatsConnection.open({ ...this.#options, url }, deadline.shortened(this.#connectTimeoutMs));
      } catch (error) {
        failures.push(answerFor(error, url.host));
        this.turn();
      }
      if (deadline.leftMs === 0 || deadline.signal.aborted) break;
    }
    return answerForAll(failures);
  }

  /** The next connection begins with the next server. */
  turn(): void {
    this.#first = (this.#first + 1) % this.#urls.length;
  }
}
