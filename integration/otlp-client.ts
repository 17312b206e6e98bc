// A client that sends numbered events by OTLP/HTTP, one request after the other, and remembers what it got a 200 for.
//
// It never sends a number twice: when an answer does not come, nobody knows what became of the request, and the client
// goes on with new numbers. So whatever arrives twice was repeated by the pipeline.
import { numberedRequest } from './numbered-events.ts';

export interface OtlpClientOptions {
  readonly name: string;
  readonly url: () => string;
  readonly eventsPerRequest: number;
  readonly padding?: number;
}

/** A pause after a request that nobody took: what is away is not hammered. */
const pauseMs = 10;

export class OtlpClient {
  readonly #options: OtlpClientOptions;
  readonly #stop = new AbortController();
  readonly accepted: { readonly first: number; readonly count: number }[] = [];
  acceptedEvents = 0;
  readonly answers: Map<number | 'none', number> = new Map();
  #next = 1;

  constructor(options: OtlpClientOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Sends until it is stopped. */
  async run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const status = await this.#send();
      this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
      if (status !== 200) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  async #send(): Promise<number | 'none'> {
    const { name, url, eventsPerRequest, padding } = this.#options;
    const first = this.#next;
    this.#next += eventsPerRequest;
    try {
      const answer = await fetch(`${url()}/v1/logs`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body: numberedRequest(name, first, eventsPerRequest, padding) as Uint8Array<ArrayBuffer>,
      });
      await answer.arrayBuffer();
      if (answer.status === 200) {
        this.accepted.push({ first, count: eventsPerRequest });
        this.acceptedEvents += eventsPerRequest;
      }
      return answer.status;
    } catch {
      return 'none';
    }
  }
}
