// A syslog receiver over TCP or TLS that does what a test tells it to: reads all and closes in turn, unless it is told
// to be slow, to hang, to reset, to answer, or to close at another time.

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { type ParsedMessage, parseMessages, readFrames } from './message-parser.ts';

export type Behaviour =
  /** Reads everything and closes when the sender has ended. */
  | { readonly kind: 'reads' }
  /** Takes connections and never reads. */
  | { readonly kind: 'never reads' }
  /** Reads, and does not close when the sender has ended until `release` is called. */
  | { readonly kind: 'never closes' }
  /** Reads some bytes each time `release` is called. */
  | { readonly kind: 'reads on release' }
  /** Resets the connection at the first bytes, or at once. */
  | { readonly kind: 'resets'; readonly at: 'connect' | 'first bytes' }
  /** Ends its side at once, or after the first bytes, and goes on as if nothing were. */
  | { readonly kind: 'ends'; readonly at: 'connect' | 'first bytes' }
  | { readonly kind: 'answers' };

export class ReceiverDouble {
  behaviour: Behaviour = { kind: 'reads' };
  /** Called with the number of a connection before it is served: to change the behaviour from it on. */
  onConnection: (number: number) => void = () => undefined;
  readonly port: number;
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #received: Buffer[][] = [];
  readonly #raw = new Set<Socket>();
  #release: () => void = () => undefined;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (socket: Socket) => {
      this.#raw.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#raw.delete(socket));
    });
  }

  static async start(tls?: TlsOptions, port = 0): Promise<ReceiverDouble> {
    let double: ReceiverDouble | undefined;
    const serve = (socket: Socket): void => double?.serve(socket);
    const options = { allowHalfOpen: true };
    const server = tls === undefined ? createServer(options, serve) : createTlsServer({ ...tls, ...options }, serve);
    server.on('tlsClientError', () => undefined);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    double = new ReceiverDouble(server, typeof address === 'object' && address !== null ? address.port : 0);
    return double;
  }

  /** Everything received, connection by connection. What is no whole frame in the end is left out. */
  get messages(): ParsedMessage[] {
    return this.#received.flatMap((parts) => {
      const { rest } = readFrames(Buffer.concat(parts));
      const all = Buffer.concat(parts);
      return parseMessages(all.subarray(0, all.length - rest.length));
    });
  }

  get receivedBytes(): number {
    return this.#received.flat().reduce((sum, { length }) => sum + length, 0);
  }

  get openConnections(): number {
    return this.#raw.size;
  }

  /** Resolves when everything is read that its system has. */
  async quiet(): Promise<void> {
    for (let turns = 0, before = this.receivedBytes; turns < 3; turns += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.receivedBytes !== before) turns = 0;
      before = this.receivedBytes;
    }
  }

  /** What the behaviour waits for. */
  release(): void {
    this.#release();
  }

  resetAll(): void {
    for (const socket of this.#raw) socket.resetAndDestroy();
  }

  endAll(): void {
    for (const socket of this.#sockets) socket.end();
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#raw) socket.destroy();
    await closed;
  }

  serve(socket: Socket): void {
    this.connections += 1;
    this.onConnection(this.connections);
    const parts: Buffer[] = [];
    this.#received.push(parts);
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    const { behaviour } = this;
    const read = (): void => {
      socket.on('data', (bytes: Buffer) => {
        parts.push(bytes);
        if (behaviour.kind === 'ends' && behaviour.at === 'first bytes') socket.end();
        if (behaviour.kind === 'resets') socket.resetAndDestroy();
        if (behaviour.kind === 'answers') socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
      });
    };
    switch (behaviour.kind) {
      case 'never reads':
        break;
      case 'reads on release':
        this.#release = () => {
          read();
          socket.on('end', () => socket.end());
        };
        break;
      case 'never closes':
        this.#release = () => socket.end();
        read();
        break;
      case 'resets':
        if (behaviour.at === 'connect') socket.resetAndDestroy();
        else read();
        break;
      case 'ends':
        if (behaviour.at === 'connect') socket.end();
        read();
        break;
      case 'answers':
      case 'reads':
        socket.on('end', () => socket.end());
        read();
        break;
    }
  }
}
