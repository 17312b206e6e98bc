// What the doubles have in common that stand in for servers in the tests of plugins: a port on this machine, the
// connections that are there, and an end that leaves none of them.
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';

export abstract class ServerDouble {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  /** So many were taken, whatever became of them. */
  connections: number = 0;

  constructor(server: Server) {
    this.#server = server;
    // A server for TLS tells of a socket before the handshake and after it.
    const isTls = 'setSecureContext' in server;
    server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => this.#take(socket));
    // A handshake that failed is the client's to tell.
    server.on('tlsClientError', () => undefined);
  }

  /** Resolves when clients can connect. */
  async listen(port: number = 0): Promise<this> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    this.#port = address.port;
    return this;
  }

  /** Stays known when it has stopped. */
  get port(): number {
    return this.#port;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.breakConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** Called with every connection, which is forgotten when it closes and destroyed when it fails. */
  protected abstract serve(socket: Socket): void;

  #take(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    this.serve(socket);
  }
}
