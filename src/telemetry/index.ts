// What `import ... from 'spillway/telemetry'` gives: the metrics of a buffer, through the OpenTelemetry API.

export type { MeasuredBuffer } from './buffer-metrics.ts';
export type { MeasuredExporter } from './exporter-metrics.ts';
export { type InstrumentOptions, instrument, instrumentExporter } from './instrument.ts';
export { type Metric, type MetricKind, metricTable } from './metric-table.ts';
