// The value that an event has for a column: a text that the server casts to the column's type, or nothing, which is
// NULL then. For columns of JSON it is JSON, and attributes keep their kind; for others it is the plain text.

import type { AnyValue, KeyValue, Signal, TelemetryEvent } from 'spillway/plugin';
import type { ColumnSource, FieldSource } from './column-source.ts';
import { holdable, holdableJson } from './text.ts';

export interface EventFacts {
  readonly signal: Signal;
  readonly key: string;
  readonly buffer: string;
  readonly epoch: number;
  readonly id: number;
  /** The event with its resource and scope, as an OTLP request. Undefined: it cannot be decoded. */
  readonly json: () => string | undefined;
  /** Where a column asks for fields. */
  readonly fields: TelemetryEvent | undefined;
}

export interface ColumnText {
  readonly text: string | undefined;
  /** Whether something in it could not be held and was replaced. */
  readonly isChanged: boolean;
}

const nothing: ColumnText = { text: undefined, isChanged: false };

export function columnText(source: ColumnSource, facts: EventFacts, isJson: boolean): ColumnText {
  switch (source.kind) {
    case 'key':
    case 'buffer':
    case 'epoch':
    case 'id':
    case 'signal': {
      const text = String(facts[source.kind]);
      return { text: isJson ? JSON.stringify(text) : text, isChanged: false };
    }
    case 'json':
      return jsonText(facts.json());
    default:
      return textOf(fieldOf(source, facts.fields as TelemetryEvent), isJson);
  }
}

type Plain = string | number | boolean | readonly Plain[] | { readonly [name: string]: Plain | undefined } | undefined;

function fieldOf(source: FieldSource, { event, resource, scope, metric }: TelemetryEvent): Plain {
  switch (source.kind) {
    case 'time':
      return timeOf(event as Readonly<Record<string, unknown>>);
    case 'severity':
      return severityOf(event);
    case 'body':
      return 'body' in event ? plainOf(event.body) : undefined;
    case 'attributes':
      return plainMap(event.attributes);
    case 'resource':
      return plainMap(resource.attributes);
    case 'attribute':
      return plainAttribute(event.attributes, source.name);
    case 'resource_attribute':
      return plainAttribute(resource.attributes, source.name);
    case 'event':
      return at(event, source.path);
    case 'scope':
      return at(scope, source.path);
    case 'metric':
      return at(metric, source.path);
  }
}

function textOf(value: Plain, isJson: boolean): ColumnText {
  if (value === undefined) return nothing;
  if (isJson || typeof value === 'object') return jsonText(JSON.stringify(value));
  const text = String(value);
  const kept = holdable(text);
  return { text: kept, isChanged: kept !== text };
}

function jsonText(json: string | undefined): ColumnText {
  if (json === undefined) return nothing;
  const text = holdableJson(json);
  return { text, isChanged: text !== json };
}

function at(from: object | undefined, path: readonly string[]): Plain {
  let value: unknown = from;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value as Plain;
}

function plainAttribute(attributes: readonly KeyValue[] | undefined, name: string): Plain {
  return plainOf(attributes?.find(({ key }) => key === name)?.value);
}

function plainMap(attributes: readonly KeyValue[] | undefined): Plain {
  // Made of entries: a key may be called __proto__.
  return Object.fromEntries((attributes ?? []).map(({ key = '', value }) => [key, plainOf(value) ?? '']));
}

/** An attribute's value without OTLP's wrapping. Integers that a number cannot hold stay texts. */
function plainOf(value: AnyValue | undefined): Plain {
  if (value === undefined) return undefined;
  if (value.intValue !== undefined) {
    const number = Number(value.intValue);
    return Number.isSafeInteger(number) ? number : String(value.intValue);
  }
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map((each) => plainOf(each) ?? '');
  if (value.kvlistValue !== undefined) return plainMap(value.kvlistValue.values);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? value.bytesValue;
}

const severityNames = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];

function severityOf(event: TelemetryEvent['event']): string | undefined {
  if (!('severityText' in event || 'severityNumber' in event)) return undefined;
  return event.severityText || severityNames[Math.ceil((event.severityNumber ?? 0) / 4) - 1];
}

/** When it happened, or began, or was seen; in microseconds, which is all that a timestamp holds. */
function timeOf(event: Readonly<Record<string, unknown>>): string | undefined {
  const stamps = [event['timeUnixNano'], event['startTimeUnixNano'], event['observedTimeUnixNano']];
  const nanoseconds = stamps.find((stamp) => stamp !== undefined && stamp !== '0');
  if (nanoseconds === undefined) return undefined;
  const microseconds = BigInt(nanoseconds as string) / 1_000n;
  const seconds = new Date(Number(microseconds / 1_000_000n) * 1_000).toISOString().slice(0, 19);
  return `${seconds}.${String(microseconds % 1_000_000n).padStart(6, '0')}Z`;
}
