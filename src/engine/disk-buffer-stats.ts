// Chapter 13, continued. What a buffer says of itself when asked: numbers that are computed when somebody looks.
//
// Next: disk-buffer-opening.ts.

import { assert } from '../base/assert.ts';
import type { Core } from './disk-buffer-core.ts';
import type { Amount, LedgerTotals } from './ledger-slot.ts';
import type { Durability, WhenFull } from './limits.ts';
import type { SettlementCounters } from './ordered-finalizer-accounts.ts';
import type { Cursor, CursorPosition } from './ordered-finalizer-cursor.ts';

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
  /** Handed out for the first time, since open. Bytes are payload bytes. */
  readonly delivered: Amount;
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
  /** A record with its header may not be larger, ever, in bytes. */
  readonly maxRecordBytes: number;
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
  /** Appends, and calls of `ready`, that wait for room. */
  readonly waitingAppends: number;
  readonly cursors: readonly CursorStats[];
}

/** Everything is computed from what is there. */
export function statsOf(core: Core, state: BufferStats['state']): BufferStats {
  const { committer, stability, space, log, limits } = core;
  const now = committer.state;
  return {
    state,
    failure: now.kind === 'failed' || now.kind === 'stalled' ? now.cause : undefined,
    uuid: core.uuid,
    epoch: core.epoch,
    durability: limits.durability,
    whenFull: limits.whenFull,
    maxRecordBytes: limits.maxRecordBytes,
    backlog: backlogOf(core, core.cursors.slowest.position),
    totals: core.accounts.totals({ events: log.nextId - 1, bytes: log.payloadBytes }),
    disk: {
      usedBytes: space.diskBytes,
      maxBytes: limits.maxBytes,
      headroomBytes: Math.max(0, space.headroom),
      quarantineBytes: core.quarantine.byteLength,
      segments: core.catalog.segments.length,
    },
    frontiers: {
      reserved: stability.reserved,
      submitted: stability.submitted.value,
      written: stability.written.value,
      durable: stability.durable.value,
    },
    work: { ...committer.times.counts, publishes: core.publishes },
    waitingAppends: core.writer.waiting,
    cursors: core.cursors.all.map((cursor) => cursorStats(core, cursor)),
  };
}

/** Checks what is counted against what is there. Throws InvariantViolation where the two differ. */
export function recount(core: Core): void {
  const { accounts, cursors, stability, space } = core;
  const { settledEvents, countedId } = accounts;
  assert(settledEvents === countedId - 1, 'I11.6: every event below the counted id is counted once', {
    settledEvents,
    countedId,
  });
  const slowestId = cursors.slowest.nextId;
  assert(countedId >= slowestId, 'I11.7: the slowest cursor is counted', { countedId, slowestId });
  const { reserved } = stability;
  const [submitted, written, durable] = [stability.submitted.value, stability.written.value, stability.durable.value];
  const ordered = reserved >= submitted && submitted >= written && written >= durable;
  assert(ordered, 'I7.2: frontiers are ordered', { reserved, submitted, written, durable });
  for (const { name, nextId, unreadId } of cursors.all) {
    const details = { name, nextId, unreadId, reserved };
    assert(nextId <= unreadId && unreadId <= reserved, 'I10.2: a cursor is not ahead of the log', details);
  }
  const { diskBytes, boundBytes } = space;
  assert(diskBytes <= boundBytes, 'I9.2: the directory stays within maxBytes', { diskBytes, boundBytes });
}

function cursorStats(core: Core, cursor: Cursor): CursorStats {
  return {
    name: cursor.name,
    required: core.cursors.isRequired(cursor.name),
    nextId: cursor.nextId,
    backlog: backlogOf(core, cursor.position),
    unsettledRecords: cursor.unsettledRecords,
    unsettledBytes: cursor.unsettledBytes,
    openDeliveries: cursor.openDeliveries,
    delivered: { ...cursor.delivered },
    retriedRecords: cursor.retried,
    sinceOpen: copyOf(cursor.counters),
  };
}

/** Events by ids, which are certain; payload bytes by what was counted, never below zero. */
function backlogOf(core: Core, position: CursorPosition): Amount {
  const events = core.log.nextId - position.nextId;
  return { events, bytes: events === 0 ? 0 : Math.max(0, core.log.payloadBytes - position.payloadBytes) };
}

/** A snapshot: the counters go on counting. By hand, because `structuredClone` costs more than all the rest. */
function copyOf({
  acknowledged,
  rejected,
  dropped_oldest,
  unconfirmed,
  damaged,
}: SettlementCounters): SettlementCounters {
  return {
    acknowledged: { ...acknowledged },
    rejected: { ...rejected },
    dropped_oldest: { ...dropped_oldest },
    unconfirmed: { ...unconfirmed },
    damaged: { ...damaged },
  };
}
