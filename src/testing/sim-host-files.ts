// Files of a host in memory, for tests of what reads files that others write, rename, copy and truncate.
//
// Every call takes a moment of virtual time, so that changes come in between. What a killed reader has under way never
// ends, as with a killed process: `view()` makes a reader, `kill()` ends it.

import type { StorageErrorKind } from '../base/errors.ts';
import type { FileHandle } from '../platform/file-system.ts';
import type { FoundFile, HostFile, HostFileFacts, HostFiles } from '../platform/host-files.ts';
import { type StorageOperation, storageError } from '../platform/storage-errors.ts';
import type { SimWorld } from './sim-world.ts';

interface SimInode {
  readonly number: number;
  bytes: Uint8Array;
  modifiedMs: number;
}

const callMsMax = 0.2;

/** The host itself: what other programs do to its files happens at once. */
export class SimHost {
  readonly #world: SimWorld;
  readonly #names = new Map<string, SimInode>();
  readonly #denied = new Set<string>();
  readonly #freeNumbers: number[] = [];
  #nextNumber = 1;
  /** Reuses the numbers of removed files, as some file systems do. */
  reusesNumbers = false;

  constructor(world: SimWorld) {
    this.#world = world;
  }

  get world(): SimWorld {
    return this.#world;
  }

  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  inode(path: string): SimInode | undefined {
    return this.#names.get(path);
  }

  text(path: string): string {
    return new TextDecoder().decode(this.#names.get(path)?.bytes);
  }

  append(path: string, text: string | Uint8Array): void {
    const inode = this.#names.get(path) ?? this.#create(path);
    const added = typeof text === 'string' ? new TextEncoder().encode(text) : text;
    const bytes = new Uint8Array(inode.bytes.length + added.length);
    bytes.set(inode.bytes);
    bytes.set(added, inode.bytes.length);
    inode.bytes = bytes;
    inode.modifiedMs = this.#world.wallMs;
  }

  truncate(path: string): void {
    const inode = this.#names.get(path);
    if (inode === undefined) return;
    inode.bytes = new Uint8Array(0);
    inode.modifiedMs = this.#world.wallMs;
  }

  /** Copies as cp does: into what is there under the other name, or a new file. */
  copy(from: string, to: string): void {
    const bytes = this.#names.get(from)?.bytes ?? new Uint8Array(0);
    this.truncate(to);
    this.append(to, bytes);
  }

  rename(from: string, to: string): void {
    const inode = this.#names.get(from);
    if (inode === undefined) return;
    this.remove(to);
    this.#names.delete(from);
    this.#names.set(to, inode);
  }

  remove(path: string): void {
    const inode = this.#names.get(path);
    if (inode !== undefined && this.reusesNumbers) this.#freeNumbers.push(inode.number);
    this.#names.delete(path);
  }

  /** Refuses to open it, as without read permission. */
  deny(path: string, isDenied = true): void {
    if (isDenied) this.#denied.add(path);
    else this.#denied.delete(path);
  }

  isDenied(path: string): boolean {
    return this.#denied.has(path);
  }

  view(): SimHostFiles {
    return new SimHostFiles(this);
  }

  #create(path: string): SimInode {
    const number = this.#freeNumbers.pop() ?? this.#nextNumber++;
    const inode: SimInode = { number, bytes: new Uint8Array(0), modifiedMs: this.#world.wallMs };
    this.#names.set(path, inode);
    return inode;
  }
}

/** The files as one process sees them. Patterns know `*` within a name, and `**` for folders. */
export class SimHostFiles implements HostFiles {
  readonly host: SimHost;
  /** Calls fail with this until it is taken back. Set it for one operation at a time. */
  failing: { readonly operation: StorageOperation; readonly kind: StorageErrorKind } | undefined;
  /** Files opened and not closed. */
  openCount = 0;
  openCountMax = 0;
  #isDead = false;

  constructor(host: SimHost) {
    this.host = host;
  }

  /** Nothing that was asked for is answered from now on. */
  kill(): void {
    this.#isDead = true;
  }

  async openToRead(path: string): Promise<HostFile> {
    await this.#call('open', path);
    const inode = this.host.inode(path);
    if (inode === undefined) throw storageError('missing', 'open', path, 'nothing is there');
    if (this.host.isDenied(path)) throw storageError('denied', 'open', path, 'access is refused');
    this.openCount += 1;
    this.openCountMax = Math.max(this.openCountMax, this.openCount);
    let isOpen = true;
    return {
      path,
      read: async (target, position) => {
        await this.#call('read', path);
        const part = inode.bytes.subarray(position, position + target.length);
        target.set(part);
        return part.length;
      },
      facts: async () => {
        await this.#call('inspect', path);
        return factsOf(inode);
      },
      close: async () => {
        if (isOpen) this.openCount -= 1;
        isOpen = false;
        await this.#call('close', path);
      },
    };
  }

  openToWrite(path: string): Promise<FileHandle> {
    throw storageError('io', 'open', path, 'this host is written to by itself only');
  }

  async facts(path: string): Promise<HostFileFacts | undefined> {
    await this.#call('inspect', path);
    const inode = this.host.inode(path);
    return inode === undefined ? undefined : factsOf(inode);
  }

  async glob(patterns: readonly string[], exclude: readonly string[] = []): Promise<string[]> {
    return (await this.find(patterns, exclude)).map(({ path }) => path);
  }

  async find(patterns: readonly string[], exclude: readonly string[] = []): Promise<FoundFile[]> {
    await this.#call('list', patterns.join(' '));
    const included = patterns.map(expressionOf);
    const excluded = exclude.map(expressionOf);
    const matches = (path: string, all: readonly RegExp[]): boolean => all.some((each) => each.test(path));
    const paths = this.host.paths().filter((path) => matches(path, included) && !matches(path, excluded));
    return paths.flatMap((path) => {
      const inode = this.host.inode(path);
      return inode === undefined ? [] : [{ path, facts: factsOf(inode) }];
    });
  }

  async list(path: string): Promise<string[]> {
    await this.#call('list', path);
    const below = this.host.paths().filter((each) => each.startsWith(`${path}/`));
    return [...new Set(below.map((each) => each.slice(path.length + 1).split('/')[0] as string))];
  }

  async readText(path: string): Promise<string | undefined> {
    await this.#call('read', path);
    return this.host.inode(path) === undefined ? undefined : this.host.text(path);
  }

  async replaceText(path: string, text: string): Promise<void> {
    await this.#call('write', path);
    this.host.remove(path);
    this.host.append(path, text);
    await this.#call('sync directory', path);
  }

  async makeDirectories(path: string): Promise<void> {
    await this.#call('make directory', path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call('rename', from);
    this.host.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    await this.#call('remove', path);
    this.host.remove(path);
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#call('sync directory', path);
  }

  async #call(operation: StorageOperation, path: string): Promise<void> {
    const { world } = this.host;
    await new Promise<void>((resolve) => {
      world.schedule(world.random.fraction() * callMsMax, operation, path, () => {
        if (!this.#isDead) resolve();
      });
    });
    if (this.failing?.operation === operation) {
      throw storageError(this.failing.kind, operation, path, 'the test wants it so');
    }
  }
}

function factsOf({ number, bytes, modifiedMs }: SimInode): HostFileFacts {
  return { kind: 'file', byteLength: bytes.length, identity: `1:${number}`, modifiedMs };
}

function expressionOf(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\?]/g, '\\$&')
    .replace(/\*\*\/?|\*/g, (stars) => (stars === '*' ? '[^/]*' : '.*'));
  return new RegExp(`^${source}$`);
}
