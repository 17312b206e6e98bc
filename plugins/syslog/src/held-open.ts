// The stream between TLS and a TCP socket: passes everything on, but not the end of what is written.
//
// TLS ends with a message of its own, and Node would send the end of the TCP connection right behind it. A receiver
// that answers the message by closing then closes before or after our end arrives, as chance has it, and what the
// system knows of the connection afterwards proves nothing (confirmation.ts). So only the message goes out. The socket
// is ended and destroyed by its owner, who also hears of its errors.

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export class HeldOpen extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on('data', (chunk) => {
      if (!this.destroyed && !this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.destroyed || this.push(null));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    done();
  }
}
