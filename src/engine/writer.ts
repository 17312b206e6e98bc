// Chapter 9. The writer decides who may append, gives ids by event count, and rolls from segment to segment.
//
// Everything here is synchronous: between the check that a record fits and its copy into memory nothing else can run,
// so that no two records can be promised the same room and no id is given twice. Only what happens before (waiting for
// room) and after (waiting for the disk) takes time.
//
// I9.4  a record's id is the id of its first event; the next id is id + events; a refused record consumes none (V11,
//       V22)
// I9.5  appends that wait are admitted in the order in which they were called
// I9.6  a frame never spans segments, and a roll happens before the group that needs it is formed (S33, C7)
//
// Next: reader.ts, which hands frames out again.

import { abortable } from '../base/abort.ts';
import { StorageError, UsageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import type { Clock } from '../platform/clock.ts';
import type { Committer } from './committer.ts';
import type { EventHub } from './events.ts';
import { eventsPerFrameMax, recordBytes, recordsPerFrameMax } from './frame.ts';
import type { Limits } from './limits.ts';
import type { LogBuffer, Placement } from './log-buffer.ts';
import type { SegmentHeader } from './segment-header.ts';
import type { Stability } from './stability.ts';
import { checkRecord, closedError, type RecordInput, sizeOfBatch } from './writer-records.ts';
import type { Space } from './writer-space.ts';

/** Why a record was not stored. `buffer_full`: `maxBytes` is reached. `disk_full`: the disk has no room. */
export type DropReason = 'buffer_full' | 'disk_full';

export type AppendResult =
  | { readonly status: 'stored'; readonly recordId: number }
  | { readonly status: 'dropped'; readonly reason: DropReason };

/**
 * `accepted`: copied. `wait`: not now, soon: await `ready`. `full`: the buffer or the disk is full. `too_large`: never.
 */
export type TryAppendResult = 'accepted' | 'wait' | 'full' | 'too_large';

/** Whom the writer asks for room, and tells what was refused. */
export interface WriterObserver {
  /** Policy `drop_oldest` needs room. */
  roomWanted(): void;
  /** A new segment was begun: a good moment for the ledger. */
  rolled(): void;
  dropped(reason: DropReason, events: number, bytes: number): void;
}

interface Wanted {
  readonly records: readonly RecordInput[];
  readonly bodyBytes: number;
  readonly events: number;
  readonly atomic: boolean;
}

interface Waiting<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (cause: unknown) => void;
}

type Outcome = { readonly recordId: number; readonly endId: number } | { readonly dropped: DropReason };
type Pending = Wanted & Waiting<Outcome>;

type Check =
  | { readonly kind: 'fits'; readonly placement: Placement }
  | { readonly kind: 'wait' }
  | { readonly kind: 'full'; readonly reason: DropReason };

const fitsOpenFrame: Check = { kind: 'fits', placement: 'open_frame' };
const wait: Check = { kind: 'wait' };

export class Writer {
  readonly #limits: Limits;
  readonly #clock: Clock;
  readonly #events: EventHub;
  readonly #log: LogBuffer;
  readonly #stability: Stability;
  readonly #committer: Committer;
  readonly #space: Space;
  readonly #nextSegment: (firstId: number) => SegmentHeader;
  readonly #observer: WriterObserver;
  readonly #queue: Pending[] = [];
  /** Why nothing is taken any more: the buffer was closed. */
  #closed: UsageError | undefined;
  /** Whether the epoch is durable, without which nothing may be accepted. */
  #epochDurable = false;
  /** What `tryAppend` refused last, and who waits until it fits. They hold up no append, which a policy may refuse. */
  #refused = { bodyBytes: recordBytes(0), events: 1 };
  readonly #ready: Waiting<void>[] = [];
  #fullReported = false;
  #progressing = false;

