// Chapter 13, continued. The reclaimer frees segments that every cursor has passed, and makes room by policy.
//
// I13.1  a segment is freed only when the last two successful publishes, one in each slot, both place every cursor
//        behind it, and every cursor is behind it now. A damaged newer slot then costs repeats, never a false loss, and
//        never an id that is given twice.
// I13.2  the segment being filled is never freed, nor one under repair, nor one that only a newer program can judge,
//        nor a stranger
// I13.3  freeing needs no space
// I13.4  a power cut undoes the last removal at most: it never brings a segment back and leaves out one behind it,
//        whose records, long acknowledged, would then look lost
//
// Next: disk-buffer-core.ts.

import { isStorageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { FileSystem } from '../platform/file-system.ts';
import type { Committer } from './committer.ts';
import { type CursorSet, floorOf } from './disk-buffer-cursors.ts';
import type { EventHub } from './events.ts';
import { createRecordTable, decodeRecords, frameHeaderBytes } from './frame.ts';
import type { Ledger } from './ledger.ts';
import type { LedgerPublisher } from './ledger-publisher.ts';
import type { LogBuffer } from './log-buffer.ts';
import type { Cursor } from './ordered-finalizer-cursor.ts';
import { letGo, type Segment, type SegmentCatalog } from './segment-catalog.ts';
import { segmentHeaderBytes } from './segment-header.ts';
import { SegmentWalk } from './segment-walk.ts';

/** How long whoever wants room waits after a drop that brought none, and a file that could not be removed. */
const againMs = 1_000;

export class Reclaimer {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #events: EventHub;
  readonly #catalog: SegmentCatalog;
  readonly #cursors: CursorSet;
  readonly #log: LogBuffer;
  readonly #ledger: Ledger;
  readonly #publisher: LedgerPublisher;
  readonly #committer: Committer;
  readonly #isUnderRepair: (segment: Segment) => boolean;
  readonly #freed: () => void;
  #freeing: Promise<void> | undefined;
  #freeAgain = false;
  #dropping: Promise<void> | undefined;
  #moving: Promise<boolean> | undefined;
  #dropAgain: Timer | undefined;
  #freeLater: Timer | undefined;
  #stopped = false;
  /** Whether a removal may not be durable; a process before this one may have left one. */
  #removalUnsynced = true;

  constructor(options: {
    readonly fileSystem: FileSystem;
    readonly directory: string;
    readonly clock: Clock;
    readonly events: EventHub;
    readonly catalog: SegmentCatalog;
    readonly cursors: CursorSet;
    readonly log: LogBuffer;
    readonly ledger: Ledger;
    readonly publisher: LedgerPublisher;
    readonly committer: Committer;
    /** Whether a segment is still being repaired; `check` is called when that is over. */
    readonly isUnderRepair: (segment: Segment) => boolean;
    /** Room came back. */
    readonly freed: () => void;
  }) {
    this.#fileSystem = options.fileSystem;
    this.#directory = options.directory;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#catalog = options.catalog;
    this.#cursors = options.cursors;
    this.#log = options.log;
    this.#ledger = options.ledger;
    this.#publisher = options.publisher;
    this.#committer = options.committer;
    this.#isUnderRepair = options.isUnderRepair;
    this.#freed = options.freed;
  }

  /** A ledger was published, or a cursor removed: frees what may be freed now. */
  check(): void {
    if (this.#stopped) return;
    if (this.#freeing !== undefined) {
      this.#freeAgain = true;
      return;
    }
    this.#freeing = this.#freeAll().finally(() => {
      this.#freeing = undefined;
      if (!this.#freeAgain) return;
      this.#freeAgain = false;
      this.check();
    });
  }

  /** Resolves when nothing is being freed. */
  async idle(): Promise<void> {
    while (this.#freeing !== undefined) await this.#freeing;
  }

  /** Policy `drop_oldest`: gives up the oldest segment that is not being filled, whoever has not read it. */
  makeRoom(): void {
    if (this.#stopped || this.#dropAgain !== undefined) return;
    this.#dropping ??= this.#dropOldest()
      .catch(() => false)
      .then((dropped) => {
        this.#dropping = undefined;
        if (dropped) this.#freed();
        else this.#dropLater();
      });
  }

  /** Whoever waits for room asks again as soon as it is told of any: without a pause that would never end. */
  #dropLater(): void {
    mark('reclaimer.nothing_dropped');
    if (this.#stopped) return;
    this.#dropAgain = this.#clock.setTimer(againMs, () => {
      this.#dropAgain = undefined;
      this.#freed();
    });
  }

  /** Frees and drops nothing any more; resolves when what is under way is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#dropAgain?.cancel();
    this.#freeLater?.cancel();
    await this.#moving?.catch(() => false);
    await this.idle();
  }

  /** Perhaps nothing changes any more that would call `check`: everybody may be waiting for this very room. */
  #checkLater(): undefined {
    if (this.#stopped) return;
    this.#freeLater ??= this.#clock.setTimer(againMs, () => {
      this.#freeLater = undefined;
      this.check();
    });
  }

  async #freeAll(): Promise<void> {
    for (const segment of [...this.#catalog.segments]) {
      if (this.#catalog.at(segment.number) !== segment) continue; // A repair has removed it meanwhile.
      if (!segment.complete || this.#isUnderRepair(segment)) return;
      const endId = await this.#endIdOf(segment).catch(() => this.#checkLater());
      if (this.#stopped) return;
      if (endId === undefined) continue; // Not ours to free: what lies behind it may be.
      const slots = this.#ledger.settled.map(floorOf);
      const now = this.#cursors.slowest.nextId;
      if (Math.min(...slots, now) < endId) {
        // The newer slot allows it already: one more publish and both do.
        if (Math.max(...slots) >= endId && now >= endId) this.#publisher.changed();
        return;
      }
      if (!(await this.#free(segment))) return;
    }
  }

  /** The id at which the segment ends, undefined if it is not ours to free. */
  async #endIdOf(segment: Segment): Promise<number | undefined> {
    await this.#catalog.describe(segment);
    if (segment.state === 'stranger' || segment.state === 'newer') return undefined; // I13.2
    let next = this.#catalog.after(segment.number);
    for (; next !== undefined; next = this.#catalog.after(next.number)) {
      await this.#catalog.describe(next);
      const firstId = next.header?.firstId ?? 0;
      if (firstId > 0) return firstId; // Otherwise nothing of it is left: it ends where the one behind begins, at most.
    }
    return this.#log.segment?.firstId ?? this.#log.nextId;
  }

  async #free(segment: Segment): Promise<boolean> {
    segment.leaving = true; // At once: a cursor that is added while the file goes must not begin in it.
    await this.#committer.betweenSyncs(); // Removing a large file beside a sync makes the sync wait for it.
    try {
      await this.#remove(segment);
    } catch {
      mark('reclaimer.remove_failed');
      segment.leaving = false;
      this.#checkLater();
      return false;
    }
    this.#catalog.remove(segment);
    // A full disk has its room back when the last descriptor is closed, and a reader that waits may have one.
    await Promise.all(this.#cursors.all.map((cursor) => cursor.letGo(segment.number)));
    this.#events.emit('segment_freed', { segment: segment.number, byteLength: segment.byteLength });
    this.#freed();
    return true;
  }

  /** I13.4: the removal before this one is durable first. */
  async #remove(segment: Segment): Promise<void> {
    if (this.#removalUnsynced) await this.#fileSystem.syncDirectory(this.#directory);
    this.#removalUnsynced = true;
    try {
      await this.#fileSystem.remove(segment.path);
    } catch (cause) {
      if (!isStorageError(cause, 'missing')) throw cause;
    }
  }

  /** Resolves with whether there was room to be had. */
  async #dropOldest(): Promise<boolean> {
    const oldest = await this.#oldestToDrop();
    if (oldest === undefined || this.#stopped) return false; // Stopped: nothing is dropped that no ledger would say.
    const { segment, endId } = oldest;
    const lagging = this.#cursors.all.filter((cursor) => cursor.nextId < endId);
    this.#moving = lagging.length === 0 ? undefined : this.#moveBehind(segment, endId, lagging);
    if ((await this.#moving) === false || this.#stopped) return false;
    // Twice, so that both slots say it (I13.1); a ledger that cannot be published keeps everybody waiting, as a full
    // disk would.
    await this.#publisher.publish();
    await this.#publisher.publish();
    this.check();
    await this.idle();
    return this.#catalog.at(segment.number) !== segment;
  }

  async #oldestToDrop(): Promise<{ readonly segment: Segment; readonly endId: number } | undefined> {
    for (const segment of [...this.#catalog.segments]) {
      if (this.#catalog.at(segment.number) !== segment) continue; // A repair has removed it meanwhile.
      if (!segment.complete) return undefined;
      const endId = await this.#endIdOf(segment).catch(() => undefined);
      if (endId !== undefined) return { segment, endId };
      if (segment.state === 'newer') return undefined; // No cursor is moved past what a newer program may deliver.
    }
    return undefined;
  }

  async #moveBehind(segment: Segment, endId: number, lagging: readonly Cursor[]): Promise<boolean> {
    for (const cursor of lagging) cursor.pause();
    try {
      const bytes = await this.#unreadBytes(segment, lagging);
      if (bytes === undefined) return false; // Holds what only a newer program can judge.
      mark('reclaimer.dropped_oldest');
      const next = this.#catalog.after(segment.number);
      const place = { segment: next?.number ?? segment.number + 1, offset: segmentHeaderBytes, nextId: endId };
      // The fastest first: the buffer's accounts take an event's fate from the last cursor to pass it.
      const order = [...lagging].sort((one, other) => other.nextId - one.nextId);
      for (const cursor of order) {
        const dropped = await cursor.dropTo(place, bytes.get(cursor) ?? 0);
        this.#events.emit('lost', { reason: 'dropped_oldest', ...dropped, cursor: cursor.name });
      }
      return true;
    } finally {
      for (const cursor of lagging) cursor.resume();
    }
  }

  /** Payload bytes of the records that each cursor has not been handed yet, undefined if the segment must stay. */
  async #unreadBytes(segment: Segment, cursors: readonly Cursor[]): Promise<Map<Cursor, number> | undefined> {
    const bytes = new Map(cursors.map((cursor) => [cursor, 0]));
    const header = segment.header;
    if (header === undefined) return bytes; // No frame is left to count.
    const file = await this.#fileSystem.open(segment.path, 'read').catch(() => undefined);
    if (file === undefined) return bytes; // Ids tell how many events it held; how many bytes, nobody can say.
    try {
      const { salt: marker, alignment } = header;
      const end = segment.byteLength;
      const from = Math.min(segmentHeaderBytes, end - (end % 8));
      const walk = new SegmentWalk({ file, marker, alignment, from, end, unreadable: 'damage' });
      const table = createRecordTable();
      for (;;) {
        const step = walk.next();
        if (step.kind === 'load') await walk.load();
        else if (step.kind === 'unknown_frame') return undefined;
        else if (step.kind === 'end') return bytes;
        else if (step.kind === 'frame') {
          decodeRecords(step.view, step.start + frameHeaderBytes, step.frame.recordCount, table);
          let id = step.frame.firstId;
          for (let record = 0; record < table.recordCount; record++) {
            for (const cursor of cursors) {
              if (id < cursor.unreadId) continue;
              bytes.set(cursor, (bytes.get(cursor) ?? 0) + (table.payloadLengths[record] as number));
            }
            id += table.events[record] as number;
          }
        }
      }
    } finally {
      await letGo(file);
    }
  }
}
