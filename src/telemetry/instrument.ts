// Measures a buffer with OpenTelemetry: what `spillway/telemetry` is for.

import { type MeterProvider, metrics, type TracerProvider, trace } from '@opentelemetry/api';
import type { Clock } from '../platform/clock.ts';
import { nodePlatform } from '../platform/node-platform.ts';
import { BufferMetrics, type MeasuredBuffer } from './buffer-metrics.ts';
import { ExporterMetrics, exporterTypeOf, type MeasuredExporter } from './exporter-metrics.ts';
import { Instruments } from './instruments.ts';
import { SampledSpans } from './sampled-spans.ts';

export interface InstrumentOptions {
  /** Default: the global one, as it is at this moment. */
  readonly meterProvider?: MeterProvider;
  /** `otel.component.name`: tells one buffer from another. Default: the type and a number, `disk_buffer/0`. */
  readonly name?: string;
  /** `otel.component.type`. Default: `disk_buffer`. */
  readonly type?: string;
  /** Of how many commits a span is made, 0 .. 1. Default 0: of none. */
  readonly spanRatio?: number;
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider;
  /** Default: the real one. */
  readonly clock?: Clock;
}

let instrumented = 0;
let instrumentedExporters = 0;

/**
 * Makes the metrics of docs/metrics.md of an open buffer. They are computed when the SDK collects; the buffer keeps its
 * own counters in any case. Call the returned function when the buffer is closed.
 */
export function instrument(buffer: MeasuredBuffer, options: InstrumentOptions = {}): () => void {
  const { meterProvider = metrics.getMeterProvider(), type = 'disk_buffer', clock = nodePlatform().clock } = options;
  const { name = `${type}/${instrumented++}`, spanRatio = 0, tracerProvider } = options;
  const instruments = new Instruments(meterProvider);
  const provider = tracerProvider ?? trace.getTracerProvider();
  const spans = spanRatio > 0 ? new SampledSpans({ provider, ratio: spanRatio }) : undefined;
  const measured = new BufferMetrics({ buffer, name, type, clock, record: instruments.record, spans });
  const forget = instruments.observe(measured);
  return () => {
    forget();
    measured.end();
  };
}

/**
 * Makes the metrics of an exporter of `spillway/opentelemetry`, under the names of the semantic conventions. Call it
 * when the SDK is set up: before that the global meter provider makes nothing. Stops when the returned function is
 * called.
 */
export function instrumentExporter(
  exporter: MeasuredExporter,
  options: Pick<InstrumentOptions, 'meterProvider' | 'name'> = {},
): () => void {
  const { meterProvider = metrics.getMeterProvider() } = options;
  const { name = `${exporterTypeOf(exporter)}/${instrumentedExporters++}` } = options;
  return new Instruments(meterProvider).observe(new ExporterMetrics(exporter, name));
}
