// Chapter 5, second part. The ledger remembers, across a crash, where writer and cursors are.
//
// Two slots are written in turn: a slot is overwritten in place, a crash may garble it, and then the other one is one
// publish older and whole. Turns change on success only: after a failed publish nobody knows what the slot holds, so the
// same slot is written again, in full, with a higher generation, and the other one stays the safe one.
//
// I5.1  generations grow with every attempt, successful or not
// I5.2  one publish at a time
// I5.3  `settled` are the contents of the last two successful publishes, one in each slot: what both say, a crash that
//       garbles one of them still says
//
// Next: ledger-publisher.ts, which decides when.

import { assert } from '../base/assert.ts';
import { FormatError, isStorageError, StorageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import type { FileHandle, FileSystem } from '../platform/file-system.ts';
import { decodeLedgerSlot, encodeLedgerSlot, type LedgerContent, ledgerSlotBytes } from './ledger-slot.ts';
import { readFully } from './segment-catalog.ts';

export const ledgerName = 'ledger';

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
  readonly #file: FileHandle;
  readonly #settled: [LedgerContent | undefined, LedgerContent | undefined] = [undefined, undefined];
  #generation: number;
  #nextSlot: 0 | 1;
  #publishing = false;

  private constructor(file: FileHandle, generation: number, nextSlot: 0 | 1) {
    this.#file = file;
    this.#generation = generation;
    this.#nextSlot = nextSlot;
  }

  /**
   * Opens or creates the ledger of a directory. Bytes that cannot be read or decoded count as a bad slot. Rejects with
   * StorageError when the file can be neither opened nor created, with FormatError when a newer version wrote it.
   */
  static async open(fileSystem: FileSystem, directory: string): Promise<{ ledger: Ledger; reading: LedgerReading }> {
    const path = `${directory}/${ledgerName}`;
    const { file, existed } = await openOrCreate(fileSystem, path);
    try {
      const slots = [await readSlot(file, 0), await readSlot(file, 1)] as const;
      const newest = newestOf(slots);
      const content = newest === undefined ? undefined : slots[newest]?.content;
      const ledger = new Ledger(
        file,
        newest === undefined ? 0 : (slots[newest]?.generation ?? 0),
        newest === 0 ? 1 : 0,
      );
      ledger.#settled[0] = slots[0]?.content;
      ledger.#settled[1] = slots[1]?.content;
      const validSlots = slots.filter((slot) => slot !== undefined).length as 0 | 1 | 2;
      return { ledger, reading: { content, validSlots, existed } };
    } catch (cause) {
      await file.close();
      throw cause;
    }
  }

  /** The newest generation that was tried. */
  get generation(): number {
    return this.#generation;
  }

  /** I5.3. Undefined where a slot has not been valid yet. */
  get settled(): readonly [LedgerContent | undefined, LedgerContent | undefined] {
    return this.#settled;
  }

  /** Makes `content` durable. Resolves once it is; rejects with StorageError, after which the same may be tried again. */
  async publish(content: LedgerContent): Promise<void> {
    assert(!this.#publishing, 'I5.2: one publish at a time');
    this.#publishing = true;
    const slot = this.#nextSlot;
    this.#generation += 1;
    try {
      const bytes = encodeLedgerSlot(this.#generation, content);
      for (let done = 0; done < bytes.length; ) {
        done += await this.#file.write(bytes.subarray(done), slot * ledgerSlotBytes + done);
      }
      await this.#file.syncData(); // Crash before here: the other slot still holds.
    } finally {
      this.#publishing = false;
    }
    this.#settled[slot] = content;
    this.#nextSlot = slot === 0 ? 1 : 0;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

interface ValidSlot {
  readonly generation: number;
  readonly content: LedgerContent;
}

async function openOrCreate(fileSystem: FileSystem, path: string): Promise<{ file: FileHandle; existed: boolean }> {
  const facts = await fileSystem.facts(path);
  if (facts === undefined) return { file: await fileSystem.open(path, 'create'), existed: false };
  if (facts.kind !== 'file' || facts.worldWritable) {
    throw new StorageError({
      kind: 'unsafe',
      operation: 'open',
      path,
      message: `Cannot use the ledger ${path}: it must be a plain file that the world cannot write to. Remove the link or fix its mode`,
    });
  }
  return { file: await fileSystem.open(path, 'read_write'), existed: true };
}

async function readSlot(file: FileHandle, index: 0 | 1): Promise<ValidSlot | undefined> {
  const bytes = new Uint8Array(ledgerSlotBytes);
  try {
    const count = await readFully(file, bytes, index * ledgerSlotBytes);
    if (count < bytes.length) return undefined;
  } catch (cause) {
    if (!isStorageError(cause, 'io')) throw cause;
    mark('ledger.slot_unreadable');
    return undefined;
  }
  const reading = decodeLedgerSlot(bytes);
  switch (reading.kind) {
    case 'valid':
      return { generation: reading.generation, content: reading.content };
    case 'bad':
      return undefined;
    case 'unknown':
      throw new FormatError({
        code: 'SPILLWAY_FORMAT_VERSION',
        path: file.path,
        message: `Cannot read the ledger ${file.path}: format version ${reading.formatVersion} is newer than this build. Nothing was changed; open the buffer with a newer Spillway`,
      });
  }
}

function newestOf(slots: readonly [ValidSlot | undefined, ValidSlot | undefined]): 0 | 1 | undefined {
  const [first, second] = slots;
  if (first === undefined) return second === undefined ? undefined : 1;
  return second === undefined || first.generation > second.generation ? 0 : 1;
}
