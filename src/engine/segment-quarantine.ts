// Chapter 4, last part. The quarantine: copies of damaged bytes, kept as evidence before anything is cut or stepped
// over.
//
// Best effort by design: evidence is worth much, but never as much as room for new records. A copy is made once per
// place, within its own budget and within maxBytes; when it cannot be made the damage is reported all the same.
//
// Next: ledger-slot.ts, the bytes of the ledger.

import { mark } from '../base/marks.ts';
import { MiB } from '../base/units.ts';
import type { FileHandle, FileSystem } from '../platform/file-system.ts';
import type { EventHub } from './events.ts';
import { letGo } from './segment-catalog.ts';

export const quarantineName = 'quarantine';

export class Quarantine {
  readonly #fileSystem: FileSystem;
  readonly #events: EventHub;
  readonly #parent: string;
  readonly #directory: string;
  readonly #bytesMax: number;
  /** Bytes that may still be added to the directory of the buffer as a whole. */
  readonly #spaceLeft: () => number;
  readonly #names = new Set<string>();
  #byteLength = 0;
  #exists = false;
  #nameDurable = false;
  #queue: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly fileSystem: FileSystem;
    readonly events: EventHub;
    readonly directory: string;
    readonly bytesMax: number;
    readonly spaceLeft: () => number;
  }) {
    this.#fileSystem = options.fileSystem;
    this.#events = options.events;
    this.#parent = options.directory;
    this.#directory = `${options.directory}/${quarantineName}`;
    this.#bytesMax = options.bytesMax;
    this.#spaceLeft = options.spaceLeft;
  }

  /** Bytes of all copies. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** Takes stock of the copies that earlier runs left. Never rejects: evidence is never a reason not to start. */
  async open(): Promise<void> {
    await this.#takeStock().catch(() => mark('quarantine.not_listed'));
  }

  async #takeStock(): Promise<void> {
    const facts = await this.#fileSystem.facts(this.#directory);
    if (facts?.kind !== 'directory') return;
    this.#exists = true;
    for (const entry of await this.#fileSystem.list(this.#directory)) {
      this.#names.add(entry.name);
      this.#byteLength += entry.byteLength;
    }
  }

  /** Copies `[from, to)` of a file aside, one copy after the other. Never rejects. */
  keep(path: string, from: number, to: number): Promise<void> {
    const name = `${path.slice(path.lastIndexOf('/') + 1)}-${from}-${to - from}`;
    if (to <= from || this.#names.has(name)) return this.#queue; // Cut already, or kept already.
    this.#names.add(name);
    this.#queue = this.#queue.then(() => this.#copy(path, from, to, name)).catch(() => mark('quarantine.copy_failed'));
    return this.#queue;
  }

  /** Resolves when no copy is under way. */
  idle(): Promise<void> {
    return this.#queue;
  }

  async #copy(path: string, from: number, to: number, name: string): Promise<void> {
    const byteLength = to - from;
    if (this.#byteLength + byteLength > this.#bytesMax || byteLength > this.#spaceLeft()) {
      mark('quarantine.no_room');
      return;
    }
    await this.#ensureDirectory();
    const target = `${this.#directory}/${name}`;
    const copy = await this.#fileSystem.open(target, 'create');
    this.#byteLength += byteLength; // Counted before it is written: the budget is never passed, not even for a moment.
    try {
      await this.#copyBytes(path, copy, from, to);
      await copy.syncData();
      await this.#fileSystem.syncDirectory(this.#directory);
    } catch (cause) {
      await this.#discard(copy, target, byteLength);
      throw cause;
    }
    await letGo(copy);
    mark('quarantine.kept');
    this.#events.emit('quarantined', { path: target, byteLength });
  }

  /** Evidence that a power cut takes away is none: the directory is durable in its parent first (A5). */
  async #ensureDirectory(): Promise<void> {
    if (!this.#exists) await this.#fileSystem.makeDirectory(this.#directory);
    this.#exists = true;
    if (!this.#nameDurable) await this.#fileSystem.syncDirectory(this.#parent);
    this.#nameDurable = true;
  }

  async #copyBytes(path: string, copy: FileHandle, from: number, to: number): Promise<void> {
    const source = await this.#fileSystem.open(path, 'read');
    try {
      const chunk = new Uint8Array(Math.min(1 * MiB, to - from));
      for (let at = from; at < to; ) {
        const count = await source.read(chunk.subarray(0, Math.min(chunk.length, to - at)), at);
        if (count === 0) return;
        for (let done = 0; done < count; ) {
          done += await copy.write(chunk.subarray(done, count), at - from + done);
        }
        at += count;
      }
    } finally {
      await letGo(source);
    }
  }

  async #discard(copy: FileHandle, target: string, byteLength: number): Promise<void> {
    await letGo(copy);
    await this.#fileSystem.remove(target);
    this.#byteLength -= byteLength;
  }
}
