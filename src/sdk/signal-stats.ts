// What an exporter's buffer counts: every item that was exported is accepted or failed, and every accepted one is
// delivered, on disk, or lost for a reason that is named.

import type { BufferStats } from '../engine/disk-buffer-stats.ts';
import type { Amount } from '../engine/ledger-slot.ts';
import type { Signal } from '../otlp/signal.ts';
import type { DrainCounts } from './drain.ts';

/** Events since the exporter was made. What earlier runs left in the directory counts where it ends. */
export interface SignalStats extends Loss {
  readonly signal: Signal;
  readonly state: BufferStats['state'];
  /** Why nothing can be written, in the states `failed` and `stalled`. */
  readonly failure: unknown;
  /** This process's own; undefined until it is open. */
  readonly directory: string | undefined;
  /** Exports that succeeded: they are in the buffer. */
  readonly accepted: number;
  /** Exports that failed: the SDK was told. */
  readonly failed: number;
  /** What is still to be delivered. */
  readonly backlog: Amount;
  readonly disk: { readonly usedBytes: number; readonly maxBytes: number };
  /** `retrying`: the receiver is away or busy. `blocked`: nothing gets through until somebody acts; see `reason`. */
  readonly delivery: { readonly state: 'running' | 'retrying' | 'blocked'; readonly reason: string | undefined };
  /** Directories of dead processes: how many were drained since, and what is left in the one at hand. */
  readonly adopted: { readonly directories: number; readonly delivered: number; readonly backlogEvents: number };
}

/** What became of accepted events. */
export interface Loss extends DrainCounts {
  /** Given up to make room (`drop_oldest`), and not delivered. Exact while nothing is under way. */
  readonly dropped: number;
  /** Unreadable on disk. */
  readonly damaged: number;
}

export const noLoss: Loss = { delivered: 0, refused: 0, rejected: 0, dropped: 0, damaged: 0 };

export function addLoss(one: Loss, other: Loss): Loss {
  return {
    delivered: one.delivered + other.delivered,
    refused: one.refused + other.refused,
    rejected: one.rejected + other.rejected,
    dropped: one.dropped + other.dropped,
    damaged: one.damaged + other.damaged,
  };
}

/**
 * What a buffer has lost between two looks, and what its drain has done. What was in the drain's hands when its segment
 * was given up may get through all the same: then it was not lost, and counts as delivered.
 */
export function lossSince(before: BufferStats, now: BufferStats, counts: DrainCounts): Loss {
  const [past, present] = [before.totals, now.totals];
  const acknowledged = present.acknowledged.events - past.acknowledged.events;
  const rejected = present.removed.rejected.events - past.removed.rejected.events;
  const dropped = present.removed.dropped_oldest.events - past.removed.dropped_oldest.events;
  const late = Math.max(0, counts.delivered + counts.refused + counts.rejected - acknowledged - rejected);
  return {
    ...counts,
    dropped: Math.max(0, dropped - late),
    damaged: present.damaged.events - past.damaged.events,
  };
}
