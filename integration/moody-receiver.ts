// An OTLP receiver with moods: it takes what comes, refuses it, answers late or never, breaks off, or is not there.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { Arrivals, numberedEvents } from './numbered-events.ts';

/**
 * `taking`: all is well. `refusing`: 503. `busy`: 429 with Retry-After. `stalling`: takes it and does not answer.
 * `breaking`: breaks off in the middle of a request. `away`: nobody listens.
 */
export type Mood = 'taking' | 'refusing' | 'busy' | 'stalling' | 'breaking' | 'away';

export const moods: readonly Mood[] = ['taking', 'refusing', 'busy', 'stalling', 'breaking', 'away'];

export class MoodyReceiver {
  readonly arrivals: Arrivals = new Arrivals();
  requests = 0;
  /** Requests that were taken and never answered: what is in them comes again. */
  unansweredEvents = 0;
  #mood: Mood = 'taking';
  #server: Server | undefined;
  #port = 0;
  readonly #stalled = new Set<ServerResponse>();

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get mood(): Mood {
    return this.#mood;
  }

  async open(): Promise<void> {
    const server = createServer((request, response) => this.#receive(request, response));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    this.#stalled.clear();
  }

  /** What was stalled stays without an answer: its connection is broken. */
  async setMood(mood: Mood): Promise<void> {
    this.#mood = mood;
    for (const response of this.#stalled) response.destroy();
    this.#stalled.clear();
    if (mood === 'away') await this.close();
    else if (this.#server === undefined) await this.open();
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    this.requests += 1;
    request.on('error', () => response.destroy());
    response.on('error', () => undefined);
    if (this.#mood === 'breaking') {
      request.once('data', () => request.destroy());
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => this.#answer(request, Buffer.concat(chunks), response));
  }

  #answer({ headers }: IncomingMessage, body: Buffer, response: ServerResponse): void {
    switch (this.#mood) {
      case 'refusing':
        response.writeHead(503).end();
        return;
      case 'busy':
        response.writeHead(429, { 'retry-after': '0' }).end();
        return;
      case 'stalling': {
        const events = this.#take(headers, body);
        this.unansweredEvents += events;
        this.#stalled.add(response);
        return;
      }
      default:
        this.#take(headers, body);
        response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    }
  }

  #take(headers: IncomingMessage['headers'], body: Buffer): number {
    const events = numberedEvents(headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
    this.arrivals.take(events);
    return events.length;
  }
}
