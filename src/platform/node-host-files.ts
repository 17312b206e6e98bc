// The host's files, by node:fs. Links are followed: a log's name is often one, and so is the folder that it is in.
import {
  close,
  constants,
  fstat,
  fsync,
  globSync,
  mkdir,
  open,
  read,
  readdir,
  rename,
  type Stats,
  stat,
  unlink,
  write,
} from 'node:fs';
import { dirname } from 'node:path';
import { isStorageError } from '../base/errors.ts';
import type { FileHandle, FileKind } from './file-system.ts';
import type { FoundFile, HostFile, HostFileFacts, HostFiles } from './host-files.ts';
import { call } from './node-calls.ts';
import { NodeFileHandle } from './node-file-handle.ts';
import { type StorageOperation, storageError } from './storage-errors.ts';

const { O_CREAT, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } = constants;
const outputMode = 0o644;
const ownMode = 0o600;
const directoryMode = 0o755;

export class NodeHostFiles implements HostFiles {
  async openToRead(path: string): Promise<HostFile> {
    const descriptor = await openDescriptor('open', path, O_RDONLY | O_NONBLOCK);
    await refuseUnlessFile(descriptor, path);
    return new NodeHostFile(descriptor, path);
  }

  async openToWrite(path: string): Promise<FileHandle> {
    const descriptor = await openDescriptor('open', path, O_RDWR | O_CREAT | O_NONBLOCK, outputMode);
    await refuseUnlessFile(descriptor, path);
    return new NodeFileHandle(descriptor, path);
  }

  async facts(path: string): Promise<HostFileFacts | undefined> {
    try {
      return factsOf(await call<Stats>({ operation: 'inspect', path }, (done) => stat(path, done)));
    } catch (error) {
      if (isNothingThere(error)) return undefined;
      throw error;
    }
  }

  async glob(patterns: readonly string[], exclude: readonly string[] = []): Promise<string[]> {
    return (await this.find(patterns, exclude)).map(({ path }) => path);
  }

