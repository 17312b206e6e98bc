// Where a program's own output goes, behind an interface: a terminal, a pipe, or a test that looks at it.
//
// The one place outside the command line that touches the standard streams; sinks that print take it from here.

import { toStorageError } from './storage-errors.ts';

/** `closed`: whoever read it has gone, as `head` does; nothing will be taken any more. */
export type OutputResult = 'written' | 'closed';

export interface OutputStream {
  readonly name: string;
  /** A terminal whose user has not refused colours (NO_COLOR). */
  readonly hasColor: boolean;
  /**
   * Resolves when the operating system has taken all of it: whoever waits for that holds no more than this text in
   * memory, however slow the reader. Rejects with StorageError.
   */
  write(text: string): Promise<OutputResult>;
}

/** What of a stream of Node this needs. */
export interface WritableLike {
  readonly isTTY?: boolean;
  write(text: string, done: (error?: Error | null) => void): boolean;
  on(event: 'error', listener: () => void): unknown;
}

export function standardOutput(target: 'stdout' | 'stderr'): OutputStream {
  const hasColor = process.env['NO_COLOR'] === undefined || process.env['NO_COLOR'] === '';
  return outputTo(target, target === 'stdout' ? process.stdout : process.stderr, hasColor);
}

const guarded = new WeakSet<WritableLike>();

export function outputTo(name: string, stream: WritableLike, mayColor: boolean): OutputStream {
  // Node raises a failed write as an event as well, and ends the process where nobody listens.
  if (!guarded.has(stream)) stream.on('error', () => undefined);
  guarded.add(stream);
  return {
    name,
    hasColor: mayColor && stream.isTTY === true,
    write: (text) =>
      new Promise((resolve, reject) => {
        stream.write(text, (error) => {
          if (error === undefined || error === null) resolve('written');
          else if (isGone(error)) resolve('closed');
          else reject(toStorageError(error, 'write', name));
        });
      }),
  };
}

const goneCodes = ['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END'];

/** Whether a write failed because nobody reads any more; a disk that is full may have room again. */
export function isGone(error: Error): boolean {
  return 'code' in error && goneCodes.includes(String(error.code));
}
