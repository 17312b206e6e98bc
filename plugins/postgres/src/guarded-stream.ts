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
/** A refusal quotes the value that it is about, however long that is: once, and perhaps once more in its context. */
const quotes = 2;
/** A letter, and how long what follows is, these four bytes included. */
const headerBytes = 5;

export class GuardedStream extends EventEmitter {
  readonly #socket: Socket;
  readonly #clock: Clock;
  #unaskedBytes = 0;
  /** What was sent after the server had said something, which it may be answering now. */
  #sentBytes = 0;
  /** The beginning of a message whose end has not come yet, and how much it takes to go on. */
  #begun: Buffer[] = [];
  #begunBytes = 0;
  #neededBytes = headerBytes;

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
    if (this.#unaskedBytes > 0) this.#sentBytes = 0;
    this.#sentBytes += chunk.length;
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

  get #bytesMax(): number {
    return unaskedBytesMax + quotes * this.#sentBytes;
  }

  #take(chunk: Buffer): void {
    this.#unaskedBytes += chunk.length;
    this.#begun.push(chunk);
    this.#begunBytes += chunk.length;
    try {
      if (this.#unaskedBytes > this.#bytesMax) throw new Error(`more than ${this.#bytesMax} bytes`);
      if (this.#begunBytes >= this.#neededBytes) this.#read(Buffer.concat(this.#begun));
    } catch (cause) {
      this.#socket.destroy(new ConnectionLost('the server sent what is no message of PostgreSQL', { cause }));
    }
  }

  #read(bytes: Buffer): void {
    let at = 0;
    this.#neededBytes = headerBytes;
    while (bytes.length - at >= headerBytes) {
      const byteLength = bytes.readUInt32BE(at + 1);
      if (byteLength < headerBytes - 1 || byteLength > this.#bytesMax)
        throw new Error(`a message of ${byteLength} bytes`);
      const end = at + 1 + byteLength;
      this.#neededBytes = end - at;
      if (end > bytes.length) break;
      this.#neededBytes = headerBytes;
      const message = bytes.subarray(at, end);
      if (!hasItsEnd(message)) throw new Error('an error without an end');
      this.emit('data', message);
      // What follows a message that ended the connection is read no more.
      if (this.#socket.destroyed) return;
      at = end;
    }
    this.#begunBytes = bytes.length - at;
    // Not even an empty part: it would hold the whole.
    this.#begun = this.#begunBytes === 0 ? [] : [bytes.subarray(at)];
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
