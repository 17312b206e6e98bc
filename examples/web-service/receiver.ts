// The embedded collector: an OTLP endpoint that can be taken away and brought back, and knows what arrived.
//
// The demo chooses the trace of each request: a mark of its own, and the request's number. So a span or a log is found
// in the bytes of a protobuf request by the mark, without decoding the rest: behind the 16 bytes of the trace id come
// two bytes, tag and length, and the 8 bytes of the span id (opentelemetry-proto: Span 1 and 2, LogRecord 9 and 10).
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export type Counted = 'traces' | 'logs';

export class Receiver {
  /** By signal, what arrived: trace id and span id, in hex. */
  readonly arrived: Readonly<Record<Counted, Set<string>>> = { traces: new Set(), logs: new Set() };
  readonly #mark: Buffer;
  #repeated = 0;
  #metricRequests = 0;
  #server: Server | undefined;
  #port = 0;

  constructor(mark: Buffer) {
    this.#mark = mark;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Arrivals of what was there already. */
  get repeated(): number {
    return this.#repeated;
  }

  get metricRequests(): number {
    return this.#metricRequests;
  }

  /** Listens; always on the same port. */
  async comeBack(): Promise<void> {
    const server = createServer((request, response) => this.#take(request, response));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** As a process that was killed: connections break, nobody listens. */
  async goAway(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    // A request that breaks off was not received: it comes again.
    request.on('error', () => response.destroy());
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      this.#count(request.url ?? '', request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  }

  #count(path: string, body: Buffer): void {
    if (path === '/v1/metrics') this.#metricRequests += 1;
    const signal = path === '/v1/traces' ? 'traces' : 'logs';
    if (path !== `/v1/${signal}`) return;
    const arrived = this.arrived[signal];
    for (let at = body.indexOf(this.#mark); at >= 0; at = body.indexOf(this.#mark, at + 1)) {
      const key = body.toString('hex', at, at + 16) + body.toString('hex', at + 18, at + 26);
      if (arrived.has(key)) this.#repeated += 1;
      arrived.add(key);
    }
  }
}
