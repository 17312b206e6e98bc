// The metrics of an exporter of `spillway/opentelemetry`, under the names that the semantic conventions have for every
// exporter of an SDK. An item is exported when it has come to its end: the receiver has it, or never will; until then,
// on disk included, it is in flight.

import type { Amount } from '../engine/ledger-slot.ts';
import { type Attributes, type Report, reportState, type Subject } from './measurement.ts';
import { componentName, componentType, errorType, stateName } from './metric-table.ts';

const bufferStates = ['starting', 'open', 'stalled', 'failed', 'closing', 'closed'];
const deliveryStates = ['running', 'retrying', 'blocked'];

/** Of each signal: how the conventions call its items, and the exporter. */
const names = {
  traces: { item: 'span', type: 'otlp_http_span_exporter' },
  logs: { item: 'log', type: 'otlp_http_log_exporter' },
  metrics: { item: 'metric_data_point', type: 'otlp_http_metric_exporter' },
} as const;

type SignalName = keyof typeof names;

/** What is asked of an exporter that is measured. The exporters of `spillway/opentelemetry` have it. */
export interface MeasuredExporter {
  stats(): {
    readonly signal: SignalName;
    readonly state: string;
    readonly failed: number;
    readonly delivered: number;
    readonly refused: number;
    readonly rejected: number;
    readonly dropped: number;
    readonly damaged: number;
    readonly backlog: Amount;
    readonly disk: { readonly usedBytes: number; readonly maxBytes: number };
    readonly delivery: { readonly state: string };
  };
}

export function exporterTypeOf(exporter: MeasuredExporter): string {
  return names[exporter.stats().signal].type;
}

export class ExporterMetrics implements Subject {
  readonly #exporter: MeasuredExporter;
  readonly #attributes: Attributes;
  /** What was given up may get through at the last moment; a counter does not go back for it. */
  readonly #highest = new Map<string, number>();

  constructor(exporter: MeasuredExporter, name: string) {
    this.#exporter = exporter;
    this.#attributes = { [componentName]: name, [componentType]: exporterTypeOf(exporter) };
  }

  collect(report: Report): void {
    const attributes = this.#attributes;
    const stats = this.#exporter.stats();
    const metric = `otel.sdk.exporter.${names[stats.signal].item}`;
    const { failed, delivered, refused, rejected, dropped, damaged, backlog, disk } = stats;
    report(`${metric}.inflight`, backlog.events, attributes);
    report(`${metric}.exported`, this.#growing('delivered', delivered), attributes);
    const failures = { not_stored: failed, rejected: refused + rejected, dropped_oldest: dropped, damaged };
    for (const [reason, events] of Object.entries(failures)) {
      report(`${metric}.exported`, this.#growing(reason, events), { ...attributes, [errorType]: reason });
    }
    report('spillway.buffer.backlog.events', backlog.events, attributes);
    report('spillway.buffer.backlog.size', backlog.bytes, attributes);
    report('spillway.buffer.disk.usage', disk.usedBytes, attributes);
    report('spillway.buffer.disk.limit', disk.maxBytes, attributes);
    const common = { report, key: stateName, attributes };
    reportState({ ...common, name: 'spillway.buffer.state', states: bufferStates, state: stats.state });
    const { state } = stats.delivery;
    reportState({ ...common, name: 'spillway.exporter.state', states: deliveryStates, state });
  }

  #growing(name: string, value: number): number {
    const highest = Math.max(value, this.#highest.get(name) ?? 0);
    this.#highest.set(name, highest);
    return highest;
  }
}
