// For a PeriodicExportingMetricReader of the SDK.

import process from 'node:process';
import { type Environment, textOf } from './environment.ts';
import { Exporter } from './exporter.ts';
import type { BufferedExporterOptions } from './exporter-options.ts';
import type { ResultCallback } from './sdk-types.ts';
import type { SignalStats } from './signal-stats.ts';

/** The SDK's AggregationTemporality. */
const delta = 0;
const cumulative = 1;

export type Temporality = typeof delta | typeof cumulative;
export type TemporalityPreference = 'cumulative' | 'delta' | 'lowmemory';

export interface BufferedMetricExporterOptions extends BufferedExporterOptions {
  /** Default: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE, or `cumulative`. */
  readonly temporalityPreference?: TemporalityPreference;
}

/** A PushMetricExporter that stores metrics on disk and delivers them in the background. */
export class BufferedMetricExporter {
  readonly #exporter: Exporter;
  readonly #preference: TemporalityPreference;

  constructor(options: BufferedMetricExporterOptions) {
    this.#exporter = new Exporter('metrics', options);
    this.#preference = options.temporalityPreference ?? temporalityOf(process.env);
  }

  /** Calls back with success when the buffer has accepted all data points at its durability. */
  export(metrics: object, resultCallback: ResultCallback): void {
    this.#exporter.export(metrics, resultCallback);
  }

  selectAggregationTemporality(instrumentType: string): Temporality {
    return temporalityFor(instrumentType, this.#preference);
  }

  /** Commits, then delivers up to `timeoutMillis`; resolves when what was exported is durable. */
  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush();
  }

  /** Commits, delivers for at most five seconds, closes. The rest is delivered after the next start. */
  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  /** What has become of the data points. */
  stats(): SignalStats {
    return this.#exporter.stats();
  }
}

/** What is not known counts as cumulative, as everywhere in the SDK. */
export function temporalityOf(environment: Environment): TemporalityPreference {
  const text = textOf(environment, 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE')?.trim().toLowerCase();
  return text === 'delta' || text === 'lowmemory' ? text : 'cumulative';
}

/** As the specification has it: what only grows can be sent as differences; `lowmemory` where that needs no state. */
export function temporalityFor(instrumentType: string, preference: TemporalityPreference): Temporality {
  if (preference === 'cumulative' || instrumentType.includes('UP_DOWN_COUNTER')) return cumulative;
  if (preference === 'delta') return delta;
  return instrumentType === 'COUNTER' || instrumentType === 'HISTOGRAM' ? delta : cumulative;
}
