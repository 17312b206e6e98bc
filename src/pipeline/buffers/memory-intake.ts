// Who may append to a buffer in memory, and who has to wait: the door.
//
// Whether there is room is asked and used in one step, so that no room is promised twice. What waits is admitted in the
// order of the calls. With `drop_oldest` room is made at once; nobody waits then.

import { abortable } from '../../base/abort.ts';
import { StorageError, UsageError } from '../../base/errors.ts';
import type { WhenFull } from '../../engine/limits.ts';
import type { AppendResult, TryAppendResult } from '../../engine/writer.ts';
import { checkRecord, closedError, type RecordInput } from '../../engine/writer-records.ts';
import type { Clock } from '../../platform/clock.ts';
import { type MemoryRecords, recordOverheadBytes } from './memory-records.ts';

/** What a record, or a batch, takes. */
interface Size {
  /** As they count against the limit. */
  readonly bytes: number;
  readonly events: number;
}

interface Pending extends Size {
  readonly records: readonly RecordInput[];
  readonly resolve: (recordId: number) => void;
  readonly reject: (cause: unknown) => void;
}

interface IntakeOptions {
  readonly records: MemoryRecords;
  readonly clock: Clock;
  readonly maxBytes: number;
  readonly maxEvents: number;
  readonly whenFull: WhenFull;
  /** Records were appended. */
  readonly appended: () => void;
  /** Removes records, oldest first, until the predicate is true. */
  readonly makeRoom: (isEnough: () => boolean) => void;
  readonly dropped: (events: number, bytes: number) => void;
  /** There was no room, for the first time since there was some. */
  readonly full: () => void;
}

export class MemoryIntake {
  readonly #options: IntakeOptions;
  readonly #queue: Pending[] = [];
  readonly #ready: { resolve(): void; reject(cause: unknown): void }[] = [];
  /** What `tryAppend` refused last. */
  #refused: Size = { bytes: 0, events: 1 };
  #closed: UsageError | undefined;
  #fullReported = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#queue.length + this.#ready.length;
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** HOT. */
  tryAppend(payload: Uint8Array, events: number, metadata: number): TryAppendResult {
    checkRecord(payload, events, metadata);
    const size = { bytes: payload.length + recordOverheadBytes, events };
    const answer = this.#try(size);
    if (answer !== 'accepted') return answer;
    this.#options.records.append(payload, events, metadata);
    this.#appended();
    return answer;
  }

  /** All of them or none. */
  tryAppendBatch(records: readonly RecordInput[]): TryAppendResult {
    const answer = this.#try(sizeOf(records));
    if (answer === 'accepted') this.#place(records);
    return answer;
  }

