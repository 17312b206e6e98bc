// A connected socket as the client wants to see it: the client "connects" it and speaks, we keep watch.
//
// The client reads what a server sends inside of an event of its stream, and throws there when it makes no sense: that
// would end the process. And it collects a message however long the server says it is. Here both end the connection.
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Clock } from 'spillway/plugin';
import { ConnectionLost } from './failure.ts';

/** Bytes that may come without anything being sent. All our answers together are a few kilobytes. */
const unaskedBytesMax = 4 * 1024 * 1024;

export class GuardedStream extends EventEmitter {
  readonly #socket: Socket;
  readonly #clock: Clock;
  #unaskedBytes = 0;

  constructor(socket: Socket, clock: Clock) {
    super();
    this.#socket = socket;
    this.#clock = clock;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.emit('close'));
    // The client has no use for a connection that the server has half closed.
    socket.on('end', () => socket.destroy());
  }

  get writable(): boolean {
    return this.#socket.writable;
  }

  /** It is connected already; the client waits to be told so. */
  connect(): void {
    this.#clock.defer(() => this.emit('connect'));
  }

  write(chunk: Uint8Array, done?: () => void): boolean {
    this.#unaskedBytes = 0;
    return this.#socket.write(chunk, done);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(error?: Error): void {
    this.#socket.destroy(error);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  setNoDelay(): void {
    // Set when the socket was made.
  }

  #take(chunk: Buffer): void {
    this.#unaskedBytes += chunk.length;
    if (this.#unaskedBytes > unaskedBytesMax) {
      this.#socket.destroy(
        new ConnectionLost(`the server sent more than ${unaskedBytesMax} bytes that nobody asked for`),
      );
      return;
    }
    try {
      this.emit('data', chunk);
    } catch (cause) {
      this.#socket.destroy(new ConnectionLost('the server sent what is no message of PostgreSQL', { cause }));
    }
  }

  #fail(error: Error): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }
}
