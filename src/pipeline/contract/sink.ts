// What a sink is: it takes a batch and answers with data. It keeps no queue and retries nothing: the buffer in front of
// it is the only queue, and the driver repeats, halves, waits and gives up, for all sinks in the same way.

import type { Signal } from '../../otlp/signal.ts';
import type { Log } from './log.ts';
import type { World } from './world.ts';

/** A record, or a part of one that was halved, on its way to a sink. */
export interface SinkRecord {
  readonly signal: Signal;
  /** OTLP protobuf request with exactly `events` events. */
  readonly bytes: Uint8Array;
  readonly events: number;
  /** The id of its first event; event `i` has `id + i`, in the order in which the bytes hold them. */
  readonly id: number;
  /** `<uuid>/<epoch>` of the buffer that gave it. The key of event `i` is `${origin}-${id + i}`, for ever. */
  readonly origin: string;
}

/** Records of one signal, in order. At least one. */
export interface SinkBatch {
  readonly signal: Signal;
  readonly records: readonly SinkRecord[];
  readonly events: number;
  /** Bytes of all records. */
  readonly byteLength: number;
  /** All records as one OTLP request. Of a single record these are its very bytes. */
  merged(): Uint8Array;
}

export type SinkAnswer =
  /** `refused`: a partial success, which is final; the peer named so many events that it did not take, and why. */
  | { readonly kind: 'delivered'; readonly refused?: { readonly events: number; readonly reason: string } }
  /** Comes again, unchanged, after a backoff or after `afterMs`: 429, 5xx, network, time-outs. */
  | { readonly kind: 'retryable'; readonly reason: string; readonly afterMs?: number }
  /** Nothing will get through until somebody acts: 401, 403, 404, TLS, DNS, authentication. Nothing leaves the disk. */
  | { readonly kind: 'blocked'; readonly reason: string }
  /** Halved, down to the single event. */
  | { readonly kind: 'too_large'; readonly reason: string }
  /** Refused for what it says: halved to find the event, which goes to the dead letters. */
  | { readonly kind: 'rejected'; readonly reason: string };

export type HealthAnswer =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'retryable' | 'blocked'; readonly reason: string };

/** The buffer and the cursor that feed a sink. */
export interface SinkOrigin {
  /** The id in the config of the buffer. */
  readonly buffer: string;
  readonly cursor: string;
  /** The buffer's identity, for sinks that drop repeats by key. Undefined where keys do not outlive the process. */
  readonly uuid: string | undefined;
}

export interface SinkContext {
  /** The sink's id in the config. */
  readonly id: string;
  readonly origin: SinkOrigin;
  /** `request.timeout_secs`: how long a sink waits for its peer before it answers `retryable`. */
  readonly timeoutMs: number;
  /** `request.headers`, for sinks that speak HTTP. */
  readonly headers: Readonly<Record<string, string>>;
  readonly world: World;
  readonly log: Log;
}

export interface Sink {
  /** What it can take; others are not offered and count as rejected. Default: what its definition says. */
  readonly signals?: readonly Signal[];
  /**
   * Most batches it takes at once, whatever the config says; a sink that needs the confirmation of one batch before the
   * next says 1. Default: no limit of its own.
   */
  readonly concurrencyMax?: number;
  /**
   * Delivers a batch and answers. Rejecting means a crash: the sink is closed, made anew after a backoff, and the batch
   * comes again. An aborted signal asks it to give up soon: the answer then should be `retryable`.
   */
  deliver(batch: SinkBatch, options: { readonly signal: AbortSignal }): Promise<SinkAnswer>;
  /** Asked once at start, and while blocked before the next try. Default: healthy. */
  checkHealth?(options: { readonly signal: AbortSignal }): Promise<HealthAnswer>;
  /** Gives back connections and files. Called once, after the last `deliver` has answered. */
  close?(): Promise<void>;
}
