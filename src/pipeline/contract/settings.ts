// What a checked config is, with every default settled: what the runtime builds a pipeline from. Times in
// milliseconds, sizes in bytes. The names of the keys in YAML, and Vector's, are the config's business.

import type { BufferDefinition, SinkDefinition, SourceDefinition } from './definition.ts';

export interface PipelineSettings {
  /** Absolute. Buffers live in `<dataDir>/buffers/<id>`, a source's state in `<dataDir>/sources/<id>`. */
  readonly dataDir: string;
  readonly sources: readonly SourceSettings[];
  /** Those that sinks share by id, and one for each sink that has its own, under the sink's id. */
  readonly buffers: readonly BufferSettings[];
  readonly sinks: readonly SinkSettings[];
  /** Where `/healthz`, `/readyz`, `/status` and `/metrics` are answered; undefined: nowhere. */
  readonly health: { readonly host: string; readonly port: number } | undefined;
  /** How long a graceful stop waits for sinks with a batch in their hands. Default 60,000. */
  readonly shutdownTimeoutMs: number;
  /** What it tells of itself beyond `/metrics`. */
  readonly telemetry?: TelemetrySettings | undefined;
}

export interface TelemetrySettings {
  /** Where metrics and spans go by OTLP; undefined: where the environment says, if it says something. */
  readonly otlpEndpoint: string | undefined;
  /** Of how many commits and deliveries a span is made, 0 .. 1. */
  readonly spanRatio: number;
}

export interface SourceSettings {
  readonly id: string;
  readonly definition: SourceDefinition;
  /** As the definition's schema gave them. */
  readonly options: unknown;
}

export interface BufferSettings {
  readonly id: string;
  /** One, or an overflow chain: the first takes what it can, the next what it cannot. */
  readonly stages: readonly BufferStageSettings[];
}

export interface BufferStageSettings {
  readonly definition: BufferDefinition;
  readonly options: unknown;
}

export interface SinkSettings {
  readonly id: string;
  readonly definition: SinkDefinition;
  readonly options: unknown;
  /** Ids of sources. At least one. */
  readonly inputs: readonly string[];
  /** Id of a buffer in {@link PipelineSettings.buffers}. The sink's cursor there has the sink's id as its name. */
  readonly buffer: string;
  /** Where the cursor begins if the buffer does not know it yet. Default `oldest`. */
  readonly startAt: 'oldest' | 'newest';
  readonly delivery: DeliverySettings;
}

/** How a driver treats its sink. */
export interface DeliverySettings {
  readonly batch: {
    /** A batch is not joined beyond these; a single record that is larger goes alone. */
    readonly maxBytes: number;
    readonly maxEvents: number;
    /** How long the first record of a batch waits for company while a place is free. 0: not at all. */
    readonly timeoutMs: number;
  };
  readonly request: {
    /** Batches at the sink at once. 1: strict order. */
    readonly concurrency: number;
    readonly timeoutMs: number;
    readonly headers: Readonly<Record<string, string>>;
    /** At most so many deliveries in so many milliseconds; undefined: no limit. */
    readonly rateLimit: { readonly requests: number; readonly intervalMs: number } | undefined;
    /** Tries after the first before a retryable batch goes to the dead letters. Infinity by default. */
    readonly retryAttempts: number;
    readonly retryInitialBackoffMs: number;
    readonly retryMaxBackoffMs: number;
    /** `full`: a random time up to the backoff; `none`: the backoff. */
    readonly retryJitter: 'full' | 'none';
  };
  readonly healthcheck: { readonly enabled: boolean; readonly isRequired: boolean };
  /** What happens to a batch while the sink is blocked. `wait` keeps everything on disk. */
  readonly onBlocked: 'wait' | 'dead_letter';
  /** Where dead letters go; undefined: they are counted and logged, and gone. */
  readonly deadLetters: { readonly path: string; readonly maxBytes: number } | undefined;
}
