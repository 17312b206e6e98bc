// Chapter 8, first part. The files the committer writes: created, filled, synced and closed in the order of the log.
//
// I8.1  a segment's name and header are durable before its first frame counts as durable (A5)
// I8.2  frames of a segment count as durable only after the last sync of the segment before it
// I8.3  no sync is ever repeated on bytes whose sync failed (A4): the caller condemns the segment instead
//
// All hold because `sync` walks the files oldest first and reports success only when it is through.
//
// Next: committer-stall.ts, what happens while there is no room.

import { assert } from '../base/assert.ts';
import type { FileHandle, FileSystem } from '../platform/file-system.ts';
import type { EventHub } from './events.ts';
import type { WriteJob } from './log-buffer.ts';
import { letGo, type Segment, type SegmentCatalog } from './segment-catalog.ts';
import { encodeSegmentHeader, type SegmentHeader, segmentFileName, segmentHeaderBytes } from './segment-header.ts';

interface OpenSegment {
  readonly segment: Segment;
  readonly file: FileHandle;
  headerWritten: boolean;
  nameDurable: boolean;
  /** The file is durable up to here; it grows at its end only. */
  durableLength: number;
}

export class SegmentFiles {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #catalog: SegmentCatalog;
  readonly #events: EventHub;
  /** Files with bytes that are not durable yet, and the one being filled; oldest first. */
  readonly #open: OpenSegment[] = [];
  #bytesCreated = 0;

  constructor(options: {
    readonly fileSystem: FileSystem;
    readonly directory: string;
    readonly catalog: SegmentCatalog;
    readonly events: EventHub;
  }) {
    this.#fileSystem = options.fileSystem;
    this.#directory = options.directory;
    this.#catalog = options.catalog;
    this.#events = options.events;
  }

  /** Bytes written and not synced, over all files. */
  get unsyncedBytes(): number {
    let sum = 0;
    for (const { segment, durableLength } of this.#open) sum += segment.byteLength - durableLength;
    return sum;
  }

  /** Bytes that the files made here have grown by since open, headers included. */
  get bytesCreated(): number {
    return this.#bytesCreated;
  }

  /** Writes a job in full. After a rejection of kind `full` the same job may be given again. */
  async write(job: WriteJob): Promise<void> {
    const entry = await this.#entryFor(job.segment);
    await this.#writeFully(entry, job.bytes, job.offset);
  }

  /** Makes everything durable whose write had resolved before the call. Rejects at the first failure (I8.3). */
  async sync(): Promise<void> {
    for (const entry of [...this.#open]) {
      const captured = entry.segment.byteLength;
      // Synced and nothing written since: no call at all (S28).
      if (captured === entry.durableLength && entry.nameDurable) continue;
      await entry.file.syncData(); // I8.2: oldest first.
      if (!entry.nameDurable) {
        await this.#fileSystem.syncDirectory(this.#directory);
        entry.nameDurable = true;
      }
      entry.durableLength = captured;
    }
    await this.#closeFinished();
  }

  /** Gives all descriptors back. Makes nothing durable. */
  async close(): Promise<void> {
    for (const entry of this.#open.splice(0)) await letGo(entry.file);
  }

  async #entryFor(header: SegmentHeader): Promise<OpenSegment> {
    let entry = this.#open.at(-1);
    if (entry?.segment.number !== header.segmentNumber) {
      // Jobs come in the order of the log: whatever was filled before has been written in full.
      if (entry !== undefined) entry.segment.complete = true;
      entry = await this.#create(header);
      // Not left to the next sync, which a full disk may put off: once removed, an open file still takes its room.
      await this.#closeFinished();
    }
    if (!entry.headerWritten) {
      await this.#writeFully(entry, encodeSegmentHeader(header), 0);
      entry.headerWritten = true;
      this.#events.emit('segment_created', { segment: header.segmentNumber });
    }
    return entry;
  }

  async #create(header: SegmentHeader): Promise<OpenSegment> {
    const path = `${this.#directory}/${segmentFileName(header.segmentNumber)}`;
    const file = await this.#fileSystem.open(path, 'create');
    const segment = this.#catalog.addCreated(header, path);
    const entry = { segment, file, headerWritten: false, nameDurable: false, durableLength: 0 };
    this.#open.push(entry);
    return entry;
  }

  async #writeFully(entry: OpenSegment, bytes: Uint8Array, offset: number): Promise<void> {
    assert(offset === 0 || offset >= segmentHeaderBytes, 'frames lie behind the header', { offset });
    for (let done = 0; done < bytes.length; ) {
      const count = await entry.file.write(done === 0 ? bytes : bytes.subarray(done), offset + done);
      done += count;
      const grown = Math.max(0, offset + done - entry.segment.byteLength); // 0 where a stalled write is repeated.
      entry.segment.byteLength += grown;
      this.#bytesCreated += grown;
    }
  }

  async #closeFinished(): Promise<void> {
    for (;;) {
      const [entry, next] = this.#open;
      if (entry === undefined || next === undefined || entry.durableLength < entry.segment.byteLength) return;
      this.#open.shift();
      await letGo(entry.file);
    }
  }
}