  async find(patterns: readonly string[], exclude: readonly string[] = []): Promise<FoundFile[]> {
    const paths = new Set(globSync(patterns));
    // Node's own `exclude` prunes folders by their name as well; what is meant here is files only.
    if (exclude.length > 0) for (const path of globSync(exclude)) paths.delete(path);
    const found = await Promise.all([...paths].map((path) => this.#look(path)));
    return found.filter((each) => each !== undefined).sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** One link that leads in a circle must not hide all other files. */
  async #look(path: string): Promise<FoundFile | undefined> {
    try {
      const facts = await this.facts(path);
      return facts?.kind === 'file' ? { path, facts } : undefined;
    } catch {
      return undefined;
    }
  }

  async list(directory: string): Promise<string[]> {
    try {
      const subject = { operation: 'list', path: directory } as const;
      return (await call<string[]>(subject, (done) => readdir(directory, done))).sort();
    } catch (error) {
      if (isStorageError(error, 'missing')) return [];
      throw error;
    }
  }

  async readText(path: string): Promise<string | undefined> {
    let file: HostFile;
    try {
      file = await this.openToRead(path);
    } catch (error) {
      if (isNothingThere(error)) return undefined;
      throw error;
    }
    try {
      return await readWhole(file);
    } finally {
      await file.close();
    }
  }

  async replaceText(path: string, text: string): Promise<void> {
    const draft = `${path}.new`;
    const descriptor = await openDescriptor('create', draft, O_WRONLY | O_CREAT | O_TRUNC, ownMode);
    try {
      await writeWhole(descriptor, draft, new TextEncoder().encode(text));
      await call<void>({ operation: 'sync', path: draft }, (done) => fsync(descriptor, done));
    } finally {
      await call<void>({ operation: 'close', path: draft }, (done) => close(descriptor, done));
    }
    await this.rename(draft, path); // Data before the name: a crash leaves the old file or the new one, whole.
    await this.syncDirectory(dirname(path));
  }

  async makeDirectories(path: string): Promise<void> {
    if ((await this.facts(path))?.kind === 'directory') return;
    const parent = dirname(path);
    if (parent !== path) await this.makeDirectories(parent);
    try {
      await call<void>({ operation: 'make directory', path }, (done) =>
        mkdir(path, directoryMode, (error) => done(error)),
      );
    } catch (error) {
      if (!isStorageError(error, 'exists') || (await this.facts(path))?.kind !== 'directory') throw error;
    }
    await this.syncDirectory(parent);
  }

  async rename(from: string, to: string): Promise<void> {
    await call<void>({ operation: 'rename', path: from }, (done) => rename(from, to, done));
  }

  async remove(path: string): Promise<void> {
    try {
      await call<void>({ operation: 'remove', path }, (done) => unlink(path, done));
    } catch (error) {
      if (!isNothingThere(error)) throw error;
    }
  }

  async syncDirectory(path: string): Promise<void> {
    const descriptor = await openDescriptor('sync directory', path, O_RDONLY | O_DIRECTORY);
    try {
      await call<void>({ operation: 'sync directory', path }, (done) => fsync(descriptor, done));
    } finally {
      await call<void>({ operation: 'close', path }, (done) => close(descriptor, done));
    }
  }
}

class NodeHostFile implements HostFile {
  readonly path: string;
  readonly #descriptor: number;
  #isClosed = false;

  constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor;
    this.path = path;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    if (target.length === 0) return 0;
    this.#assertOpen('read');
    return await call<number>({ operation: 'read', path: this.path }, (done) =>
      read(this.#descriptor, target, 0, target.length, position, done),
    );
  }

  async facts(): Promise<HostFileFacts> {
    this.#assertOpen('inspect');
    return factsOf(
      await call<Stats>({ operation: 'inspect', path: this.path }, (done) => fstat(this.#descriptor, done)),
    );
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await call<void>({ operation: 'close', path: this.path }, (done) => close(this.#descriptor, done));
  }

  /** The number of a closed descriptor may belong to another file by now. */
  #assertOpen(operation: StorageOperation): void {
    if (this.#isClosed) throw storageError('io', operation, this.path, 'the file has been closed');
  }
}

async function openDescriptor(
  operation: StorageOperation,
  path: string,
  flags: number,
  mode?: number,
): Promise<number> {
  return await call<number>({ operation, path }, (done) => open(path, flags, mode, done));
}

async function refuseUnlessFile(descriptor: number, path: string): Promise<void> {
  const subject = { operation: 'open', path } as const;
  const stats = await call<Stats>(subject, (done) => fstat(descriptor, done));
  if (stats.isFile()) return;
  await call<void>({ operation: 'close', path }, (done) => close(descriptor, done));
  throw storageError('io', 'open', path, `it is no regular file but a ${kindOf(stats)}`);
}

async function readWhole(file: HostFile): Promise<string> {
  const parts: Uint8Array[] = [];
  const part = new Uint8Array(64 * 1024);
  for (let position = 0; ; ) {
    const count = await file.read(part, position);
    if (count === 0) return new TextDecoder().decode(Buffer.concat(parts));
    parts.push(part.slice(0, count));
    position += count;
  }
}

async function writeWhole(descriptor: number, path: string, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    const start = offset;
    offset += await call<number>({ operation: 'write', path }, (done) =>
      write(descriptor, bytes, start, bytes.length - start, start, done),
    );
  }
}

function factsOf(stats: Stats): HostFileFacts {
  const identity = `${stats.dev}:${stats.ino}`;
  return { kind: kindOf(stats), byteLength: stats.size, identity, modifiedMs: Math.trunc(stats.mtimeMs) };
}

function kindOf(stats: Stats): FileKind {
  if (stats.isFile()) return 'file';
  return stats.isDirectory() ? 'directory' : 'other';
}

function isNothingThere(error: unknown): boolean {
  if (isStorageError(error, 'missing')) return true;
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOTDIR';
}
