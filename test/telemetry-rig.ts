// Collects what a subject reports, as a test compares it.

import type { Span, SpanOptions, Tracer, TracerProvider } from '@opentelemetry/api';
import type { Attributes, Report, Subject } from '../src/telemetry/measurement.ts';
import { metricOf } from '../src/telemetry/metric-table.ts';

export interface Point {
  readonly name: string;
  readonly value: number;
  readonly attributes: Attributes;
}

export class Points {
  readonly all: readonly Point[];

  constructor(all: readonly Point[]) {
    this.all = all;
  }

  /** The names, each once. */
  get names(): string[] {
    return [...new Set(this.all.map(({ name }) => name))];
  }

  /** The value with these attributes, others aside; undefined if nothing was reported. Fails if there are several. */
  value(name: string, attributes: Attributes = {}): number | undefined {
    metricOf(name);
    const found = this.all.filter(
      (point) => point.name === name && Object.entries(attributes).every(([key, one]) => point.attributes[key] === one),
    );
    if (found.length > 1) throw new Error(`${found.length} values of ${name}: ${JSON.stringify(found)}`);
    return found[0]?.value;
  }
}

/** Reports with attributes that the table does not list for the metric, or without one that it lists. */
export function strayAttributes({ all }: Points): string[] {
  return all.flatMap(({ name, attributes }) => {
    const listed = metricOf(name).attributes;
    const found = Object.keys(attributes);
    const stray = found.filter((key) => !listed.includes(key));
    const missing = listed.filter((key) => key !== 'error.type' && !found.includes(key));
    return stray.length + missing.length === 0 ? [] : [`${name}: ${[...stray, ...missing].join()}`];
  });
}

export async function collected(subject: Subject): Promise<Points> {
  const all: Point[] = [];
  const report: Report = (name, value, attributes) => all.push({ name, value, attributes });
  await subject.collect(report);
  return new Points(all);
}

export interface KeptSpan {
  readonly name: string;
  readonly options: SpanOptions;
  attributes: Attributes | Readonly<Record<string, unknown>>;
  status: unknown;
  readonly events: string[];
  endMs: unknown;
  isEnded: boolean;
}

/** A tracer provider that keeps what it is told. */
export class SpanKeeper {
  readonly spans: KeptSpan[] = [];
  readonly provider: TracerProvider = { getTracer: () => this.#tracer() };

  #tracer(): Tracer {
    return { startSpan: (name: string, options: SpanOptions = {}) => this.#start(name, options) } as Tracer;
  }

  #start(name: string, options: SpanOptions): Span {
    const { attributes = {} } = options;
    const kept: KeptSpan = {
      name,
      options,
      attributes,
      status: undefined,
      events: [],
      endMs: undefined,
      isEnded: false,
    };
    this.spans.push(kept);
    const span = {
      setAttributes: (more: object) => {
        kept.attributes = { ...kept.attributes, ...more };
      },
      setAttribute: (key: string, value: unknown) => {
        kept.attributes = { ...kept.attributes, [key]: value };
      },
      setStatus: (status: unknown) => {
        kept.status = status;
      },
      addEvent: (event: string) => {
        kept.events.push(event);
      },
      end: (endMs: unknown) => {
        kept.endMs = endMs;
        kept.isEnded = true;
      },
    };
    return span as unknown as Span;
  }
}
