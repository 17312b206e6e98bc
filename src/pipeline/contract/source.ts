// What a source is: it emits batches, and answers its own peer only after the pipeline has answered.

import type { TelemetryBatch } from '../../otlp/signal.ts';
import type { Log } from './log.ts';
import type { World } from './world.ts';

/** What became of a batch, as data. Only `accepted` and `dropped` end it: with all others it is still the source's. */
export type EmitResult =
  /** Every buffer behind the source keeps its promise for the batch. */
  | { readonly kind: 'accepted' }
  /** A buffer's policy dropped it, `when_full: drop_newest`; counted. A peer is answered partial success. */
  | { readonly kind: 'dropped'; readonly reason: 'buffer_full' | 'disk_full'; readonly events: number }
  /** No room within `maxWaitMs`, or the policy is `reject`. A peer is told to come again. */
  | { readonly kind: 'full'; readonly retryAfterMs: number }
  /** The buffer has failed, or its disk has stalled it for `maxWaitMs`, or the pipeline is stopping. */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfterMs: number }
  /** A single event of it is larger than a buffer can ever take. */
  | { readonly kind: 'too_large'; readonly limitBytes: number };

export interface EmitOptions {
  /** How long to wait for room with `when_full: block`. Default: until there is some or the source is stopped. */
  readonly maxWaitMs?: number;
  /** Ends the wait: the answer is `unavailable`. What was appended already may be delivered all the same. */
  readonly signal?: AbortSignal;
}

export interface SourceContext {
  /** The source's id in the config. */
  readonly id: string;
  /** A directory of this source's own for what it must remember, absolute. It makes it when it needs it. */
  readonly stateDirectory: string;
  readonly world: World;
  readonly log: Log;
  /** Aborted when the source shall stop: it takes nothing more, and `run` resolves when what it took is answered. */
  readonly stopping: AbortSignal;
  /** Never rejects. Batches that are emitted one after the other keep their order; concurrent ones have none. */
  emit(batch: TelemetryBatch, options?: EmitOptions): Promise<EmitResult>;
}

export interface Source {
  /**
   * Runs until `stopping` is aborted or the input has ended, and resolves then. Rejecting means a crash: the source is
   * made anew and run again after a backoff, from where it left off.
   */
  run(): Promise<void>;
  /** For people and status pages, once it listens: `http://127.0.0.1:4318` for example. */
  readonly address?: string | undefined;
}
