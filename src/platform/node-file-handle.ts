// An open file of the operating system: a descriptor, explicit offsets, and care that no number is used after it was
// given back, because the system hands the same number to the next file that is opened.
import { close, fdatasync, fstat, ftruncate, read, type Stats, write } from 'node:fs';
import { assert } from '../base/assert.ts';
import type { FileHandle } from './file-system.ts';
import { call } from './node-calls.ts';
import { type StorageOperation, storageError } from './storage-errors.ts';

/** The most that one system call moves. Linux stops a little below 2 GiB by itself. */
const transferBytesMax = 1024 * 1024 * 1024;

export class NodeFileHandle implements FileHandle {
  readonly path: string;
  readonly #descriptor: number;
  #callsUnderWay = 0;
  #closing: Promise<void> | undefined;
  #whenIdle: (() => void) | undefined;

  constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor;
    this.path = path;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    assertPosition(position);
    if (target.length === 0) return 0;
    const length = Math.min(target.length, transferBytesMax);
    return await this.#call<number>('read', (done) => read(this.#descriptor, target, 0, length, position, done));
  }

  async write(source: Uint8Array, position: number): Promise<number> {
    assertPosition(position);
    if (source.length === 0) return 0;
    const length = Math.min(source.length, transferBytesMax);
    const written = await this.#call<number>('write', (done) =>
      write(this.#descriptor, source, 0, length, position, done),
    );
    if (written === 0) throw storageError('io', 'write', this.path, 'the operating system took none of the bytes');
    return written;
  }

  async syncData(): Promise<void> {
    await this.#call<void>('sync', (done) => fdatasync(this.#descriptor, done));
  }

  async truncate(byteLength: number): Promise<void> {
    assertPosition(byteLength);
    await this.#call<void>('truncate', (done) => ftruncate(this.#descriptor, byteLength, done));
  }

  async byteLength(): Promise<number> {
    const stats = await this.#call<Stats>('measure', (done) => fstat(this.#descriptor, done));
    return stats.size;
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeWhenIdle();
    return this.#closing;
  }

  async #closeWhenIdle(): Promise<void> {
    if (this.#callsUnderWay > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    const subject = { operation: 'close', path: this.path } as const;
    await call<void>(subject, (done) => close(this.#descriptor, done));
  }

  async #call<T>(
    operation: StorageOperation,
    start: (done: (error: Error | null, value?: T) => void) => void,
  ): Promise<T> {
    if (this.#closing !== undefined) throw storageError('io', operation, this.path, 'the file has been closed');
    this.#callsUnderWay += 1;
    try {
      return await call<T>({ operation, path: this.path }, start);
    } finally {
      this.#callsUnderWay -= 1;
      if (this.#callsUnderWay === 0) this.#whenIdle?.();
    }
  }
}

function assertPosition(position: number): void {
  assert(Number.isSafeInteger(position) && position >= 0, 'a position in a file is a whole number from 0', {
    position,
  });
}
