// From callback to promise, for every call to node:fs: through the gate, again after an interruption, and out through
// the one gate for errors.
import { IoGate, placesFor } from './io-gate.ts';
import { type StorageOperation, toStorageError } from './storage-errors.ts';

export type FsCallback<T> = (error: NodeJS.ErrnoException | null, value?: T) => void;

/** One for the process: the thread pool behind it is one as well. */
const gate = new IoGate(placesFor(process.env['UV_THREADPOOL_SIZE']));

export const callsAtOnce: number = gate.places;

/** What a call is about, for the error it may end with. */
export type CallSubject = { readonly operation: StorageOperation; readonly path: string };

/** Makes one blocking call. `start` hands its callback to node:fs. */
export function call<T>(subject: CallSubject, start: (done: FsCallback<T>) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const fail = (error: unknown): void => {
      gate.leave();
      reject(toStorageError(error, subject.operation, subject.path));
    };
    const attempt = (): void => {
      try {
        start((error, value) => {
          if (error === null || error === undefined) {
            gate.leave();
            resolve(value as T);
          } else if (error.code === 'EINTR' && subject.operation !== 'close') {
            attempt(); // A signal came in between: nothing has happened. (A closed descriptor is closed all the same.)
          } else {
            fail(error);
          }
        });
      } catch (error) {
        fail(error);
      }
    };
    gate.enter(attempt);
  });
}
