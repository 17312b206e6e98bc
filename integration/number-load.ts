// Sends numbers over OTLP/HTTP, each once and never again, and remembers those for which the pipeline answered that it
// has them. One request at a time: the order of the answers is the order of the numbers.
import { markersIn, sampleRequest } from '../src/testing/index.ts';

/** How many numbers each request carries, in turn. */
const sizes = [1, 3, 20, 2, 40, 1, 8];

export interface NumberLoadOptions {
  /** From the start of one request to that of the next, unless the answer takes longer. */
  readonly intervalMs: number;
  /** Follows the number of each event. */
  readonly text?: string;
}

export class NumberLoad {
  readonly #url: string;
  readonly #intervalMs: number;
  readonly #text: string | undefined;
  readonly #stop = new AbortController();
  readonly #accepted: number[] = [];
  readonly #ended: Promise<void>;
  #next = 1;
  #refused = 0;

  constructor(address: string, { intervalMs, text }: NumberLoadOptions) {
    this.#url = `http://${address}/v1/logs`;
    this.#intervalMs = intervalMs;
    this.#text = text;
    this.#ended = this.#run();
  }

  /** Numbers that the pipeline has taken, ascending. */
  get accepted(): readonly number[] {
    return this.#accepted;
  }

  /** Requests that ended without a yes. Their numbers may have arrived all the same. */
  get refused(): number {
    return this.#refused;
  }

  get sent(): number {
    return this.#next - 1;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    for (let request = 0; !this.#stop.signal.aborted; request += 1) {
      const nextMs = performance.now() + this.#intervalMs;
      const events = sizes[request % sizes.length] ?? 1;
      const first = this.#next;
      this.#next += events;
      if (await this.#send(first, events)) {
        for (let number = first; number < first + events; number += 1) this.#accepted.push(number);
      } else {
        this.#refused += 1;
        await pause(20);
      }
      await pause(Math.max(0, nextMs - performance.now()));
    }
  }

  async #send(first: number, events: number): Promise<boolean> {
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body: Buffer.from(sampleRequest('logs', first, events, this.#text).bytes),
        signal: AbortSignal.timeout(15_000),
      });
      const body = await response.arrayBuffer();
      // An empty answer is a full success; a partial one says what was not taken.
      return response.status === 200 && body.byteLength === 0;
    } catch {
      return false; // The pipeline was killed, or is not there yet.
    }
  }
}

/** The numbers of the events in a text or in bytes of any kind, in the order in which they stand there. */
export function numbersIn(content: string | Uint8Array): number[] {
  return markersIn(content).map((marker) => Number(marker.slice('event-'.length)));
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
