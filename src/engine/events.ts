// Chapter 2. What a buffer tells about itself while it runs: typed events for whoever observes it.
//
// Events are for operators, telemetry and tests; no part of the engine listens to them in order to work. A listener
// runs synchronously and costs nothing on the hot path: nothing here is emitted per record. What a listener throws
// does not reach the engine; it surfaces as an unhandled rejection, as any error in a callback does.
//
// Next: frame.ts, the bytes.

import type { SpillwayError } from '../base/errors.ts';

/** A place in the log: everything before it, and nothing after it. */
export interface LogPosition {
  readonly segment: number;
  /** Byte offset in that segment. */
  readonly offset: number;
  /** The id that the record at this place has, or will have. */
  readonly nextId: number;
  /** Payload bytes of all records before this place, over the buffer's lifetime. */
  readonly payloadBytes: number;
}

/** Why something that was on disk, or was offered, will not be delivered. */
export type LossReason = 'rejected' | 'dropped_oldest' | 'dropped_newest' | 'disk_full' | 'unconfirmed' | 'damaged';

/** Each event's name with what its listeners receive. */
export interface BufferEvents {
  /** The durable frontier moved here: what lies before survives a power cut. */
  durable: LogPosition;
  /** A sync returned, and made so much durable. Bytes are payload bytes. */
  synced: { readonly tookMs: number; readonly events: number; readonly bytes: number };
  /**
   * The promise of the buffer's durability holds for a group of records: `waitedMs` since the first of them came,
   * `tookMs` since the writing of them began. With durability `memory`: they are written.
   */
  committed: { readonly records: number; readonly waitedMs: number; readonly tookMs: number };
  /** A ledger was published. */
  published: { readonly generation: number; readonly clean: boolean };
  /** A publish failed and will be repeated; nothing is freed until one succeeds. */
  publish_failed: { readonly cause: unknown; readonly retryInMs: number };
  /** The disk has no room: writing waits and is tried again. */
  stalled: { readonly cause: unknown; readonly retryInMs: number };
  /** Writing goes on after a stall. */
  resumed: { readonly afterMs: number };
  /** Writing ended for good; reading goes on; opening the buffer again recovers. */
  failed: { readonly cause: unknown };
  /** Events were lost or removed by policy. Bytes are payload bytes as far as they are known. */
  lost: { readonly reason: LossReason; readonly events: number; readonly bytes: number; readonly cursor?: string };
  /** A consumer gave up records for its cursor. */
  rejected: { readonly cursor: string; readonly records: number; readonly reason: string };
  /** Bytes on disk are not what was written. */
  damage: SpillwayError;
  /** Damaged bytes were copied aside. */
  quarantined: { readonly path: string; readonly byteLength: number };
  segment_created: { readonly segment: number };
  segment_freed: { readonly segment: number; readonly byteLength: number };
  /** Admission refused a record for the first time since it last accepted one. */
  full: { readonly usedBytes: number };
  closed: { readonly clean: boolean };
}

type Listener<Value> = (value: Value) => void;

/** Where listeners register; what users see as `buffer.events`. */
export interface EventSource {
  /** Calls `listener` at every such event until the returned function is called. */
  on<Name extends keyof BufferEvents>(name: Name, listener: Listener<BufferEvents[Name]>): () => void;
}

/** The event source together with the power to emit. */
export class EventHub implements EventSource {
  readonly #listeners = new Map<keyof BufferEvents, Set<Listener<never>>>();

  on<Name extends keyof BufferEvents>(name: Name, listener: Listener<BufferEvents[Name]>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener as Listener<never>);
    return () => {
      listeners.delete(listener as Listener<never>);
    };
  }

  /** Whether anybody listens; lets the emitter skip making the value. */
  listened(name: keyof BufferEvents): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  emit<Name extends keyof BufferEvents>(name: Name, value: BufferEvents[Name]): void {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) {
      try {
        (listener as Listener<BufferEvents[Name]>)(value);
      } catch (cause) {
        void Promise.reject(cause);
      }
    }
  }
}
