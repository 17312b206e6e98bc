// What the conformance cases say about files, in one line each; it needs no test runner.
import { StorageError, type StorageErrorKind } from '../../base/errors.ts';
import type { FileHandle, FileSystem } from '../../platform/file-system.ts';

/** Writes all bytes, going on after short writes, as every caller of `write` has to. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += await file.write(bytes.subarray(done), position + done);
}

/** Reads up to `count` bytes, going on after short reads, and fewer only at the end of the file. */
export async function readAll(file: FileHandle, position: number, count: number): Promise<Uint8Array> {
  const target = new Uint8Array(count);
  let done = 0;
  while (done < count) {
    const read = await file.read(target.subarray(done), position + done);
    if (read === 0) break;
    done += read;
  }
  return target.subarray(0, done);
}

export async function makeFile(fileSystem: FileSystem, path: string, text: string): Promise<void> {
  const file = await fileSystem.open(path, 'create');
  await writeAll(file, bytesOf(text), 0);
  await file.close();
}

export async function contentOf(fileSystem: FileSystem, path: string): Promise<string> {
  const file = await fileSystem.open(path, 'read');
  const text = await textAt(file, 0, await file.byteLength());
  await file.close();
  return text;
}

export async function textAt(file: FileHandle, position: number, count: number): Promise<string> {
  return textOf(await readAll(file, position, count));
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

export function expectEqual<T>(found: T, expected: T, what: string): void {
  if (!Object.is(found, expected)) throw new Error(`${what}: expected ${String(expected)}, found ${String(found)}`);
}

export async function expectKind(kind: StorageErrorKind, call: Promise<unknown>): Promise<void> {
  const outcome = await call.then(
    () => 'success',
    (error: unknown) => (error instanceof StorageError ? error.kind : `the wrong class of error: ${String(error)}`),
  );
  expectEqual(outcome, kind, 'outcome of the call');
}
