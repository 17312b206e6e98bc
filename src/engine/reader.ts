// Chapter 10. The reader hands out frames in record order: from memory when it keeps up, from files when it is behind.
//
// What it hands out is a private copy of a frame, valid as long as somebody holds it. It stops at the readable frontier
// and never waits by itself: `next` answers at once, and says `load` when it needs the disk first.
//
//   position ---frame---> next frame                      same segment
//            ---damage--> quarantine, report, go on        the ids that are missing become a gap
//            ---end-----> first frame of the next segment
//            ---wait----> the readable frontier
//
// I10.1  frames come with ascending ids; where ids are missing a gap says so, exactly
// I10.2  a position never moves past the readable frontier
// I10.3  a segment's ids end where the next segment's header begins: what lies beyond was never promised to anybody and
//        may share its ids with records of a later epoch
// I10.4  a read that fails moves nothing; after three tries the blocks that cannot be read count as damage
//
// Next: ordered-finalizer.ts, what becomes of what was handed out.

import { DamageError, type FormatError, isStorageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import { alignDown } from '../base/units.ts';
import type { Clock } from '../platform/clock.ts';
import type { FileSystem } from '../platform/file-system.ts';
import type { EventHub, LogPosition } from './events.ts';
import { frameAlignment, readOwnFrame } from './frame.ts';
import type { LogBuffer } from './log-buffer.ts';
import type { TailWindow } from './log-buffer-slots.ts';
import { copyFrame, endIdOf, type FrameCopy, type OpenFile, walkOf } from './reader-file.ts';
import { isUnopened, letGo, newerFormat, type Segment, type SegmentCatalog } from './segment-catalog.ts';
import { segmentHeaderBytes } from './segment-header.ts';
import type { Quarantine } from './segment-quarantine.ts';
import type { WalkStep } from './segment-walk.ts';

/** Tries before blocks that cannot be read count as damage, and the wait before the second of them. */
const readTriesMax = 3;
const retryMsFirst = 100;
const retryMsMax = 10_000;

export type ReadStep =
  | { readonly kind: 'frame'; readonly copy: FrameCopy }
  /** The events [from, to) are not on the disk any more. */
  | { readonly kind: 'gap'; readonly from: number; readonly to: number }
  /** The disk is needed: await `load`, then ask again. */
  | { readonly kind: 'load' }
  /** Everything readable has been handed out. */
  | { readonly kind: 'wait' }
  /** A newer program is needed to go on. */
  | { readonly kind: 'newer'; readonly error: FormatError };

/** Where a reader begins. The place is a hint: only the id is certain. */
export interface ReadStart {
  readonly segment: number;
  readonly offset: number;
  readonly nextId: number;
}

/** What all readers of a buffer share. */
export interface ReadContext {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly events: EventHub;
  readonly catalog: SegmentCatalog;
  readonly log: LogBuffer;
  readonly quarantine: Quarantine;
  /** Everything below this id may be handed out. */
  readonly readableId: () => number;
  /** Where the written part of the log ends. */
  readonly written: () => LogPosition;
}

const load: ReadStep = { kind: 'load' };
const waitStep: ReadStep = { kind: 'wait' };

export class LogReader {
  readonly #context: ReadContext;
  #segment: number;
  #offset: number;
  #nextId: number;
  /** Whether the place is still the unverified hint. */
  #hinted = true;
  #open: OpenFile | undefined;
  #isLoading = false;
  #pending: FrameCopy | undefined;
  /** The segment whose header or file is wanted now: what three tries are made for. */
  #wantedNow: Segment | undefined;
  #tries = 0;
  #retryAt = 0;

  constructor(context: ReadContext, start: ReadStart) {
    this.#context = context;
    this.#segment = start.segment;
    this.#offset = start.offset;
    this.#nextId = start.nextId;
  }

  /** Where the next frame is expected. */
  get position(): ReadStart {
    return { segment: this.#segment, offset: this.#offset, nextId: this.#nextId };
  }

  /** The next thing in the log, without waiting. */
  next(): ReadStep {
    for (;;) {
      const readableId = this.#context.readableId();
      if (this.#nextId >= readableId) return waitStep;
      const step = this.#pending === undefined ? this.#further(readableId) : this.#handOut(this.#pending);
      if (step !== undefined) return step;
    }
  }

  #further(readableId: number): ReadStep | undefined {
    const tail = this.#hinted ? undefined : this.#context.log.find(this.#segment, this.#offset);
    return tail === undefined ? this.#fromFile(readableId) : this.#fromTail(tail);
  }

  /**
   * Does what the last `load` step asked for. Rejects with StorageError, after which the reader stands where it
   * stood.
   */
  async load(): Promise<void> {
    const delayMs = this.#retryAt - this.#context.clock.monotonic();
    if (this.#tries > 0 && delayMs > 0) {
      await new Promise<void>((resolve) => this.#context.clock.setTimer(delayMs, resolve));
    }
    this.#isLoading = true;
    try {
      const open = this.#open;
      if (open === undefined || open.segment !== this.#wanted) await this.#openSegment();
      else await open.walk.load();
      this.#tries = 0;
    } catch (cause) {
      if (!isStorageError(cause, 'io') && !isStorageError(cause, 'missing')) throw cause;
      this.#tries += 1;
      const delayMs = Math.min(retryMsFirst * 2 ** (this.#tries - 1), retryMsMax);
      this.#retryAt = this.#context.clock.monotonic() + delayMs;
      mark('reader.read_failed');
      if (this.#tries >= readTriesMax && !isUnopened(cause)) await this.#giveUpOnBlocks();
      throw cause;
    } finally {
      this.#isLoading = false;
    }
  }

  /** Goes on at another place, at or behind the present one. */
  async seek(start: ReadStart): Promise<void> {
    this.#segment = start.segment;
    this.#offset = start.offset;
    this.#nextId = start.nextId;
    this.#hinted = false;
    this.#pending = undefined;
    await this.close();
  }

  /** The segment is gone, and the disk has its bytes back once nobody has the file open. */
  async letGo(segment: number): Promise<void> {
    // Whoever loads is on its way to the next file, and closes this one then.
    if (this.#open?.segment.number === segment && !this.#isLoading) await this.close();
  }

  /** Gives the descriptor back; reading may go on afterwards. */
  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) await letGo(open.file);
  }

  // From memory.

  #fromTail(window: TailWindow): ReadStep | undefined {
    const at = this.#offset - window.base;
    const frame = readOwnFrame(window.view, at);
    const offset = this.#offset;
    const segment = this.#segment;
    if (frame.seal) this.#moveTo(segment + 1, segmentHeaderBytes);
    else this.#offset = offset + frame.byteLength;
    if (frame.nextId <= this.#nextId) return undefined; // A seal, or what lies before this cursor's start.
    return this.#handOut(copyFrame(window.memory.bytes, at, frame, segment, offset, window.segment.epoch));
  }

  // From files.

  #fromFile(readableId: number): ReadStep | undefined {
    const segment = this.#wanted;
    if (segment === undefined) return this.#gapTo(readableId); // Nothing is left of what should be there.
    if (segment.state === 'newer') return { kind: 'newer', error: newerFormat(segment.path) };
    const open = this.#open;
    if (open?.segment !== segment) return load;
    const step = open.walk.next();
    switch (step.kind) {
      case 'load':
        return load;
      case 'frame':
        return this.#takeFrame(step, segment);
      case 'damage':
        return this.#takeDamage(step, open);
      case 'unknown_frame':
        return { kind: 'newer', error: newerFormat(segment.path) };
      case 'end':
        return this.#atEnd(open, step, readableId);
    }
  }

  /** The segment in which to read on. */
  get #wanted(): Segment | undefined {
    const { catalog } = this.#context;
    return catalog.from(this.#segment) ?? (this.#hinted ? catalog.last : undefined);
  }

  #takeFrame(step: Extract<WalkStep, { kind: 'frame' }>, segment: Segment): ReadStep | undefined {
    const { frame, offset } = step;
    // A seal has the id that comes next.
    if (frame.recordCount > 0 && frame.firstId >= (this.#open?.endId ?? Number.POSITIVE_INFINITY)) {
      mark('reader.superseded'); // I10.3
      return this.#nextSegment();
    }
    if (this.#hinted && frame.firstId > this.#nextId) return this.#distrustHint();
    this.#hinted = false;
    this.#offset = offset + frame.byteLength;
    if (frame.nextId <= this.#nextId) return undefined;
    const epoch = segment.header?.epoch ?? 0;
    return this.#handOut(copyFrame(step.bytes, step.start, frame, segment.number, offset, epoch));
  }

  #takeDamage(step: Extract<WalkStep, { kind: 'damage' }>, open: OpenFile): undefined {
    if (this.#hinted) return this.#distrustHint();
    const { segment, file, end } = open;
    this.#report(segment, step.from, step.to);
    this.#offset = step.to;
    // The tries were for these blocks: the next ones that fail have three of their own.
    if (step.unreadable) open.walk = walkOf(segment, file, step.to, end, 'reject');
  }

  /** What lies at the hint does not belong there: the segment is read from its beginning. */
  #distrustHint(): undefined {
    mark('reader.hint_wrong');
    this.#moveTo(this.#segment, segmentHeaderBytes);
    this.#open?.walk.seek(segmentHeaderBytes);
  }

  #atEnd(open: OpenFile, step: Extract<WalkStep, { kind: 'end' }>, readableId: number): ReadStep | undefined {
    const { segment } = open;
    if (open.end < segment.byteLength) {
      open.end = segment.byteLength; // The file grew since the walk last looked.
      open.walk.extend(segment.byteLength);
      return undefined;
    }
    if (this.#hinted && this.#nextId < open.endId) return this.#distrustHint();
    if (!segment.complete) return this.#missingWhileFilled(open, step.offset, readableId);
    if (step.tail === 'bytes' || step.tail === 'unreadable') this.#report(segment, step.offset, segment.byteLength);
    if (this.#context.catalog.after(segment.number) !== undefined) return this.#nextSegment();
    this.#moveTo(segment.number + 1, segmentHeaderBytes);
    return this.#gapTo(readableId);
  }

  /** All that is written was looked at, and readable records are not there: they rotted while the file was filled. */
  #missingWhileFilled(open: OpenFile, from: number, readableId: number): ReadStep {
    mark('reader.rotted_while_filled');
    const written = this.#context.written();
    if (written.segment !== open.segment.number) return this.#gapTo(readableId);
    this.#report(open.segment, from, written.offset);
    this.#offset = written.offset;
    open.walk.seek(written.offset);
    return this.#gapTo(written.nextId);
  }

  #nextSegment(): undefined {
    const next = this.#context.catalog.after(this.#segment);
    this.#moveTo(next?.number ?? this.#segment + 1, segmentHeaderBytes);
    return undefined;
  }

  #moveTo(segment: number, offset: number): void {
    this.#segment = segment;
    this.#offset = offset;
    this.#hinted = false;
  }

  async #openSegment(): Promise<void> {
    await this.close();
    const { catalog, fileSystem } = this.#context;
    const segment = this.#hinted ? await this.#locate() : catalog.from(this.#segment);
    if (segment === undefined) return;
    await this.#describe(segment);
    const next = catalog.after(segment.number);
    if (segment.complete && next !== undefined) await catalog.describe(next).catch(() => undefined);
    if (segment.state === 'stranger' || segment.state === 'empty') return this.#stepOver(segment);
    if (segment.header === undefined) return; // Newer: the next step says so.
    const endId = endIdOf(segment, next);
    if (endId <= this.#nextId) return this.#stepOver(segment); // Everybody may have passed it: it may be gone already.
    const end = segment.byteLength;
    const isPlace = this.#offset >= segmentHeaderBytes && this.#offset <= end && this.#offset % frameAlignment === 0;
    if (segment.number !== this.#segment || !isPlace) this.#offset = segmentHeaderBytes;
    this.#segment = segment.number;
    const file = await fileSystem.open(segment.path, 'read').catch((cause: unknown) => {
      if (catalog.at(segment.number) === segment) throw cause;
      return undefined; // A repair has removed it meanwhile: the next step finds what follows.
    });
    if (file === undefined) return;
    const from = Math.min(this.#offset, alignDown(end, frameAlignment));
    this.#open = { segment, file, walk: walkOf(segment, file, from, end, 'reject'), end, endId };
  }

  /** The segment that the hint names if it can be right, otherwise the youngest one that can hold the id. */
  async #locate(): Promise<Segment | undefined> {
    const { catalog } = this.#context;
    let segment = catalog.from(this.#segment) ?? catalog.last;
    while (segment !== undefined) {
      await this.#describe(segment);
      const before = catalog.before(segment.number);
      if (before === undefined || (segment.header?.firstId ?? Number.POSITIVE_INFINITY) <= this.#nextId) break;
      mark('reader.relocated');
      segment = before;
    }
    return segment === undefined ? undefined : await this.#forward(segment);
  }

  /** What ends at or below the id is not wanted, and may be being freed at this moment. */
  async #forward(from: Segment): Promise<Segment> {
    const { catalog } = this.#context;
    let segment = from;
    for (let next = catalog.after(from.number); next !== undefined; next = catalog.after(segment.number)) {
      await catalog.describe(next).catch(() => undefined);
      if (next.state === 'stranger') continue; // Known as one now: it is left out.
      const firstId = next.header?.firstId ?? 0;
      if (firstId === 0 || firstId > this.#nextId) break;
      segment = next;
    }
    return segment;
  }

  async #describe(segment: Segment): Promise<void> {
    this.#wantedNow = segment;
    await this.#context.catalog.describe(segment);
  }

  /** The third try failed as well: from now on what cannot be read is damage, and reading goes on behind it. */
  async #giveUpOnBlocks(): Promise<void> {
    mark('reader.blocks_given_up');
    const open = this.#open;
    if (open !== undefined) {
      open.end = open.segment.byteLength;
      open.walk = walkOf(open.segment, open.file, open.walk.offset, open.end, 'damage');
    } else if (this.#wantedNow !== undefined) await this.#context.catalog.giveUp(this.#wantedNow);
  }

  #stepOver(segment: Segment): void {
    if (segment.state === 'empty' && segment.byteLength > 0) this.#report(segment, 0, segment.byteLength);
    this.#segment = segment.number;
    this.#nextSegment();
  }

  // Handing out.

  #handOut(copy: FrameCopy): ReadStep | undefined {
    const { firstId, nextId, recordCount } = copy.frame;
    if (firstId > this.#nextId) {
      this.#pending = copy; // It may lie beyond what is readable: then only so much of the gap is certain (I10.2).
      return this.#gapTo(Math.min(firstId, this.#context.readableId()));
    }
    this.#pending = undefined;
    if (recordCount === 0) return undefined; // A seal behind a gap: nobody could ever settle it.
    this.#nextId = nextId;
    return { kind: 'frame', copy };
  }

  #gapTo(to: number): ReadStep {
    const from = this.#nextId;
    this.#nextId = to;
    mark('reader.gap');
    return { kind: 'gap', from, to };
  }

  #report(segment: Segment, from: number, to: number): void {
    void this.#context.quarantine.keep(segment.path, from, to);
    this.#context.events.emit(
      'damage',
      new DamageError({
        code: 'SPILLWAY_DAMAGE_FRAME',
        path: segment.path,
        offset: from,
        byteLength: to - from,
        message:
          `Bytes ${from} to ${to} of ${segment.path} are not the frames that were written there. ` +
          'Reading goes on behind them; the bytes are kept in quarantine if there is room',
      }),
    );
  }
}
