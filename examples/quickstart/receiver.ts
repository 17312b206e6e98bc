// The embedded receiver: an OTLP endpoint that takes everything, counts it, and can be taken away and brought back.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { Tally } from './tally.ts';

export class Receiver {
  readonly tally: Tally = new Tally();
  #server: Server | undefined;
  #port = 0;
  #outages = 0;

  get isThere(): boolean {
    return this.#server !== undefined;
  }

  get outages(): number {
    return this.#outages;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens; always on the same port. */
  async comeBack(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((request, response) => this.#take(request, response));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Gone, as a process is that was killed: connections break, nobody listens. */
  async goAway(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    this.#outages += 1;
    await this.#close(server);
  }

  async end(): Promise<void> {
    if (this.#server !== undefined) await this.#close(this.#server);
    this.#server = undefined;
  }

  async #close(server: Server): Promise<void> {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    // A request that breaks off was not received: it comes again.
    request.on('error', () => response.destroy());
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      this.tally.take(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  }
}
