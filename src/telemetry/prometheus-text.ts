// The metrics of the table as Prometheus reads them: the text format 0.0.4, with the names that OpenTelemetry's rules
// for Prometheus give, so that they are the same whether they come from here or through a collector.
//
//   spillway.buffer.received.size, By, counter    ->  spillway_buffer_received_size_bytes_total
//   spillway.cursor.oldest.age, s, gauge          ->  spillway_cursor_oldest_age_seconds
//
// Our own, because the official exporter brings the whole SDK: `/metrics` shall work where nothing else is installed.

import type { Attributes, Report, Subject } from './measurement.ts';
import { type Metric, metricOf, metricTable } from './metric-table.ts';

export const prometheusContentType = 'text/plain; version=0.0.4; charset=utf-8';

const unitNames: Readonly<Record<string, string>> = { s: 'seconds', By: 'bytes' };

interface Distribution {
  readonly attributes: Attributes;
  /** How many fell below each boundary and not below the one before; the last counts the rest. */
  readonly counts: number[];
  sum: number;
}

export class PrometheusText {
  readonly #distributions = new Map<string, Map<string, Distribution>>();
  /** Who measures often gives the same object each time. */
  readonly #labels = new WeakMap<Attributes, string>();

  /** Takes a measurement of a distribution. */
  readonly record: Report = (name, value, attributes) => {
    const { boundaries = [] } = metricOf(name);
    const byLabels = this.#distributions.get(name) ?? new Map<string, Distribution>();
    this.#distributions.set(name, byLabels);
    const key = this.#labels.get(attributes) ?? labelsOf(attributes);
    this.#labels.set(attributes, key);
    let found = byLabels.get(key);
    if (found === undefined) {
      found = { attributes, counts: new Array<number>(boundaries.length + 1).fill(0), sum: 0 };
      byLabels.set(key, found);
    }
    const at = boundaries.findIndex((boundary) => value <= boundary);
    const bucket = at === -1 ? boundaries.length : at;
    found.counts[bucket] = (found.counts[bucket] as number) + 1;
    found.sum += value;
  };

  /** Everything as it is now. Rejects if a subject does. */
  async render(subject: Subject): Promise<string> {
    const samples = new Map<string, string[]>();
    await subject.collect((name, value, attributes) => {
      const lines = samples.get(name) ?? [];
      samples.set(name, lines);
      lines.push(`${prometheusName(metricOf(name))}${bracketed(labelsOf(attributes))} ${numberText(value)}`);
    });
    const blocks = metricTable.map((metric) => {
      const lines = metric.kind === 'histogram' ? this.#histogramLines(metric) : (samples.get(metric.name) ?? []);
      return lines.length === 0 ? '' : `${heading(metric)}${lines.join('\n')}\n`;
    });
    return blocks.join('');
  }

  #histogramLines(metric: Metric): string[] {
    const name = prometheusName(metric);
    return [...(this.#distributions.get(metric.name)?.values() ?? [])].flatMap(({ attributes, counts, sum }) => {
      const labels = labelsOf(attributes);
      let below = 0;
      const buckets = counts.map((count, at) => {
        below += count;
        const boundary = metric.boundaries?.[at];
        const le = `le="${boundary === undefined ? '+Inf' : numberText(boundary)}"`;
        return `${name}_bucket${bracketed(labels === '' ? le : `${labels},${le}`)} ${below}`;
      });
      const ending = bracketed(labels);
      return [...buckets, `${name}_sum${ending} ${numberText(sum)}`, `${name}_count${ending} ${below}`];
    });
  }
}

/** The name that OpenTelemetry's rules give a metric in Prometheus. */
export function prometheusName({ name, unit, kind }: Metric): string {
  const base = cleaned(name);
  const isRatio = unit === '1' && kind === 'gauge';
  const suffix = isRatio ? 'ratio' : unitNames[unit];
  const withUnit = suffix === undefined || base.endsWith(`_${suffix}`) ? base : `${base}_${suffix}`;
  return kind === 'counter' ? `${withUnit}_total` : withUnit;
}

function heading(metric: Metric): string {
  const name = prometheusName(metric);
  const help = metric.description.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  const type = metric.kind === 'updowncounter' ? 'gauge' : metric.kind;
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function labelsOf(attributes: Attributes): string {
  return Object.entries(attributes)
    .map(([key, value]) => `${cleaned(key)}="${escaped(value)}"`)
    .join(',');
}

function bracketed(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}

function cleaned(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9]+/g, '_');
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : `${value > 0 ? '+' : '-'}Inf`;
}
