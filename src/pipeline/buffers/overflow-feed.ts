// What a cursor of a chain takes its records from: the cursors of its stages, one run after the other.
//
// A delivery of a stage is read ahead of the consumer, and settled record by record as the chain's cursor releases its
// records, in order. So a stage's own position is never ahead of the chain's, and a crash repeats but skips nothing.

import type { OrderedFinalizer, ReleasedRun, Settlement } from '../../engine/ordered-finalizer.ts';
import { DeliveredRecord, type RecordResult } from '../../engine/ordered-finalizer-delivery.ts';
import type { CursorFeed, FeedContext, Fill } from '../../engine/ordered-finalizer-feed.ts';
import type { CursorContract, DeliveryContract, RecordContract } from '../../stage/buffer-contract.ts';
import { chainIdOf, type OverflowRuns, type Run } from './overflow-runs.ts';

/** Small, so that settling a delivery in parts stays cheap. */
const readRecordsMax = 64;
const readBytesMax = 1_048_576;
/** What a stage is told when a consumer has given a record up; whoever listens to the chain is told the true reason. */
const rejection = 'given up by its consumer';

/** A delivery of a stage, of which `settled` records are settled and `taken` were handed out. */
interface Held {
  readonly delivery: DeliveryContract;
  readonly run: Run;
  taken: number;
  settled: number;
}

export class OverflowFeed implements CursorFeed {
  readonly place: CursorFeed['place'] = { segment: 0, offset: 0 };
  readonly #runs: OverflowRuns;
  readonly #cursors: readonly CursorContract[];
  readonly #context: FeedContext;
  readonly #finalizer: OrderedFinalizer;
  readonly #origin: string;
  readonly #held: Held[] = [];
  /** Stages that are being read. */
  readonly #reading = new Set<number>();
  /** Stages that are closed and hand out nothing more. To ask them again would be answered at once, for ever. */
  readonly #closed = new Set<number>();
  readonly #stop = new AbortController();
  #failure: { readonly cause: unknown } | undefined;
  #unreadId: number;

  constructor(
    context: FeedContext,
    start: {
      readonly runs: OverflowRuns;
      /** The cursor's part in each stage. */
      readonly cursors: readonly CursorContract[];
      readonly nextId: number;
      /** What stands before the id in a record's key. */
      readonly origin: string;
    },
  ) {
    this.#context = context;
    this.#finalizer = context.finalizer;
    this.#runs = start.runs;
    this.#cursors = start.cursors;
    this.#unreadId = start.nextId;
    this.#origin = start.origin;
  }

  get unreadId(): number {
    return this.#unreadId;
  }

  /** The stages count what is unsettled. */
  get unsettledBytes(): number {
    return 0;
  }

  fill(maxRecords: number, maxBytes: number): Fill {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.cause;
    const firstTicket = this.#finalizer.nextTicket;
    const records: DeliveredRecord[] = [];
    let bytes = 0;
    while (records.length < maxRecords) {
      const next = this.#next();
      if (next === undefined) return { records, firstTicket, end: records.length > 0 ? 'limit' : this.#lookOn() };
      const { held, record } = next;
      const id = chainIdOf(held.run, record.id);
      if (id > this.#unreadId) {
        if (records.length === 0) this.#context.passGap(this.#unreadId, id);
        return { records, firstTicket, end: 'gap' };
      }
      if (records.length > 0 && bytes + record.payload.length > maxBytes) break;
      held.taken += 1;
      bytes += record.payload.length;
      this.#unreadId = id + record.events;
      this.#finalizer.add(record.events, record.payload.length);
      records.push(new DeliveredRecord(id, record.events, record.metadata, record.payload, this.#origin));
    }
    return { records, firstTicket, end: 'limit' };
  }

  /** Entries were released, in order: the stages are told. */
  settle({ settlement, to }: ReleasedRun): void {
    for (let held = this.#held[0]; held !== undefined; held = this.#held[0]) {
      const { delivery, run } = held;
      const results: (RecordResult | undefined)[] = new Array(delivery.records.length).fill(undefined);
      const result: RecordResult = settlement === 'rejected' ? { reject: rejection } : 'ack';
      const before = held.settled;
      for (let record = delivery.records[before]; held.settled < held.taken; record = delivery.records[held.settled]) {
        if (record === undefined || chainIdOf(run, record.id) >= to) break;
        results[held.settled] = result;
        held.settled += 1;
      }
      if (held.settled > before) delivery.settle(results);
      if (held.settled < delivery.records.length) return;
      this.#held.shift();
    }
  }

  /** The chain's id up to which the stage's cursor has passed this run. */
  passedId(run: Run): number {
    const { nextId } = this.#cursors[run.stage] as CursorContract;
    return Math.min(chainIdOf(run, nextId), run.to ?? Number.POSITIVE_INFINITY);
  }

  skip(events: number, bytes: number, settlement: Settlement): void {
    this.#finalizer.settle(this.#finalizer.add(events, bytes), settlement);
    this.#unreadId += events;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (chainIdOf(next.held.run, next.record.id) >= this.#unreadId) return;
      next.held.taken += 1; // Dropped by its stage after we had read it.
    }
  }

  released(): void {
    // Told by `settle`, with what became of each.
  }

  async load(): Promise<void> {
    // Stages are read beside the consumer's reads.
  }

  async jump(): Promise<void> {
    // There is no other place to go on from.
  }

  /** What nobody has settled goes back to its stage, which need not wait for it then. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the cursor has ended'));
    for (const { delivery } of this.#held.splice(0)) if (delivery.unsettled > 0) delivery.retry();
  }

  #next(): { readonly held: Held; readonly record: RecordContract } | undefined {
    const run = this.#runs.at(this.#unreadId);
    for (const held of this.#held) {
      if (held.run !== run) continue; // A later run's turn comes when everything before it was handed out.
      const record = held.delivery.records[held.taken];
      if (record !== undefined) return { held, record };
    }
    return undefined;
  }

  /** In the order of the chain: a read that began in an earlier run may bring what belongs behind others. */
  #hold(held: Held): void {
    const behind = this.#held.findIndex(({ run }) => run.from > held.run.from);
    this.#held.splice(behind < 0 ? this.#held.length : behind, 0, held);
  }

  /** Nothing is there to be handed out: the stage of the next id is read. */
  #lookOn(): 'caught_up' | 'gap' {
    const run = this.#runs.at(this.#unreadId);
    const passedId = this.passedId(run); // What the stage's cursor has passed without us was lost there.
    if (passedId > this.#unreadId) {
      this.#context.passGap(this.#unreadId, passedId);
      return 'gap';
    }
    if (!this.#reading.has(run.stage) && !this.#closed.has(run.stage)) void this.#read(run.stage);
    return 'caught_up';
  }

  async #read(stage: number): Promise<void> {
    const cursor = this.#cursors[stage] as CursorContract;
    this.#reading.add(stage);
    const { signal } = this.#stop;
    try {
      const options = { maxRecords: readRecordsMax, maxBytes: readBytesMax, signal };
      const delivery = await cursor.read(options);
      if (delivery === undefined) {
        this.#closed.add(stage);
        return;
      }
      if (signal.aborted) delivery.retry();
      else this.#hold({ delivery, run: this.#runs.ofStage(stage, delivery), taken: 0, settled: 0 });
    } catch (cause) {
      if (!signal.aborted) this.#failure = { cause };
    } finally {
      this.#reading.delete(stage);
      this.#context.wake();
    }
  }
}
