// A connected socket as the client wants to see it: the client "connects" it and speaks, we keep watch.
//
// The client reads what a server sends inside of an event of its stream. What makes no sense it throws there, which
// would end the process; an error message without an end it reads for ever; and it collects a message however long that
// says it is. So it is given whole messages, and what is none of PostgreSQL's ends the connection.
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Clock } from 'spillway/plugin';
import { ConnectionLost } from './failure.ts';

/** Bytes that may come without anything being sent. All our answers together are a few kilobytes. */
const unaskedBytesMax = 4 * 1024 * 1024;
/** A letter, and how long what follows is, these four bytes included. */
const headerBytes = 5;

export class GuardedStream extends EventEmitter {
  readonly #socket: Socket;
  readonly #clock: Clock;
  #unaskedBytes = 0;
  /** The beginning of a message whose end has not come yet. */
  #begun: Buffer = Buffer.alloc(0);

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
    try {
      if (this.#unaskedBytes > unaskedBytesMax) throw new Error(`more than ${unaskedBytesMax} bytes`);
      this.#read(this.#begun.length === 0 ? chunk : Buffer.concat([this.#begun, chunk]));
    } catch (cause) {
      this.#socket.destroy(new ConnectionLost('the server sent what is no message of PostgreSQL', { cause }));
    }
  }

  #read(bytes: Buffer): void {
    let at = 0;
    while (bytes.length - at >= headerBytes) {
      const byteLength = bytes.readUInt32BE(at + 1);
      if (byteLength < headerBytes - 1 || byteLength > unaskedBytesMax)
        throw new Error(`a message of ${byteLength} bytes`);
      const end = at + 1 + byteLength;
      if (end > bytes.length) break;
      const message = bytes.subarray(at, end);
      if (!hasItsEnd(message)) throw new Error('an error without an end');
      this.emit('data', message);
      // What follows a message that ended the connection is read no more.
      if (this.#socket.destroyed) return;
      at = end;
    }
    this.#begun = bytes.subarray(at);
  }

  #fail(error: Error): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }
}

/** Errors and notices are fields, each a letter and a text that ends with a zero byte, and then one more such byte. */
function hasItsEnd(message: Buffer): boolean {
  const letter = String.fromCharCode(message[0] ?? 0);
  if (letter !== 'E' && letter !== 'N') return true;
  let at = headerBytes;
  while (at < message.length) {
    if (message[at] === 0) return true;
    const zero = message.indexOf(0, at + 1);
    if (zero < 0) return false;
    at = zero + 1;
  }
  return false;
}
