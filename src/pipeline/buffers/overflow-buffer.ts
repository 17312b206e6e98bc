// An overflow chain: several buffers in a row that look like one. What the first cannot take the next one does, usually
// memory first and then disk, and the order is kept at every cursor.
//
// Records go to one stage at a time. When it is full the next one takes over, and the first gets its turn again when
// every cursor has settled everything: earlier, what is new would overtake what is old. The stages before the last are
// offered records with `tryAppend`, which applies no policy; the last one's own policy decides when all are full.
//
// Ids grow over the whole chain and belong to this run of the program, as keys do: the chain names itself anew at each
// open, because what was in memory is gone then and its numbers would be given again. So a sink cannot drop repeats by
// key across a restart, and a chain does not count as durable although its disk is. What a crash, or a close without
// drain, finds in memory is lost; what is on disk comes first at the next start, in order.

import { UsageError } from '../../base/errors.ts';
import { CursorSet } from '../../engine/disk-buffer-cursors.ts';
import { EventHub, type EventSource } from '../../engine/events.ts';
import { checkCursorName } from '../../engine/limits.ts';
import type { ReleasedRun } from '../../engine/ordered-finalizer.ts';
import { Accounts } from '../../engine/ordered-finalizer-accounts.ts';
import type { Cursor } from '../../engine/ordered-finalizer-cursor.ts';
import { newUuid } from '../../engine/recovery.ts';
import type { AppendResult, TryAppendResult } from '../../engine/writer.ts';
import { closedError, type RecordInput, sizeOfBatch } from '../../engine/writer-records.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Random } from '../../platform/random.ts';
import type { CursorRequest, PipelineBuffer, PipelineBufferStats } from '../contract/buffer.ts';
import { forwardEvents } from './overflow-events.ts';
import { OverflowFeed } from './overflow-feed.ts';
import { chainIdOf, OverflowRuns, type Run } from './overflow-runs.ts';
import { chainStats, endIdOf } from './overflow-stats.ts';
import { Progress } from './progress.ts';

/** A stage that cannot try a batch is passed over by batches. */
export type OverflowStage = PipelineBuffer & {
  tryAppendBatch?(records: readonly RecordInput[]): TryAppendResult;
};

export interface OverflowBufferOptions {
  /** Open, at least one, in the order in which they fill; each has every cursor in `cursors`. */
  readonly stages: readonly OverflowStage[];
  readonly cursors: readonly CursorRequest[];
  readonly clock: Clock;
  readonly random: Random;
  /** How long `close` waits for open deliveries. Default 5,000. */
  readonly closeTimeoutMs?: number;
}

type AppendOptions = { readonly events?: number; readonly metadata?: number; readonly signal?: AbortSignal };

/** Tells the feed of a cursor what became of its records. */
class ChainCursors extends CursorSet {
  readonly feeds = new Map<string, OverflowFeed>();

  override released(cursor: Cursor, run: ReleasedRun): void {
    super.released(cursor, run);
    this.feeds.get(cursor.name)?.settle(run);
  }
}

export class OverflowBuffer implements PipelineBuffer {
  readonly #options: OverflowBufferOptions;
  readonly #stages: readonly OverflowStage[];
  readonly #last: OverflowStage;
  readonly #maxRecordBytes: number;
  readonly #uuid: string;
  readonly #events = new EventHub();
  readonly #runs = new OverflowRuns();
  readonly #cursors: ChainCursors;
  readonly #progress = new Progress();
  /** The id of the next record, as far as it is known: the last stage gives ids when it admits. */
  #nextId: number;
  /** Appends that the last stage has not answered. */
  #pending = 0;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #closing: Promise<void> | undefined;
  #drains = true;

