// `spillway/opentelemetry`: exporters for the OpenTelemetry SDK with a disk behind them.

export { BufferedLogRecordExporter } from './buffered-log-record-exporter.ts';
export {
  BufferedMetricExporter,
  type BufferedMetricExporterOptions,
  type Temporality,
  type TemporalityPreference,
} from './buffered-metric-exporter.ts';
export { BufferedSpanExporter } from './buffered-span-exporter.ts';
export { type DiskTransportOptions, diskTransport } from './disk-transport.ts';
export type {
  BufferedExporterOptions,
  EndpointOptions,
  HeaderValues,
  TelemetryBufferOptions,
} from './exporter-options.ts';
export type { ExporterTransport, ExportResult, ResultCallback, TransportResponse } from './sdk-types.ts';
export { createTelemetryBuffer, type SharedBuffer } from './shared-buffer.ts';
export type { SignalStats } from './signal-stats.ts';
