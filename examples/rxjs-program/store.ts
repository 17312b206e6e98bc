// The peer: a small HTTP server that stores readings. It can be taken away: then it cuts every connection. The request
// that comes first after that is stored all the same, and only its answer is lost, which is what makes senders repeat.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Reading } from './sensor.ts';

export class Store {
  /** Numbers in order of arrival, repeats left out. */
  readonly stored: number[] = [];
  repeated = 0;
  outages = 0;
  #state: 'there' | 'losing_answer' | 'away' = 'there';
  readonly #keys = new Set<string>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  static async open(): Promise<Store> {
    const store = new Store();
    store.#server.listen(0, '127.0.0.1');
    await once(store.#server, 'listening');
    return store;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  get isThere(): boolean {
    return this.#state === 'there';
  }

  goAway(): void {
    this.outages += 1;
    this.#state = 'losing_answer';
  }

  comeBack(): void {
    this.#state = 'there';
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    if (this.#state !== 'away') for (const line of body.trimEnd().split('\n')) this.#keep(line);
    if (this.#state === 'there') {
      response.end('stored\n');
    } else {
      this.#state = 'away';
      response.destroy();
    }
  }

  /** A line is a record's key and the reading. A repeat is known by its key, also one from a process started anew. */
  #keep(line: string): void {
    const at = line.indexOf(' ');
    const key = line.slice(0, at);
    if (this.#keys.has(key)) {
      this.repeated += 1;
      return;
    }
    this.#keys.add(key);
    this.stored.push((JSON.parse(line.slice(at + 1)) as Reading).number);
  }
}
