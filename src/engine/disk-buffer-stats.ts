// Chapter 13, continued. What a buffer says of itself when asked: numbers that are computed when somebody looks.
//
// Next: disk-buffer-core.ts.

import type { Amount, LedgerTotals } from './ledger-slot.ts';
import type { Durability, WhenFull } from './limits.ts';
import type { SettlementCounters } from './ordered-finalizer-accounts.ts';

export interface CursorStats {
  readonly name: string;
  readonly required: boolean;
  /** The id after the last record that is settled with everything before it. */
  readonly nextId: number;
  /** Events that this cursor has still to settle, handed out or not. */
  readonly backlog: Amount;
  /** Records handed out and not released. */
  readonly unsettledRecords: number;
  /** Bytes of the frames that hold them. */
  readonly unsettledBytes: number;
  readonly openDeliveries: number;
  /** Records handed out again since open. */
  readonly retriedRecords: number;
  /** What became of events at this cursor, since open. */
  readonly sinceOpen: SettlementCounters;
}

export interface BufferStats {
  /**
   * `starting`: what the last run left is being made durable. `stalled`: the disk has no room. `failed`: writing has
   * ended, see `failure`.
   */
  readonly state: 'starting' | 'open' | 'stalled' | 'failed' | 'closing' | 'closed';
  /** The first cause, in the states `failed` and `stalled`. */
  readonly failure: unknown;
  readonly uuid: string;
  readonly epoch: number;
  readonly durability: Durability;
  readonly whenFull: WhenFull;
  /** What lies between the slowest cursor and the end of the log. */
  readonly backlog: Amount;
  /** Over the buffer's lifetime, kept in the ledger. Bytes are payload bytes. */
  readonly totals: LedgerTotals;
  readonly disk: {
    /** Every file of the directory, the ledger included. */
    readonly usedBytes: number;
    readonly maxBytes: number;
    /** What may still be appended, in bytes with headers. */
    readonly headroomBytes: number;
    readonly quarantineBytes: number;
    readonly segments: number;
  };
  /** Ids: everything below each of them has come that far. */
  readonly frontiers: {
    readonly reserved: number;
    readonly submitted: number;
    readonly written: number;
    readonly durable: number;
  };
  /** Since open. */
  readonly work: { readonly writes: number; readonly syncs: number; readonly publishes: number };
  /** Appends that wait for room. */
  readonly waitingAppends: number;
  readonly cursors: readonly CursorStats[];
}
