// The file system of one simulated process: the same contract as the real one, on a SimDisk.
import { assert } from '../base/assert.ts';
import type { DirectoryEntry, FileHandle, FileLock, FileSystem, OpenMode, PathFacts } from '../platform/file-system.ts';
import { type StorageOperation, toStorageError } from '../platform/storage-errors.ts';
import { SimFile } from './sim-file.ts';
import type { IoPlan, SimIo } from './sim-io.ts';
import { errnoError, SimDirectory, type SimNode } from './sim-names.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimStorage } from './sim-storage.ts';

export class SimFileSystem implements FileSystem {
  readonly heldDirectories: Set<string> = new Set();
  readonly #storage: SimStorage;
  readonly #io: SimIo;
  readonly #process: SimProcess;

  constructor(storage: SimStorage, io: SimIo, process: SimProcess) {
    this.#storage = storage;
    this.#io = io;
    this.#process = process;
  }

  open(path: string, mode: OpenMode): Promise<FileHandle> {
    if (mode === 'create') {
      return this.#submit({
        operation: 'create',
        path,
        effect: () => {
          const file = new SimFile();
          const change = this.#storage.addName('create', path, file);
          return { change, handle: this.#handle(file, path, true) };
        },
        returned: ({ change }) => {
          change.returned = true;
        },
      }).then(({ handle }) => handle);
    }
    return this.#submit({
      operation: 'open',
      path,
      effect: () => {
        const node = this.#find(path, 'open');
        if (node.kind === 'link') throw failure('ELOOP', 'open', path);
        if (node.kind === 'directory') throw failure('EISDIR', 'open', path);
        return this.#handle(node, path, mode === 'read_write');
      },
    });
  }

  list(directory: string): Promise<DirectoryEntry[]> {
    return this.#submit({
      operation: 'list',
      path: directory,
      effect: () => {
        const entries = [...this.#findDirectory(directory, 'list').live].map(([name, node]) => ({
          name,
          ...factsOf(node),
        }));
        return this.#storage.draws.shuffle(entries);
      },
    });
  }

  facts(path: string): Promise<PathFacts | undefined> {
    return this.#submit({
      operation: 'inspect',
      path,
      effect: () => {
        const node = this.#storage.names.find(path);
        return node === undefined ? undefined : factsOf(node);
      },
    });
  }

  resolve(path: string): Promise<string> {
    return this.#submit({ operation: 'resolve', path, effect: () => this.#storage.names.resolve(path) });
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#submit({
      operation: 'make directory',
      path,
      effect: () => this.#storage.addName('make directory', path, new SimDirectory()),
      returned: (change) => {
        change.returned = true;
      },
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#submit({
      operation: 'rename',
      path: from,
      effect: () => this.#storage.rename(from, to),
      returned: (change) => {
        change.returned = true;
      },
    });
  }

  async remove(path: string): Promise<void> {
    await this.#submit({
      operation: 'remove',
      path,
      effect: () => this.#storage.removeName(path),
      returned: (change) => {
        change.returned = true;
      },
    });
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#submit({
      operation: 'remove directory',
      path,
      effect: () => this.#storage.removeDirectory(path),
      returned: (change) => {
        change.returned = true;
      },
    });
  }

  syncDirectory(path: string): Promise<void> {
    const node = this.#storage.names.find(path);
    const directory = node?.kind === 'directory' ? node : undefined;
    const taken = directory === undefined ? undefined : this.#storage.names.changesForSync(directory);
    const lies = !this.#storage.assumptions.a5 && this.#storage.draws.chance(0.3);
    return this.#submit({
      operation: 'sync directory',
      path,
      effect: () => {
        if (directory === undefined || taken === undefined) {
          throw failure(node === undefined ? 'ENOENT' : 'ENOTDIR', 'sync directory', path);
        }
        if (!lies) this.#storage.names.syncSucceeded(directory, taken);
      },
    });
  }

  tryLock(path: string): Promise<FileLock | undefined> {
    return this.#submit({
      operation: 'lock',
      path,
      effect: () => (this.#storage.takeLock(path, this.#process) ? this.#lock(path) : undefined),
    });
  }

  #handle(file: SimFile, path: string, isWritable: boolean): SimFileHandle {
    return new SimFileHandle({
      storage: this.#storage,
      io: this.#io,
      process: this.#process,
      file,
      path,
      isWritable,
    });
  }

  #lock(path: string): FileLock {
    let isReleased = false;
    return {
      release: async () => {
        if (isReleased) return;
        isReleased = true;
        await this.#submit({ operation: 'unlock', path, effect: () => this.#storage.giveLock(path, this.#process) });
      },
    };
  }

  #find(path: string, operation: StorageOperation): SimNode {
    const node = this.#storage.names.find(path);
    if (node === undefined) throw failure('ENOENT', operation, path);
    return node;
  }

  #findDirectory(path: string, operation: StorageOperation): SimDirectory {
    const node = this.#find(path, operation);
    if (node.kind !== 'directory') throw failure('ENOTDIR', operation, path);
    return node;
  }

  #submit<T>(plan: IoPlan<T>): Promise<T> {
    return this.#io.submit(this.#process, plan);
  }
}

type HandleFields = {
  readonly storage: SimStorage;
  readonly io: SimIo;
  readonly process: SimProcess;
  readonly file: SimFile;
  readonly path: string;
  readonly isWritable: boolean;
};

