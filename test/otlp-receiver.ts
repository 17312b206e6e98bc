// An OTLP/HTTP receiver for tests, with nothing of ours in it: it keeps what it is sent, decompressed, and can be away,
// stall, or answer as it is told.

import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

export interface ReceivedRequest {
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
}

export class OtlpReceiver {
  /** In the order in which they were taken. Requests without events are none. */
  readonly requests: ReceivedRequest[] = [];
  /** The status of every later answer. What is not answered 200 is not kept. */
  status = 200;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #isStalled = false;

  static async open(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    await receiver.back();
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Refuses connections from now on, and ends those that are open. */
  async away(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => {
      server.close(resolve);
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Listens, where it did before. */
  async back(): Promise<void> {
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        if (this.#isStalled) return;
        const body = decoded(Buffer.concat(parts), request.headers['content-encoding']);
        const contentType = request.headers['content-type'] ?? '';
        if (this.status === 200 && body.length > 0) this.requests.push({ path: request.url ?? '', contentType, body });
        response.writeHead(this.status, { 'content-type': contentType }).end();
      });
    });
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(this.#port, '127.0.0.1', resolve);
    });
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Takes everything and answers nothing. */
  stall(): void {
    this.#isStalled = true;
  }

  async close(): Promise<void> {
    await this.away();
  }
}

function decoded(body: Buffer, coding: string | undefined): Buffer {
  switch (coding) {
    case undefined:
      return body;
    case 'gzip':
      return gunzipSync(body);
    case 'zstd':
      return zstdDecompressSync(body);
    default:
      throw new Error(`a coding that nobody asked for: ${coding}`);
  }
}