  async ready(signal?: AbortSignal): Promise<void> {
    this.#checkOpen(signal);
    const promise = new Promise<void>((resolve, reject) => this.#ready.push({ resolve, reject }));
    this.progress();
    await (signal === undefined ? promise : abortable(promise, signal));
  }

  async append(records: readonly RecordInput[], signal?: AbortSignal): Promise<AppendResult> {
    const size = sizeOf(records);
    if (size.bytes > this.#options.maxBytes) throw this.#tooLarge(size.bytes);
    this.#checkOpen(signal);
    if (this.#queue.length === 0 && this.#admit(size)) return { status: 'stored', recordId: this.#place(records) };
    return await this.#refuse(records, size, signal);
  }

  /** Room came: those who wait are looked at again, in order. */
  progress(): void {
    for (let next = this.#queue[0]; next !== undefined && this.#fits(next); next = this.#queue[0]) {
      this.#queue.shift();
      next.resolve(this.#place(next.records));
    }
    if (this.#queue.length > 0 || !this.#fits(this.#refused)) return;
    for (const { resolve } of this.#ready.splice(0)) resolve();
  }

  close(): void {
    const closed = closedError();
    this.#closed ??= closed;
    for (const { reject } of [...this.#queue.splice(0), ...this.#ready.splice(0)]) reject(closed);
  }

  #try(size: Size): TryAppendResult {
    if (this.#closed !== undefined) throw this.#closed;
    if (size.bytes > this.#options.maxBytes) return 'too_large';
    if (this.#queue.length === 0 && this.#admit(size)) return 'accepted';
    this.#refused = size;
    return this.#queue.length > 0 ? 'wait' : 'full';
  }

  /** Whether there is room now, with room made if that is the policy. */
  #admit(size: Size): boolean {
    if (this.#fits(size)) return true;
    if (!this.#fullReported) {
      this.#fullReported = true;
      this.#options.full();
    }
    if (this.#options.whenFull !== 'drop_oldest') return false;
    // Whoever is told of the loss may append in its turn.
    while (!this.#fits(size)) this.#options.makeRoom(() => this.#fits(size));
    return true;
  }

  /** An empty buffer takes a record of any number of events: it could never be taken otherwise. */
  #fits({ bytes, events }: Size): boolean {
    const { records, maxBytes, maxEvents } = this.#options;
    if (records.usedBytes + bytes > maxBytes) return false;
    return records.recordCount === 0 || records.events + events <= maxEvents;
  }

  #place(records: readonly RecordInput[]): number {
    const recordId = this.#options.records.nextId;
    for (const { payload, events = 1, metadata = 0 } of records) {
      this.#options.records.append(payload, events, metadata);
    }
    this.#appended();
    return recordId;
  }

  #appended(): void {
    this.#fullReported = false;
    this.#options.appended();
  }

  async #refuse(records: readonly RecordInput[], size: Size, signal: AbortSignal | undefined): Promise<AppendResult> {
    const { whenFull, clock, dropped } = this.#options;
    if (whenFull === 'block') return { status: 'stored', recordId: await this.#enqueue(records, size, signal) };
    const full = this.#fullError();
    if (whenFull === 'drop_newest') dropped(size.events, payloadBytesOf(records));
    // At the end of the tick: a loop of refused appends must not keep others from making room.
    await new Promise<void>((resolve) => clock.defer(resolve));
    if (whenFull === 'reject') throw full;
    return { status: 'dropped', reason: 'buffer_full' };
  }

  async #enqueue(records: readonly RecordInput[], size: Size, signal: AbortSignal | undefined): Promise<number> {
    let leave: (() => void) | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const pending: Pending = { ...size, records: [...records], resolve, reject };
        this.#queue.push(pending);
        leave = () => {
          const at = this.#queue.indexOf(pending);
          if (at < 0) return; // Admitted already.
          this.#queue.splice(at, 1);
          reject(signal?.reason);
          this.progress();
        };
        signal?.addEventListener('abort', leave);
      });
    } finally {
      if (leave !== undefined) signal?.removeEventListener('abort', leave);
    }
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    if (this.#closed !== undefined) throw this.#closed;
    signal?.throwIfAborted();
  }

  #fullError(): StorageError {
    const { records, maxBytes, maxEvents } = this.#options;
    return new StorageError({
      kind: 'full',
      operation: 'append',
      path: '',
      message:
        `Cannot append to a buffer in memory: it holds ${records.usedBytes} of at most ${maxBytes} bytes and ` +
        `${records.events} of at most ${maxEvents} events. The record was not stored; append it again when consumers ` +
        'have acknowledged more',
    });
  }

  #tooLarge(bytes: number): UsageError {
    return new UsageError({
      code: 'SPILLWAY_USAGE_TOO_LARGE',
      message:
        `Cannot append ${bytes} bytes at once (${recordOverheadBytes} are added to each record): this buffer in ` +
        `memory takes at most ${this.#options.maxBytes} bytes. Raise its size or split the record`,
    });
  }
}

/** Throws a UsageError for an empty batch and for a malformed record. */
function sizeOf(records: readonly RecordInput[]): Size {
  if (records.length === 0) {
    throw new UsageError({
      code: 'SPILLWAY_USAGE_RECORD',
      message: 'Cannot append an empty batch: expected at least one record',
    });
  }
  let sum = 0;
  for (const { payload, events = 1, metadata = 0 } of records) {
    checkRecord(payload, events, metadata);
    sum += events;
  }
  return { bytes: payloadBytesOf(records) + records.length * recordOverheadBytes, events: sum };
}

function payloadBytesOf(records: readonly RecordInput[]): number {
  let bytes = 0;
  for (const { payload } of records) bytes += payload.length;
  return bytes;
}