class SimFileHandle implements FileHandle {
  readonly path: string;
  readonly #storage: SimStorage;
  readonly #io: SimIo;
  readonly #process: SimProcess;
  readonly #file: SimFile;
  readonly #isWritable: boolean;
  #isOpen = true;

  constructor(system: HandleFields) {
    this.#storage = system.storage;
    this.#io = system.io;
    this.#process = system.process;
    this.#file = system.file;
    this.path = system.path;
    this.#isWritable = system.isWritable;
    system.storage.openHandle(system.process, system.file);
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    assertPosition(position);
    return await this.#submit({
      operation: 'read',
      path: this.path,
      offset: position,
      byteLength: target.length,
      effect: () => this.#readNow(target, position),
    });
  }

  async write(source: Uint8Array, position: number): Promise<number> {
    assertPosition(position);
    const copy = new Uint8Array(source);
    const writePart = (): void => {
      const length = this.#isWritable ? this.#storage.draws.between(0, copy.length) : 0;
      const change = this.#storage.write(this.#file, copy.subarray(0, length), position);
      if (change !== undefined) change.returned = true;
    };
    return await this.#submit({
      operation: 'write',
      path: this.path,
      offset: position,
      byteLength: source.length,
      effect: () => {
        this.#requireWritable('write');
        const length = this.#storage.roomForWrite(this.#file, position, copy.length, this.path);
        const change = this.#storage.write(this.#file, copy.subarray(0, length), position);
        return { change, length };
      },
      failed: (errno) => {
        // A disk that is full says so before it takes anything. After any other error a part may have got through.
        if (errno !== 'ENOSPC' && errno !== 'EDQUOT') writePart();
      },
      interrupted: writePart,
      returned: ({ change }) => {
        if (Buffer.compare(copy, source) !== 0) this.#storage.world.fail(new SourceChanged(this.path, position));
        if (change !== undefined) change.returned = true;
      },
    }).then(({ length }) => length);
  }

  async syncData(): Promise<void> {
    // Only what had returned before this call is promised; what is in flight now may or may not be taken along.
    const taken = this.#file.changesForSync();
    const lies = !this.#storage.assumptions.a1 && this.#storage.draws.chance(0.3);
    await this.#submit({
      operation: 'sync',
      path: this.path,
      effect: () => {
        if (this.#storage.isOverfull()) {
          this.#storage.failSync(this.#file);
          throw failure('ENOSPC', 'sync', this.path);
        }
        if (!lies) this.#file.syncSucceeded(taken);
      },
      failed: () => this.#storage.failSync(this.#file),
    });
  }

  async truncate(byteLength: number): Promise<void> {
    assertPosition(byteLength);
    await this.#submit({
      operation: 'truncate',
      path: this.path,
      offset: byteLength,
      effect: () => {
        this.#requireWritable('truncate');
        return this.#storage.truncate(this.#file, byteLength);
      },
      returned: (change) => {
        change.returned = true;
      },
    });
  }

  byteLength(): Promise<number> {
    return this.#submit({ operation: 'measure', path: this.path, effect: () => this.#file.byteLength });
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    const closing = this.#submit({ operation: 'close', path: this.path, effect: () => undefined });
    // Also a close that fails has released the descriptor.
    this.#isOpen = false;
    if (this.#process.isAlive) this.#storage.closeHandle(this.#process, this.#file);
    await closing;
  }

  #readNow(target: Uint8Array, position: number): number {
    const asked = Math.max(0, Math.min(target.length, this.#file.byteLength - position));
    let length = asked === 0 ? 0 : this.#storage.faults.transferLength('read', asked);
    const bad = this.#file.rot.firstBad(position, position + length);
    if (bad !== undefined) {
      // The bytes before the bad sector may come out as a short read, or the whole call may fail.
      if (bad === position || this.#storage.draws.chance(0.5)) throw failure('EIO', 'read', this.path);
      length = bad - position;
    }
    const part = target.subarray(0, length);
    this.#file.read(part, position);
    this.#file.rot.show(part, position);
    return length;
  }

  #requireWritable(operation: StorageOperation): void {
    if (!this.#isWritable) throw failure('EBADF', operation, this.path);
  }

  #submit<T>(plan: IoPlan<T>): Promise<T> {
    if (!this.#isOpen) return Promise.reject(failure('EBADF', plan.operation, plan.path));
    return this.#io.submit(this.#process, plan);
  }
}

/** The caller broke the contract of `write`: the bytes it had handed over changed before the promise settled. */
export class SourceChanged extends Error {
  override readonly name = 'SourceChanged';

  constructor(path: string, position: number) {
    super(`The bytes being written to ${path} at ${position} were changed before the write had settled.`);
  }
}

function factsOf(node: SimNode): PathFacts {
  const byteLength = node.kind === 'file' ? node.byteLength : node.kind === 'link' ? node.target.length : 4096;
  return { kind: node.kind, byteLength, worldWritable: node.worldWritable };
}

function failure(name: string, operation: StorageOperation, path: string): Error {
  return toStorageError(errnoError(name), operation, path);
}

function assertPosition(position: number): void {
  assert(Number.isSafeInteger(position) && position >= 0, 'a position in a file is a whole number from 0', {
    position,
  });
}
