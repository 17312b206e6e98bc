// Chapter 9, first part. Space: how many bytes the directory takes, and how many more may be admitted.
//
// I9.1  used = every file but the ledger, as it is or as it will be once all that was reserved is written and sealed
// I9.2  after an admission: used <= maxBytes - ledger - one segment in reserve
// I9.3  used is computed from what is there, never counted up and down: it cannot drift and cannot wrap
//
// Next: writer-records.ts.

import type { SegmentFiles } from './committer-files.ts';
import { ledgerBytes } from './ledger-slot.ts';
import type { Limits } from './limits.ts';
import type { LogBuffer } from './log-buffer.ts';
import type { SegmentCatalog } from './segment-catalog.ts';
import type { Quarantine } from './segment-quarantine.ts';

export class Space {
  readonly #limits: Limits;
  readonly #catalog: SegmentCatalog;
  readonly #quarantine: Quarantine;
  readonly #log: LogBuffer;
  readonly #files: SegmentFiles;
  readonly #otherBytes: number;
  #foundBytes = 0;

  constructor(options: {
    readonly limits: Limits;
    readonly catalog: SegmentCatalog;
    readonly quarantine: Quarantine;
    readonly log: LogBuffer;
    readonly files: SegmentFiles;
    /** Files that are neither segment, ledger nor quarantine, as they were at open. */
    readonly otherBytes: number;
  }) {
    this.#limits = options.limits;
    this.#catalog = options.catalog;
    this.#quarantine = options.quarantine;
    this.#log = options.log;
    this.#files = options.files;
    this.#otherBytes = options.otherBytes;
  }

  /** I9.1. */
  get usedBytes(): number {
    const toCome = this.#log.plannedBytes - this.#files.bytesCreated;
    return this.#otherBytes + this.#quarantine.byteLength + this.#catalog.byteLength + toCome;
  }

  /** What the directory takes on disk now, the ledger included. */
  get diskBytes(): number {
    return this.#otherBytes + this.#quarantine.byteLength + this.#catalog.byteLength + ledgerBytes;
  }

  /** What the directory may take: `maxBytes`, or what was found at open if that was more. */
  get boundBytes(): number {
    return Math.max(this.#limits.maxBytes, this.#foundBytes);
  }

  /** Takes what is there now as found at open. */
  takeStock(): void {
    this.#foundBytes = this.diskBytes;
  }

  /** Bytes that may still be admitted; negative when `maxBytes` was lowered below what is there. */
  get headroom(): number {
    return this.#limits.admissionBytes - this.usedBytes;
  }

  /** Bytes that a copy of damaged bytes may take, the open frame's possible growth left out. */
  get evidenceRoom(): number {
    return this.#limits.maxBytes - ledgerBytes - this.usedBytes - this.#limits.frameBytesMax;
  }
}
