// What a buffer plugin is: it opens something that keeps records in order and hands them out by cursors.

import type { LedgerTotals } from '../../engine/ledger-slot.ts';
import type { BufferContract } from '../../stage/buffer-contract.ts';
import type { Log } from './log.ts';
import type { World } from './world.ts';

/** A sink that reads the buffer. `from` says where a cursor begins that the buffer does not know yet. */
export interface CursorRequest {
  readonly name: string;
  readonly from: 'oldest' | 'newest';
}

export interface BufferContext {
  readonly id: string;
  /** A directory of this buffer's own, absolute. A buffer that needs none leaves it alone. */
  readonly directory: string;
  /** At least one; each name once. */
  readonly cursors: readonly CursorRequest[];
  readonly world: World;
  readonly log: Log;
}

/** What a pipeline asks of a buffer beyond the stage's contract. `DiskBuffer` satisfies it. */
export interface PipelineBuffer extends BufferContract {
  stats(): PipelineBufferStats;
}

export interface PipelineBufferStats {
  /** `open`, `stalled`, `failed`, ...; see BufferStats. */
  readonly state: string;
  readonly failure: unknown;
  /** Names the buffer in keys; a buffer that forgets has a new one at each open. */
  readonly uuid: string;
  /** The largest record it can ever take, in bytes; undefined where there is no such limit. */
  readonly maxRecordBytes?: number | undefined;
  /** What lies between the slowest cursor and the end. */
  readonly backlog: { readonly events: number; readonly bytes: number };
  /** Bytes that count against the limit, and the limit. */
  readonly disk: { readonly usedBytes: number; readonly maxBytes: number };
  /** What became of everything in its life; without them a buffer is measured less. */
  readonly totals?: LedgerTotals;
  readonly waitingAppends: number;
  readonly cursors: readonly {
    readonly name: string;
    readonly nextId: number;
    readonly backlog: { readonly events: number; readonly bytes: number };
  }[];
  /** Of a chain: those of its buffers, in order. */
  readonly stages?: readonly PipelineBufferStats[];
}
