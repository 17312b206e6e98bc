// What a running pipeline says of itself when asked: for readiness, the live screen, `--json`, and metrics later.

export interface EventCount {
  readonly events: number;
  readonly bytes: number;
}

export interface SourceStatus {
  readonly id: string;
  readonly type: string;
  /** `waiting`: it crashed, and is started again after a backoff. */
  readonly state: 'starting' | 'running' | 'waiting' | 'ended' | 'stopped';
  /** The last crash, if it has not run well since. */
  readonly reason: string | undefined;
  readonly restarts: number;
  readonly address: string | undefined;
  /** Offered to the buffers. */
  readonly received: EventCount;
  readonly accepted: EventCount;
  readonly dropped: EventCount;
  /** Answered `full`, `unavailable` or `too_large`: still the peer's. */
  readonly refused: EventCount;
}

export interface BufferStatus {
  readonly id: string;
  readonly state: string;
  readonly reason: string | undefined;
  readonly backlog: EventCount;
  readonly usedBytes: number;
  readonly maxBytes: number;
  readonly waitingAppends: number;
  readonly cursors: readonly {
    readonly name: string;
    readonly sink: string | undefined;
    readonly backlog: EventCount;
  }[];
}

export interface SinkStatus {
  readonly id: string;
  readonly type: string;
  readonly buffer: string;
  /** `retrying`: what was sent last comes again. `blocked`: until somebody acts. `waiting`: it crashed. */
  readonly state: 'starting' | 'running' | 'retrying' | 'blocked' | 'waiting' | 'stopped';
  /** Why it is not `running`. */
  readonly reason: string | undefined;
  /** Since when it is in this state, milliseconds since 1970-01-01 UTC. */
  readonly sinceMs: number;
  readonly restarts: number;
  readonly delivered: EventCount;
  /** Named in partial successes: final, and gone. */
  readonly refusedEvents: number;
  /** To the dead letters, or lost where there are none. */
  readonly rejectedEvents: number;
  /** Tries after the first, of any batch. */
  readonly retries: number;
  readonly inFlight: number;
}

export interface PipelineStatus {
  readonly state: 'starting' | 'running' | 'stopping' | 'stopped';
  readonly startedMs: number;
  readonly sources: readonly SourceStatus[];
  readonly buffers: readonly BufferStatus[];
  readonly sinks: readonly SinkStatus[];
}
