// An event as one line that a person reads.
//
//   14:05:06.123  log     ERROR         checkout      payment refused  order=1844 http.route=/checkout
//   14:05:06.120  span    23.4 ms       frontend      POST /checkout  http.response.status_code=500
//   14:05:06.200  metric  1204          cart          http.server.requests
//
// Whatever telemetry says, a line stays one line and does nothing to the terminal: control characters are shown, not
// sent.

import { eachEvent, type MetricOfPoint, type TelemetryEvent } from '../../../otlp/decode.ts';
import type { AnyValue, KeyValue, LogRecord, Resource, Span } from '../../../otlp/request.ts';
import type { Signal } from '../../../otlp/signal.ts';

export interface Paint {
  faint(text: string): string;
  /** By severity, as logs number it: 17 and above is an error. */
  severity(text: string, number: number): string;
}

export const plain: Paint = { faint: (text) => text, severity: (text) => text };

export const coloured: Paint = {
  faint: (text) => (text === '' ? '' : `\u001b[2m${text}\u001b[22m`),
  severity(text, number) {
    const colour = number >= 17 ? 31 : number >= 13 ? 33 : number >= 9 ? 32 : 36;
    return `\u001b[${colour}m${text}\u001b[39m`;
  },
};

const widths = { signal: 6, level: 12, service: 12, attribute: 32, attributes: 120 } as const;
const errorStatus = 2;

/** A line for every event: of a log record its body, of others what a terminal would show. Undefined: malformed. */
export function plainLines(signal: Signal, bytes: Uint8Array): string[] | undefined {
  const events = eachEvent(signal, bytes);
  if (events === undefined) return undefined;
  return Array.from(events, (each) => {
    if (signal === 'logs') return harmless(textOf((each.event as LogRecord).body));
    return eventLine(signal, each, plain);
  });
}

export function eventLine(signal: Signal, telemetry: TelemetryEvent, paint: Paint): string {
  const { timeNs, level, severity, message, attributes } = partsOf(signal, telemetry);
  const kind = { logs: 'log', traces: 'span', metrics: 'metric' }[signal];
  const head = `${paint.faint(timeOf(timeNs))}  ${kind.padEnd(widths.signal)}  `;
  const service = harmless(serviceOf(telemetry.resource)).padEnd(widths.service);
  const shown = paint.severity(harmless(level).padEnd(widths.level), severity);
  const rest = attributesOf(attributes);
  return `${head}${shown}  ${service}  ${harmless(message)}${rest === '' ? '' : `  ${paint.faint(rest)}`}`.trimEnd();
}

interface Parts {
  readonly timeNs: unknown;
  readonly level: string;
  readonly severity: number;
  readonly message: string;
  readonly attributes: readonly KeyValue[] | undefined;
}

function partsOf(signal: Signal, { event, metric }: TelemetryEvent): Parts {
  switch (signal) {
    case 'logs': {
      const record = event as LogRecord;
      const severity = record.severityNumber ?? 0;
      return {
        timeNs: record.timeUnixNano ?? record.observedTimeUnixNano,
        level: record.severityText || (severity === 0 ? '-' : severityName(severity)),
        severity,
        message: textOf(record.body) || (record.eventName ?? ''),
        attributes: record.attributes,
      };
    }
    case 'traces': {
      const span = event as Span;
      const nanoseconds = Number(span.endTimeUnixNano ?? 0) - Number(span.startTimeUnixNano ?? 0);
      const isFailed = span.status?.code === errorStatus;
      const message = isFailed ? `${span.name ?? ''}  ${span.status?.message || 'failed'}` : (span.name ?? '');
      const level = durationOf(nanoseconds);
      return {
        timeNs: span.startTimeUnixNano,
        level,
        severity: isFailed ? 17 : 9,
        message,
        attributes: span.attributes,
      };
    }
    case 'metrics': {
      const point = event as Point;
      const message = metric?.name ?? '';
      const level = measured(point, metric);
      return { timeNs: point.timeUnixNano, level, severity: 9, message, attributes: point.attributes };
    }
  }
}

interface Point {
  readonly timeUnixNano?: unknown;
  readonly attributes?: readonly KeyValue[];
  readonly asInt?: unknown;
  readonly asDouble?: unknown;
  readonly count?: unknown;
  readonly sum?: unknown;
}

function measured({ asInt, asDouble, count, sum }: Point, metric: MetricOfPoint | undefined): string {
  const unit = /^[A-Za-z%]+$/.test(metric?.unit ?? '') ? ` ${metric?.unit}` : '';
  if (asInt !== undefined) return `${asInt}${unit}`;
  if (asDouble !== undefined) return `${rounded(Number(asDouble))}${unit}`;
  const events = Number(count ?? 0);
  if (events === 0 || sum === undefined) return `${events}x`;
  return `${events}x ${rounded(Number(sum) / events)}${unit}`;
}

function rounded(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}

function durationOf(nanoseconds: number): string {
  if (nanoseconds < 1e6) return `${Math.round(nanoseconds / 1e3)} us`;
  if (nanoseconds < 1e9) return `${(nanoseconds / 1e6).toFixed(1)} ms`;
  return `${(nanoseconds / 1e9).toFixed(2)} s`;
}

function severityName(number: number): string {
  const names = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
  return names[Math.floor((number - 1) / 4)] ?? String(number);
}

function timeOf(nanoseconds: unknown): string {
  const timeMs = Number(nanoseconds ?? 0) / 1e6;
  return timeMs > 0 ? new Date(timeMs).toISOString().slice(11, 23) : '-'.padEnd(12);
}

function serviceOf(resource: Resource | undefined): string {
  return textOf(resource?.attributes?.find(({ key }) => key === 'service.name')?.value) || '-';
}

function attributesOf(attributes: readonly KeyValue[] = []): string {
  const texts = attributes.map(
    ({ key, value }) => `${harmless(key ?? '')}=${cut(harmless(textOf(value)), widths.attribute)}`,
  );
  return cut(texts.join(' '), widths.attributes);
}

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 3)}...`;
}

function textOf(value: AnyValue | undefined): string {
  if (value === undefined) return '';
  if (value.stringValue !== undefined) return value.stringValue;
  const scalar = value.intValue ?? value.doubleValue ?? value.boolValue ?? value.bytesValue;
  if (scalar !== undefined) return String(scalar);
  const asJson = plainValue(value);
  return asJson === undefined ? '' : JSON.stringify(asJson);
}

function plainValue(value: AnyValue | undefined): unknown {
  if (value?.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainValue);
  if (value?.kvlistValue !== undefined) {
    return Object.fromEntries((value.kvlistValue.values ?? []).map((each) => [each.key ?? '', plainValue(each.value)]));
  }
  return value?.stringValue ?? value?.doubleValue ?? value?.boolValue ?? value?.intValue ?? value?.bytesValue;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal or split a line.
const controlPattern = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
const shortForms: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function harmless(text: string): string {
  return text.replace(
    controlPattern,
    (found) => shortForms[found] ?? `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
