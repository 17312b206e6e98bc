// What the stage asks of a buffer. `DiskBuffer` satisfies it; so does whatever else keeps records in order and hands
// them out by cursors.
//
// The shape is structural on purpose: a class with private fields could only be satisfied by itself, and a buffer in
// memory, or one from another copy of this package, would be refused by the compiler although it does the same.
//
// Promises that the types cannot say, and that the stage relies on:
//   - `append` and `appendBatch` resolve when the buffer's own promise holds; what was answered `stored` is delivered
//   - ids grow by the events of each record, over all cursors; `nextId` of a cursor is the id behind what is settled
//   - a retried record comes again before records that were never handed out
//   - `read` hands nothing out once its signal is aborted, and resolves with undefined when the buffer closes

import type { EventSource } from '../engine/events.ts';
import type { RecordResult } from '../engine/ordered-finalizer-delivery.ts';
import type { AppendResult, TryAppendResult } from '../engine/writer.ts';
import type { RecordInput } from '../engine/writer-records.ts';

/** A record as consumers see it. */
export interface RecordContract {
  /** Id of the record's first event. */
  readonly id: number;
  readonly events: number;
  readonly metadata: number;
  readonly payload: Uint8Array;
  /** Names this record for ever, and is the same when the record is delivered again. */
  readonly key: string;
}

/** A run of records in a consumer's hands. Each is settled exactly once, in any order. */
export interface DeliveryContract {
  /** In record order. At least one. */
  readonly records: readonly RecordContract[];
  /** How many of them are not settled yet. */
  readonly unsettled: number;
  /** Acknowledges every record that is not settled yet. */
  ack(): void;
  /** Every record that is not settled yet comes again after `afterMs`. Default 0. */
  retry(afterMs?: number): void;
  /** Every record that is not settled yet is given up for this cursor. */
  reject(reason: string): void;
  /** Settles record by record: `results[i]` is for `records[i]`, undefined leaves it open. */
  settle(results: readonly (RecordResult | undefined)[]): void;
}

export interface CursorContract {
  readonly name: string;
  /** The id behind the last record that is settled with everything before it. */
  readonly nextId: number;
  read(options?: {
    readonly maxRecords?: number;
    readonly maxBytes?: number;
    readonly signal?: AbortSignal;
  }): Promise<DeliveryContract | undefined>;
}

/** The part of a buffer's stats that the stage reads. */
export interface StatsContract {
  readonly state: string;
  /** Why writing has ended or does not go on, in the states `failed` and `stalled`. */
  readonly failure: unknown;
  readonly cursors: readonly {
    readonly name: string;
    readonly nextId: number;
    /** Events that this cursor has still to settle. */
    readonly backlog: { readonly events: number };
  }[];
}

export interface BufferContract {
  readonly events: EventSource;
  tryAppend(payload: Uint8Array, options?: { readonly events?: number; readonly metadata?: number }): TryAppendResult;
  ready(signal?: AbortSignal): Promise<void>;
  append(
    payload: Uint8Array,
    options?: { readonly events?: number; readonly metadata?: number; readonly signal?: AbortSignal },
  ): Promise<AppendResult>;
  appendBatch(records: readonly RecordInput[], options?: { readonly signal?: AbortSignal }): Promise<AppendResult>;
  commit(): Promise<void>;
  cursor(name: string, options?: { readonly from?: 'oldest' | 'newest' }): CursorContract;
  removeCursor(name: string): Promise<void>;
  stats(): StatsContract;
  close(options?: { readonly drain?: boolean }): Promise<void>;
}
