// Puts made-up events into an OTLP request and numbers them.
//
// Numbers follow the order in which the bytes hold the events, so that a receiver of bytes sees them grow.

import { encodeRequest } from '../../../otlp/encode.ts';
import type { Signal, TelemetryBatch } from '../../../otlp/signal.ts';
import { number, text } from './otlp-values.ts';
import { type MadeEvent, metricOf } from './traffic.ts';

/** On every event: its number in its run, from 1, none skipped, none given twice. */
export const sequenceKey = 'spillway.generate.sequence';
/** On every resource: names the run, that is one start of the source. */
export const runKey = 'spillway.generate.run';

const scope = { name: 'spillway.generate' };

export interface RequestParts {
  readonly run: string;
  readonly services: readonly string[];
  /** The number of the first event. */
  readonly first: number;
}

export function requestOf(signal: Signal, events: readonly MadeEvent[], parts: RequestParts): TelemetryBatch {
  let next = parts.first;
  const numbered = ({ fields }: MadeEvent): object => {
    const attributes = [...fields.attributes, number(sequenceKey, next)];
    next += 1;
    return { ...fields, attributes };
  };
  const groups = groupedBy(events, ({ service }) => service).map(([service, members]) => ({
    resource: resourceOf(parts.services[service] ?? '', parts.run),
    ...scopesOf(signal, members, numbered),
  }));
  const names = { logs: 'resourceLogs', traces: 'resourceSpans', metrics: 'resourceMetrics' } as const;
  return { signal, events: events.length, bytes: encodeRequest(signal, { [names[signal]]: groups }) };
}

function scopesOf(signal: Signal, events: readonly MadeEvent[], numbered: (event: MadeEvent) => object): object {
  switch (signal) {
    case 'logs':
      return { scopeLogs: [{ scope, logRecords: events.map(numbered) }] };
    case 'traces':
      return { scopeSpans: [{ scope, spans: events.map(numbered) }] };
    case 'metrics': {
      const kinds = groupedBy(events, ({ metric = 0 }) => metric);
      const metrics = kinds.map(([kind, points]) => metricOf(kind, points.map(numbered)));
      return { scopeMetrics: [{ scope, metrics }] };
    }
  }
}

function resourceOf(service: string, run: string): object {
  return { attributes: [text('service.name', service), text('service.version', '1.4.2'), text(runKey, run)] };
}

function groupedBy<Item>(items: readonly Item[], keyOf: (item: Item) => number): [number, Item[]][] {
  const groups = new Map<number, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups];
}
