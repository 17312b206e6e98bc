// Receives what a pipeline delivers, in a process of its own. It answers at once and takes the time; what is compressed
// is looked into when the clock has stopped, so that the receiver takes little from the pipeline's processors.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { answer, taskOfThisProcess } from './children.ts';
import { eachMark, markedRequests, type RequestShape, sharedClockMs } from './pipeline-requests.ts';
import { percentile } from './repetitions.ts';

/** Forgets what came before, or tells of everything since. */
export type ReceiverQuestion = 'forget' | 'report';

export type Received = {
  /** Different requests of the sender. */
  readonly requests: number;
  readonly repeats: number;
  /** Bodies that they came in. */
  readonly bodies: number;
  readonly bodyBytes: number;
  /** By the clock that all processes share. */
  readonly lastMs: number;
  /** From sending to arrival. */
  readonly p50Ms: number;
  readonly p99Ms: number;
};

type Arrival = { readonly body: Buffer; readonly atMs: number };

class Tally {
  readonly #numbers = new Set<number>();
  readonly #tookMs: number[] = [];
  readonly #compressed: Arrival[] = [];
  #repeats = 0;
  #bodies = 0;
  #bodyBytes = 0;
  #lastMs = 0;

  take(arrival: Arrival, isCompressed: boolean): void {
    this.#bodies += 1;
    this.#bodyBytes += arrival.body.length;
    this.#lastMs = arrival.atMs;
    if (isCompressed) this.#compressed.push(arrival);
    else this.#count(arrival);
  }

  report(): Received {
    for (const { body, atMs } of this.#compressed.splice(0)) this.#count({ body: gunzipSync(body), atMs });
    const sorted = Float64Array.from(this.#tookMs).sort();
    return {
      requests: this.#numbers.size,
      repeats: this.#repeats,
      bodies: this.#bodies,
      bodyBytes: this.#bodyBytes,
      lastMs: this.#lastMs,
      p50Ms: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
    };
  }

  #count({ body, atMs }: Arrival): void {
    eachMark(body, requests, (sentMs, number) => {
      if (this.#numbers.has(number)) this.#repeats += 1;
      this.#numbers.add(number);
      this.#tookMs.push(atMs - sentMs);
    });
  }
}

const requests = markedRequests(taskOfThisProcess<RequestShape>());
let tally = new Tally();

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const atMs = sharedClockMs();
    response.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-length': 0 }).end();
    const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    tally.take({ body, atMs }, request.headers['content-encoding'] === 'gzip');
  });
});
server.keepAliveTimeout = 60_000; // Between two rounds nobody sends.
server.listen(0, '127.0.0.1', () => void answer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
process.on('message', (question: ReceiverQuestion) => {
  if (question === 'report') void answer(tally.report());
  else {
    tally = new Tally();
    void answer('forgotten');
  }
});
process.once('disconnect', () => process.exit(0));
