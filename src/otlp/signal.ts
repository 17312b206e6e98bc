// The unit that flows through a pipeline: an OTLP request as protobuf bytes, with its signal and its event count.
//
// The bytes are an Export{Logs,Trace,Metrics}ServiceRequest. Each holds its data in the one repeated field 1, which has
// two consequences that everything on this floor builds on: two requests of one signal, concatenated, are a request;
// and events are counted by walking lengths, without decoding. Source: opentelemetry-proto, collector/*/v1.

export type Signal = 'logs' | 'traces' | 'metrics';

export const signals: readonly Signal[] = ['logs', 'traces', 'metrics'];

export interface TelemetryBatch {
  readonly signal: Signal;
  /** Log records, spans or metric data points in `bytes`; at least 1. */
  readonly events: number;
  /** An OTLP protobuf request. Must not change once it was handed on. */
  readonly bytes: Uint8Array;
}

/** What the 32 bits of metadata of a record say: the signal, in the lowest four bits. The others are zero. */
export const metadataOfSignal: Readonly<Record<Signal, number>> = { logs: 1, traces: 2, metrics: 3 };

/** The signal that a record's metadata names, or undefined: then a record is none of a pipeline's. */
export function signalOfMetadata(metadata: number): Signal | undefined {
  return signals[metadata - 1];
}
