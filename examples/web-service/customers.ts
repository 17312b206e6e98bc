// Who uses the shop: some at a time, one request after the other, each with a trace of its own that the service goes on
// with. For every answer it is known how many spans and logs the service has made.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request that was answered, and what the service makes of one like it. */
export interface Visit {
  readonly number: number;
  readonly atMs: number;
  readonly spans: number;
  readonly logs: number;
}

interface Wish {
  readonly path: string;
  readonly order?: object;
  readonly status: number;
  readonly spans: number;
  readonly logs: number;
}

const wishes: readonly Wish[] = [
  { path: '/products', status: 200, spans: 1, logs: 0 },
  { path: '/products/teapot', status: 200, spans: 2, logs: 0 },
  { path: '/orders', order: { product: 'teapot', quantity: 2 }, status: 201, spans: 3, logs: 1 },
  { path: '/orders', order: { product: 'cup', quantity: 1 }, status: 409, spans: 2, logs: 1 },
];

const pauseMs = 20;
const answerMsMax = 5_000;

export class Customers {
  readonly answered: Visit[] = [];
  /** The first half of every trace id. */
  readonly mark: Buffer = randomBytes(8);
  #unanswered = 0;
  #address = '';
  #isOpen = true;
  #next = 0;
  #failure: unknown;
  #all: Promise<unknown> = Promise.resolve();

  get unanswered(): number {
    return this.#unanswered;
  }

  /** Somebody was answered what nobody expects. */
  get haveFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Where the service is now. */
  direct(address: string): void {
    this.#address = address;
  }

  come(count: number): void {
    const all = Promise.all(Array.from({ length: count }, () => this.#shop()));
    this.#all = all.catch((cause: unknown) => {
      this.#failure = cause;
    });
  }

  /** Resolves when the last answers are there. */
  async leave(): Promise<void> {
    this.#isOpen = false;
    await this.#all;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #shop(): Promise<void> {
    while (this.#isOpen) {
      this.#next += 1;
      await this.#visit(this.#next);
      await sleep(pauseMs);
    }
  }

  async #visit(number: number): Promise<void> {
    const { path, order, status, spans, logs } = wishes[number % wishes.length] as Wish;
    const traceId = this.mark.toString('hex') + number.toString(16).padStart(16, '0');
    const headers = { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` };
    const body = order && { method: 'POST', body: JSON.stringify(order) };
    const type = order && { 'content-type': 'application/json' };
    let answer: Response;
    try {
      const signal = AbortSignal.timeout(answerMsMax);
      answer = await fetch(`${this.#address}${path}`, { ...body, headers: { ...headers, ...type }, signal });
      await answer.arrayBuffer();
    } catch {
      this.#unanswered += 1; // The service is down.
      return;
    }
    if (answer.status !== status) throw new Error(`${path} was answered ${answer.status}, not ${status}`);
    this.answered.push({ number, atMs: performance.now(), spans, logs });
  }
}
