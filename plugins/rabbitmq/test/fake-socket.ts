// A socket without a network: what is written stays until the test takes it, and the test says what comes back.
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export class FakeSocket extends Duplex {
  readonly written: Buffer[] = [];
  /** Nothing is taken any more: what is written waits in the socket. */
  isStuck: boolean = false;
  #goOn: () => void = () => undefined;

  constructor() {
    super({ highWaterMark: 16 * 1024, allowHalfOpen: false });
  }

  get asSocket(): Socket {
    return this as unknown as Socket;
  }

  get writtenBytes(): number {
    return this.written.reduce((sum, { length }) => sum + length, 0);
  }

  say(bytes: Buffer): void {
    this.push(bytes);
  }

  /** Takes what waits. */
  unstick(): void {
    this.isStuck = false;
    this.#goOn();
  }

  override _read(): void {
    // The test pushes.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    if (this.isStuck) this.#goOn = done;
    else done();
  }
}