  constructor(options: OverflowBufferOptions) {
    this.#options = options;
    this.#stages = options.stages;
    this.#last = options.stages.at(-1) as OverflowStage;
    this.#maxRecordBytes = this.#last.stats().maxRecordBytes ?? Number.POSITIVE_INFINITY;
    this.#uuid = newUuid(options.random);
    this.#nextId = this.#findRuns();
    forwardEvents(this.#stages, this.#events, (stage) => this.#lost(stage));
    this.#cursors = this.#createCursors();
    const required = new Set(options.cursors.map(({ name }) => name));
    for (const name of [...required, ...this.#knownNames().filter((known) => !required.has(known))]) this.#adopt(name);
  }

  get events(): EventSource {
    return this.#events;
  }

  tryAppend(payload: Uint8Array, { events = 1, metadata = 0 }: AppendOptions = {}): TryAppendResult {
    this.#checkOpen();
    const { bodyBytes } = sizeOfBatch([{ payload, events, metadata }]);
    if (this.#isTooLarge(bodyBytes)) return 'too_large';
    const early = this.#tryStages(events, (stage) => stage.tryAppend(payload, { events, metadata }));
    return early === undefined ? this.#last.tryAppend(payload, { events, metadata }) : 'accepted';
  }

  async ready(signal?: AbortSignal): Promise<void> {
    this.#checkOpen();
    if (this.#stages[this.#runs.last.stage] === this.#last) await this.#last.ready(signal);
  }

  append(payload: Uint8Array, { events = 1, metadata = 0, signal }: AppendOptions = {}): Promise<AppendResult> {
    const options = { events, metadata, ...(signal === undefined ? {} : { signal }) };
    return this.#append(
      [{ payload, events, metadata }],
      signal,
      (stage) => stage.tryAppend(payload, options),
      () => this.#last.append(payload, options),
    );
  }

  appendBatch(records: readonly RecordInput[], options: { readonly signal?: AbortSignal } = {}): Promise<AppendResult> {
    return this.#append(
      records,
      options.signal,
      (stage) => stage.tryAppendBatch?.(records) ?? 'full',
      () => this.#last.appendBatch(records, options),
    );
  }

  async commit(): Promise<void> {
    if (this.#state === 'closed') throw closedError();
    await Promise.all(this.#stages.map((stage) => stage.commit()));
  }

  cursor(name: string, { from = 'oldest' }: { readonly from?: 'oldest' | 'newest' } = {}): Cursor {
    this.#checkOpen();
    checkCursorName(name);
    const known = this.#cursors.get(name);
    if (known !== undefined) return known;
    for (const stage of this.#stages) stage.cursor(name, { from });
    return this.#adopt(name);
  }

  async removeCursor(name: string): Promise<void> {
    this.#checkOpen();
    const cursor = this.#cursors.remove(name);
    this.#cursors.feeds.delete(name);
    await cursor.end();
    for (const stage of this.#stages) await stage.removeCursor(name);
    this.#progress.made();
  }

  stats(): PipelineBufferStats {
    return chainStats(this.#stages, {
      uuid: this.#uuid,
      life: this.#state,
      positions: this.#cursors.all.map(({ name, nextId }) => ({ name, nextId })),
    });
  }

  /** As the stages' own; what is on disk stays there, what is in memory is gone. */
  close({ drain = false }: { readonly drain?: boolean } = {}): Promise<void> {
    if (!drain) this.#drains = false;
    this.#progress.made();
    this.#closing ??= this.#close(drain);
    return this.#closing;
  }

  async #close(drain: boolean): Promise<void> {
    const { clock, closeTimeoutMs = 5_000 } = this.#options;
    this.#state = 'closing';
    // Who waits for room waits at the last stage: it is told first, and delivers on while the chain drains.
    const closingLast = this.#last.close({ drain: true });
    closingLast.catch(() => undefined); // Awaited below, with the others.
    if (drain) await this.#progress.until(() => !this.#drains || this.stats().backlog.events === 0);
    for (const cursor of this.#cursors.all) cursor.close();
    const areSettled = (): boolean => this.#cursors.all.every(({ openDeliveries }) => openDeliveries === 0);
    await this.#progress.until(areSettled, { clock, timeoutMs: closeTimeoutMs });
    await Promise.all(this.#cursors.all.map((cursor) => cursor.end()));
    const closed = await Promise.allSettled([closingLast, ...this.#stages.map((stage) => stage.close())]);
    this.#state = 'closed';
    const failed = closed.find((each) => each.status === 'rejected');
    this.#events.emit('closed', { clean: failed === undefined });
    if (failed !== undefined) throw failed.reason;
  }

  // Appending.

  async #append(
    records: readonly RecordInput[],
    signal: AbortSignal | undefined,
    tryStage: (stage: OverflowStage) => TryAppendResult,
    appendLast: () => Promise<AppendResult>,
  ): Promise<AppendResult> {
    const { bodyBytes, events } = sizeOfBatch(records);
    if (this.#isTooLarge(bodyBytes)) throw this.#tooLarge(bodyBytes);
    this.#checkOpen();
    signal?.throwIfAborted();
    const early = this.#tryStages(events, tryStage);
    if (early === undefined) return await this.#appendLast(events, appendLast);
    await early.stage.commit(); // Nothing, in memory.
    return { status: 'stored', recordId: early.recordId };
  }

  /** Offers to the stages before the last, from the one whose turn it is. Undefined: it is the last one's turn. */
  #tryStages(
    events: number,
    tryStage: (stage: OverflowStage) => TryAppendResult,
  ): { readonly stage: OverflowStage; readonly recordId: number } | undefined {
    this.#goBackIfSettled();
    for (let at = this.#runs.last.stage; at < this.#stages.length - 1; at++) {
      const stage = this.#stages[at] as OverflowStage;
      if (tryStage(stage) === 'accepted') {
        const recordId = this.#nextId;
        this.#nextId += events;
        return { stage, recordId };
      }
      this.#begin(at + 1);
    }
    return undefined;
  }

  async #appendLast(events: number, append: () => Promise<AppendResult>): Promise<AppendResult> {
    const run = this.#runs.last;
    this.#pending += 1;
    try {
      const result = await append();
      if (result.status !== 'stored') return result;
      const recordId = chainIdOf(run, result.recordId);
      this.#nextId = Math.max(this.#nextId, recordId + events);
      return { status: 'stored', recordId };
    } finally {
      this.#pending -= 1;
    }
  }

  /** The first stage takes what comes when there is nothing, anywhere, that has to come before it. */
  #goBackIfSettled(): void {
    const { stage } = this.#runs.last;
    if (stage === 0 || this.#pending > 0) return;
    if (this.#cursors.all.some(({ nextId }) => nextId < this.#nextId)) return;
    if (this.#stages.some((each) => each.stats().backlog.events > 0)) return;
    this.#nextId = this.#endId;
    this.#begin(0);
    this.#runs.forgetBelow(this.#cursors.slowest.nextId);
  }

  #begin(stage: number): void {
    this.#runs.begin(stage, endIdOf(this.#stages[stage] as OverflowStage), this.#nextId);
    this.#cursors.wake(); // A read may wait at the end of the run before.
  }

  /** The id behind everything that the run which takes what comes has admitted. */
  get #endId(): number {
    const run = this.#runs.last;
    return chainIdOf(run, endIdOf(this.#stages[run.stage] as OverflowStage));
  }

  /** A stage's cursors were moved past what it dropped: so are the chain's, where nothing older is left before it. */
  #lost(stage: number): void {
    for (const cursor of this.#cursors.all) {
      const run = this.#runs.at(cursor.nextId);
      if (run.stage !== stage) continue;
      const passedId = this.#cursors.feeds.get(cursor.name)?.passedId(run) ?? 0;
      if (passedId > cursor.nextId) cursor.giveUp(passedId, 0);
    }
    this.#cursors.wake();
  }

  // Opening.

  /** What lies in the stages from an earlier life, in their order. Returns the id of the next record. */
  #findRuns(): number {
    let next: number | undefined;
    for (const [index, stage] of this.#stages.entries()) {
      if (stage.stats().backlog.events === 0) continue;
      const end = endIdOf(stage);
      const stageFrom = Math.min(...stage.stats().cursors.map(({ nextId }) => nextId));
      const from = next ?? stageFrom;
      this.#runs.begin(index, stageFrom, from);
      next = from + end - stageFrom;
    }
    if (next !== undefined) return next;
    this.#runs.begin(0, endIdOf(this.#stages[0] as OverflowStage), 1);
    return 1;
  }

  /** Cursors that a stage has from an earlier life and nobody asks for: they hold back what they have not settled. */
  #knownNames(): string[] {
    const names = this.#stages.flatMap((stage) => stage.stats().cursors.map(({ name }) => name));
    return [...new Set(names)];
  }

  #createCursors(): ChainCursors {
    const { clock, cursors } = this.#options;
    const hub = new EventHub(); // What it says of losses the stages have said already.
    hub.on('rejected', (value) => this.#events.emit('rejected', value));
    const created: ChainCursors = new ChainCursors({
      clock,
      events: hub,
      required: cursors.map(({ name }) => name),
      accounts: new Accounts(undefined, 1, 1),
      unconfirmed: [],
      feed: (name, { nextId }, context) => {
        const parts = this.#stages.map((stage) => stage.cursor(name));
        const feed = new OverflowFeed(context, {
          runs: this.#runs,
          cursors: parts,
          nextId,
          origin: `${this.#uuid}/1-`,
        });
        created.feeds.set(name, feed);
        return feed;
      },
      watch: () => () => undefined,
      moved: () => this.#progress.made(),
      settled: () => this.#progress.made(),
    });
    return created;
  }

  #adopt(name: string): Cursor {
    const parts = this.#stages.map((stage) => stage.cursor(name));
    const startId = (run: Run): number => Math.max(run.from, chainIdOf(run, parts[run.stage]?.nextId ?? 0));
    const open = this.#runs.all.find((run) => startId(run) < (run.to ?? this.#endId));
    const nextId = open === undefined ? this.#endId : startId(open);
    return this.#cursors.add(name, { segment: 0, offset: 0, nextId, payloadBytes: 0 });
  }

  #checkOpen(): void {
    if (this.#state !== 'open') throw closedError();
  }

  /** What the last stage could not take is refused also while the first one could: what fits once fits always. */
  #isTooLarge(bodyBytes: number): boolean {
    return bodyBytes > this.#maxRecordBytes;
  }

  #tooLarge(bodyBytes: number): UsageError {
    return new UsageError({
      code: 'SPILLWAY_USAGE_TOO_LARGE',
      message:
        `Cannot append ${bodyBytes} bytes (headers included) to an overflow chain: its last buffer takes at most ` +
        `${this.#maxRecordBytes} bytes at once. Raise its size or split the record`,
    });
  }
}
