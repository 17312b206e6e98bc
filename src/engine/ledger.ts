// Chapter 5, second part. The ledger remembers, across a crash, where writer and cursors are.
//
// Two slots are written in turn: a slot is overwritten in place, a crash may garble it, and then the other one is one
// publish older and whole. Turns change on success only: after a failed publish nobody knows what the slot holds, so
// the same slot is written again, in full, with a higher generation, and the other one stays the safe one. That holds
// across an open as well: what is found is confirmed before the other slot is touched.
//
// I5.1  generations grow with every attempt, successful or not
// I5.2  one publish at a time
// I5.3  `settled` are the contents of the last two successful publishes, one in each slot: what both say, a crash that
//       garbles one of them still says
//
// Next: ledger-publisher.ts, which decides when.

import { assert } from '../base/assert.ts';
import { FormatError, isStorageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import type { FileHandle, FileSystem } from '../platform/file-system.ts';
import { decodeLedgerSlot, encodeLedgerSlot, type LedgerContent, ledgerSlotBytes } from './ledger-slot.ts';
import { letGo, readFully } from './segment-catalog.ts';

export const ledgerName = 'ledger';

const slotTriesMax = 3;

/** What `open` found in the ledger file. */
export interface LedgerReading {
  /** The newest valid slot's content. */
  readonly content: LedgerContent | undefined;
  /** How many of the two slots are valid. */
  readonly validSlots: 0 | 1 | 2;
  /** Whether there was a file at all. */
  readonly existed: boolean;
}

export class Ledger {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #path: string;
  /** Undefined until the first publish creates it: opening needs no space. */
  #file: FileHandle | undefined;
  /** It is before any slot is valid: who finds a valid slot need not sync the name again (A5). */
  #nameDurable = false;
  readonly #settled: [LedgerContent | undefined, LedgerContent | undefined] = [undefined, undefined];
  #generation = 0;
  #nextSlot: 0 | 1 = 0;
  #publishing = false;
  /** The newest slot as it was found, until it is certain that it is on the disk. */
  #found: { readonly slot: 0 | 1; readonly bytes: Uint8Array } | undefined;

  private constructor(fileSystem: FileSystem, directory: string, path: string, file: FileHandle | undefined) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#path = path;
    this.#file = file;
  }

  /**
   * Opens the ledger of a directory; a missing one is created by the first publish. Bytes that cannot be read or
   * decoded count as a bad slot. Rejects with StorageError when the file cannot be opened, with FormatError when a
   * newer version wrote it.
   */
  static async open(fileSystem: FileSystem, directory: string): Promise<{ ledger: Ledger; reading: LedgerReading }> {
    const path = `${directory}/${ledgerName}`;
    const existed = (await fileSystem.facts(path)) !== undefined;
    const file = existed ? await fileSystem.open(path, 'read_write') : undefined;
    const ledger = new Ledger(fileSystem, directory, path, file);
    try {
      const found = file === undefined ? { content: undefined, validSlots: 0 as const } : await ledger.#load(file);
      return { ledger, reading: { ...found, existed } };
    } catch (cause) {
      if (file !== undefined) await letGo(file);
      throw cause;
    }
  }

  /** What the ledger of a directory says, without a change and without the right to make one. Rejects as `open`. */
  static async look(fileSystem: FileSystem, directory: string): Promise<LedgerReading> {
    const path = `${directory}/${ledgerName}`;
    if ((await fileSystem.facts(path)) === undefined) return { content: undefined, validSlots: 0, existed: false };
    const file = await fileSystem.open(path, 'read');
    try {
      const found = await new Ledger(fileSystem, directory, path, undefined).#load(file);
      return { ...found, existed: true };
    } finally {
      await letGo(file);
    }
  }

  /** The newest generation that was tried. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * I5.3. Undefined where this run has not published yet: what an earlier one left in a slot may be in the cache only,
   * after a sync that failed (A4).
   */
  get settled(): readonly [LedgerContent | undefined, LedgerContent | undefined] {
    return this.#settled;
  }

  /**
   * Makes `content` durable. Resolves once it is; rejects with StorageError, after which the same may be tried again.
   */
  async publish(content: LedgerContent): Promise<void> {
    assert(!this.#publishing, 'I5.2: one publish at a time');
    this.#publishing = true;
    const slot = this.#nextSlot;
    this.#generation += 1;
    try {
      this.#file ??= await this.#fileSystem.open(this.#path, 'create');
      if (!this.#nameDurable) await this.#fileSystem.syncDirectory(this.#directory);
      this.#nameDurable = true;
      await this.#confirmFound(this.#file);
      await writeSlot(this.#file, slot, encodeLedgerSlot(this.#generation, content));
      // Crash before here: the other slot still holds.
    } finally {
      this.#publishing = false;
    }
    this.#settled[slot] = content;
    this.#nextSlot = slot === 0 ? 1 : 0;
  }

  /**
   * The slot that was found newest may stand in the cache only, left there by a publish whose sync failed: then the
   * other one is the safe one, and it is about to be overwritten. So the same bytes are written again first (A4).
   */
  async #confirmFound(file: FileHandle): Promise<void> {
    if (this.#found === undefined) return;
    await writeSlot(file, this.#found.slot, this.#found.bytes);
    this.#found = undefined;
  }

  async close(): Promise<void> {
    if (this.#file !== undefined) await letGo(this.#file);
  }

  /** Reads both slots; the next publish goes to the one that is not the newest. */
  async #load(file: FileHandle): Promise<Omit<LedgerReading, 'existed'>> {
    const first = await readSlot(file, 0);
    const second = await readSlot(file, 1);
    const firstIsNewest = first !== undefined && first.generation > (second?.generation ?? 0);
    this.#nextSlot = firstIsNewest ? 1 : 0;
    this.#generation = Math.max(first?.generation ?? 0, second?.generation ?? 0);
    const validSlots = first !== undefined && second !== undefined ? 2 : first === second ? 0 : 1;
    this.#nameDurable = validSlots > 0; // Else whoever made the file may have been killed before its name was synced.
    const newest = firstIsNewest ? first : second;
    if (newest !== undefined) this.#found = { slot: firstIsNewest ? 0 : 1, bytes: newest.bytes };
    return { content: newest?.content, validSlots };
  }
}

/** Writes a slot in full and syncs it. */
async function writeSlot(file: FileHandle, slot: 0 | 1, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += await file.write(bytes.subarray(done), slot * ledgerSlotBytes + done);
  }
  await file.syncData();
}

interface ValidSlot {
  readonly generation: number;
  readonly content: LedgerContent;
  readonly bytes: Uint8Array;
}

/** A cursor's place is worth three tries. Resolves with 0 when none of them reads anything. */
async function readPatiently(file: FileHandle, target: Uint8Array, position: number): Promise<number> {
  for (let tries = 1; ; tries++) {
    try {
      return await readFully(file, target, position);
    } catch (cause) {
      if (!isStorageError(cause, 'io')) throw cause;
      mark('ledger.slot_unreadable');
      if (tries === slotTriesMax) return 0;
    }
  }
}

async function readSlot(file: FileHandle, index: 0 | 1): Promise<ValidSlot | undefined> {
  const bytes = new Uint8Array(ledgerSlotBytes);
  const count = await readPatiently(file, bytes, index * ledgerSlotBytes);
  if (count < bytes.length) return undefined;
  const reading = decodeLedgerSlot(bytes);
  switch (reading.kind) {
    case 'valid':
      return { generation: reading.generation, content: reading.content, bytes };
    case 'bad':
      return undefined;
    case 'unknown':
      throw new FormatError({
        code: 'SPILLWAY_FORMAT_VERSION',
        path: file.path,
        message:
          `Cannot read the ledger ${file.path}: format version ${reading.formatVersion} is newer than ` +
          'this build. Nothing was changed; open the buffer with a newer Spillway',
      });
  }
}