  constructor(options: {
    readonly limits: Limits;
    readonly clock: Clock;
    readonly events: EventHub;
    readonly log: LogBuffer;
    readonly stability: Stability;
    readonly committer: Committer;
    readonly space: Space;
    /** Makes the header of the segment that begins with this record id. */
    readonly nextSegment: (firstId: number) => SegmentHeader;
    readonly observer: WriterObserver;
  }) {
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#log = options.log;
    this.#stability = options.stability;
    this.#committer = options.committer;
    this.#space = options.space;
    this.#nextSegment = options.nextSegment;
    this.#observer = options.observer;
  }

  /** How many wait for room, to append or to be told that they can. */
  get waiting(): number {
    return this.#queue.length + this.#ready.length;
  }

  /** The ledger holds this epoch: records may be accepted. */
  allowAppends(): void {
    this.#epochDurable = true;
    this.progress();
  }

  /** HOT. Appends without waiting and without a promise. Throws when the buffer is closed or failed. */
  tryAppend(payload: Uint8Array, events: number, metadata: number): TryAppendResult {
    checkRecord(payload, events, metadata);
    const bytes = recordBytes(payload.length);
    if (this.#queue.length === 0 && this.#log.fits(bytes, events) && this.#closed === undefined) {
      if (this.#committer.state.kind === 'failed') throw this.#refusal();
      this.#append(payload, events, metadata);
      return 'accepted';
    }
    return this.#tryAppendSlowly(payload, bytes, events, metadata);
  }

  /** Resolves when `tryAppend` of the record it refused last can succeed. */
  async ready(signal?: AbortSignal): Promise<void> {
    this.#checkOpen(signal);
    const promise = new Promise<void>((resolve, reject) => this.#ready.push({ resolve, reject }));
    this.progress();
    await (signal === undefined ? promise : abortable(promise, signal));
  }

  /** Appends one record and resolves when the buffer's promise holds for it. */
  async append(record: RecordInput, signal?: AbortSignal): Promise<AppendResult> {
    const { payload, events = 1, metadata = 0 } = record;
    checkRecord(payload, events, metadata);
    const bodyBytes = recordBytes(payload.length);
    if (bodyBytes > this.#limits.maxRecordBytes) throw this.#tooLarge(bodyBytes);
    this.#checkOpen(signal);
    // The common case: nobody waits and it fits. No queue, no array.
    if (this.#queue.length === 0) {
      const check = this.#check(bodyBytes, events, false);
      if (check.kind === 'fits') {
        this.#place(bodyBytes, check.placement);
        const recordId = this.#append(payload, events, metadata);
        await this.#kept(recordId + events, signal);
        return { status: 'stored', recordId };
      }
    }
    return await this.#appendLater({ records: [record], bodyBytes, events, atomic: false }, signal);
  }

  /** Appends all of the records as one frame, or none. The result's id is the first record's. */
  async appendBatch(records: readonly RecordInput[], signal?: AbortSignal): Promise<AppendResult> {
    const { bodyBytes, events } = sizeOfBatch(records);
    const tooMany = records.length > recordsPerFrameMax || events > eventsPerFrameMax;
    if (tooMany || bodyBytes > this.#limits.maxRecordBytes) throw this.#tooLarge(bodyBytes);
    this.#checkOpen(signal);
    return await this.#appendLater({ records: [...records], bodyBytes, events, atomic: true }, signal);
  }

  /** Memory, room or state changed: those who wait are looked at again, in order. */
  progress(): void {
    if (this.#progressing) return; // A listener of an event came back to us: the loop below goes on for it.
    this.#progressing = true;
    while (this.#queue.length > 0) {
      const refusal = this.#refusal();
      const pending = this.#queue[0] as Pending;
      if (refusal !== undefined) pending.reject(refusal);
      else if (!this.#settle(pending)) break;
      this.#queue.shift();
    }
    if (this.#ready.length > 0) this.#admitReady(); // Last: what waits in the queue came before them.
    this.#progressing = false;
  }

  /** Takes nothing any more; whoever waits for room is rejected. */
  close(): void {
    this.#closed ??= closedError();
    this.progress();
  }

  #tryAppendSlowly(payload: Uint8Array, bytes: number, events: number, metadata: number): TryAppendResult {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    if (bytes > this.#limits.maxRecordBytes) return 'too_large';
    const check = this.#queue.length > 0 ? wait : this.#check(bytes, events, false);
    if (check.kind === 'fits') {
      this.#place(bytes, check.placement);
      this.#append(payload, events, metadata);
      return 'accepted';
    }
    this.#refused = { bodyBytes: bytes, events };
    if (check.kind === 'wait') return 'wait';
    this.#reportFull();
    if (this.#limits.whenFull !== 'drop_oldest') return 'full';
    this.#observer.roomWanted();
    return 'wait';
  }

  async #appendLater(wanted: Wanted, signal?: AbortSignal): Promise<AppendResult> {
    const outcome = await this.#enqueue(wanted, signal);
    if ('dropped' in outcome) return { status: 'dropped', reason: outcome.dropped };
    await this.#kept(outcome.endId, signal);
    return { status: 'stored', recordId: outcome.recordId };
  }

  async #enqueue(wanted: Wanted, signal: AbortSignal | undefined): Promise<Outcome> {
    let leave: (() => void) | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const pending: Pending = { ...wanted, resolve, reject };
        this.#queue.push(pending);
        if (this.#queue.length === 1) this.progress();
        leave = () => this.#leave(pending, signal?.reason);
        signal?.addEventListener('abort', leave);
      });
    } finally {
      if (leave !== undefined) signal?.removeEventListener('abort', leave);
    }
  }

  #admitReady(): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) for (const { reject } of this.#ready.splice(0)) reject(refusal);
    if (this.#queue.length > 0) return;
    const check = this.#check(this.#refused.bodyBytes, this.#refused.events, false);
    if (check.kind === 'fits') for (const { resolve } of this.#ready.splice(0)) resolve();
    else if (check.kind === 'full' && this.#limits.whenFull === 'drop_oldest') this.#observer.roomWanted();
  }

  #leave(pending: Pending, reason: unknown): void {
    const at = this.#queue.indexOf(pending);
    if (at < 0) return; // Already admitted: what is in the log cannot be called back.
    this.#queue.splice(at, 1);
    pending.reject(reason);
    if (at === 0) this.progress();
  }

  /** Settles a waiting append if that is possible now. */
  #settle(pending: Pending): boolean {
    const check = this.#check(pending.bodyBytes, pending.events, pending.atomic);
    if (check.kind === 'wait') return false;
    if (check.kind === 'full') return this.#applyPolicy(pending, check.reason);
    this.#place(pending.bodyBytes, check.placement);
    const recordId = this.#log.nextId;
    for (const { payload, events = 1, metadata = 0 } of pending.records) this.#append(payload, events, metadata);
    if (pending.atomic) this.#log.closeFrame(this.#durableId, false);
    pending.resolve({ recordId, endId: this.#log.nextId });
    return true;
  }

  #applyPolicy(pending: Pending, reason: DropReason): boolean {
    this.#reportFull();
    switch (this.#limits.whenFull) {
      case 'block':
        return false;
      case 'drop_oldest':
        this.#observer.roomWanted();
        return false;
      // Refused at the end of the tick: a loop of refused appends must not keep the disk from making room.
      case 'reject': {
        const full = this.#fullError(reason);
        this.#clock.defer(() => pending.reject(full));
        return true;
      }
      case 'drop_newest': {
        let bytes = 0;
        for (const record of pending.records) bytes += record.payload.length;
        this.#observer.dropped(reason, pending.events, bytes);
        this.#clock.defer(() => pending.resolve({ dropped: reason }));
        return true;
      }
    }
  }

  #check(bodyBytes: number, events: number, atomic: boolean): Check {
    if (!atomic && this.#log.fits(bodyBytes, events)) return fitsOpenFrame;
    if (!this.#epochDurable) return wait;
    const placement = this.#log.placementOfFrame(bodyBytes);
    if (this.#space.headroom < this.#log.costOfFrame(bodyBytes, placement)) {
      return { kind: 'full', reason: 'buffer_full' };
    }
    if (this.#log.hasMemoryFor(bodyBytes, placement)) return { kind: 'fits', placement };
    return this.#committer.state.kind === 'stalled' ? { kind: 'full', reason: 'disk_full' } : wait;
  }

  /** Makes the place that a successful check named. */
  #place(bodyBytes: number, placement: Placement): void {
    if (placement === 'open_frame') return;
    if (placement === 'new_segment') this.#roll();
    else this.#log.closeFrame(this.#durableId, false);
    const spare = this.#space.headroom - this.#log.costOfFrame(bodyBytes, 'new_frame');
    const room = bodyBytes + Math.max(0, spare - (spare % 8));
    this.#log.openFrame(bodyBytes, placement, room - (room % 8), this.#clock.now());
    if (placement === 'new_frame') return;
    this.#stability.closeGroups();
    this.#committer.slotFilled();
  }

  #roll(): void {
    if (this.#log.segment !== undefined) mark('writer.rolled');
    this.#log.sealSegment(this.#durableId, this.#clock.now());
    this.#log.startSegment(this.#nextSegment(this.#log.nextId));
    this.#observer.rolled();
  }

  #append(payload: Uint8Array, events: number, metadata: number): number {
    const recordId = this.#log.append(payload, events, metadata);
    this.#stability.reserve(recordId + events);
    this.#committer.appended();
    this.#fullReported = false;
    return recordId;
  }

  /**
   * Resolves when the buffer's promise holds for everything below `endId`; undefined if it does. Not an async function:
   * the promise of the group is enough, another one for each record costs up to a seventh of the append.
   */
  #kept(endId: number, signal: AbortSignal | undefined): Promise<void> | undefined {
    const promise = this.#promise(endId);
    return promise === undefined || signal === undefined ? promise : abortable(promise, signal);
  }

  #promise(endId: number): Promise<void> | undefined {
    switch (this.#limits.durability) {
      case 'memory':
        return undefined;
      case 'os':
      case 'interval':
        return this.#committer.reachWritten(endId);
      case 'sync':
        return this.#committer.reachDurable(endId);
    }
  }

  get #durableId(): number {
    return this.#stability.durable.value - 1;
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    signal?.throwIfAborted();
  }

  #refusal(): unknown {
    const state = this.#committer.state;
    return this.#closed ?? (state.kind === 'failed' ? state.cause : undefined);
  }

  #reportFull(): void {
    if (this.#fullReported) return;
    this.#fullReported = true;
    mark('writer.full');
    this.#events.emit('full', { usedBytes: this.#space.usedBytes });
  }

  #fullError(reason: DropReason): StorageError {
    const found =
      reason === 'disk_full'
        ? 'the disk has no room and memory is used up'
        : `${this.#space.usedBytes} bytes are used of the ${this.#limits.admissionBytes} that maxBytes ` +
          `${this.#limits.maxBytes} leaves for records`;
    return new StorageError({
      kind: 'full',
      operation: 'append',
      path: '',
      message:
        `Cannot append (${reason}): ${found}. The record was not stored; append it again when consumers ` +
        'have acknowledged more',
    });
  }

  #tooLarge(bodyBytes: number): UsageError {
    return new UsageError({
      code: 'SPILLWAY_USAGE_TOO_LARGE',
      message:
        `Cannot append ${bodyBytes} bytes (headers included): this buffer takes at most ` +
        `${this.#limits.maxRecordBytes} bytes, ${recordsPerFrameMax} records and ${eventsPerFrameMax} ` +
        'events at once. Raise segmentBytes or split the record',
    });
  }
}
