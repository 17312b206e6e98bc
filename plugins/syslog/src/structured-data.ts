// STRUCTURED-DATA: elements with parameters (RFC 5424, 6.3). One element for what the event is, `spillway@32473`, and
// one each for its attributes and those of its resource, `attributes@32473` and `resource@32473`. The number is the
// enterprise of whoever defines the names; 32473 is the one set aside for examples (RFC 5612), and an option.
//
// The same name may come twice in an element: names are cut to 32 characters, and then two can be the same.

import type { AnyValue, KeyValue, LogRecord, TelemetryEvent } from 'spillway/plugin';
import { valueText } from './any-value.ts';
import { type ControlCharacters, cutToBytes, parameterName, withoutControls } from './text.ts';

export type ElementName = 'event' | 'attributes' | 'resource';

export interface StructuredDataFormat {
  readonly elements: readonly ElementName[];
  readonly enterprise: number;
  readonly controls: ControlCharacters;
}

/** What had to go so that the message is not too long. */
export interface Cut {
  /** Bytes that the message had before it was cut. */
  readonly messageBytes?: number;
  /** For parameters of attributes and resource; those that do not fit are left out. */
  readonly parameterBytesMax: number;
}

/** Of texts that are not ours to bound, such as the name of a scope. */
const ownValueBytesMax = 128;

export function structuredData(
  { event, resource, scope }: TelemetryEvent,
  key: string | undefined,
  format: StructuredDataFormat,
  cut?: Cut,
): string {
  const log = event as LogRecord;
  const room = { bytes: cut?.parameterBytesMax ?? Number.POSITIVE_INFINITY, leftOut: 0 };
  const others = (['attributes', 'resource'] as const).map((name) => {
    if (!format.elements.includes(name)) return '';
    const { attributes = [] } = name === 'resource' ? resource : log;
    return element(name, parameters(attributes, format, room), format);
  });
  // Made last, because it says what was left out; stands first, because it is what a reader looks for.
  const own: [string, string | undefined][] = [
    ['truncated', cut?.messageBytes?.toString()],
    ['left_out', room.leftOut === 0 ? undefined : String(room.leftOut)],
  ];
  if (format.elements.includes('event')) {
    own.unshift(
      ['key', key],
      ['trace_id', log.traceId],
      ['span_id', log.spanId],
      ['severity_text', log.severityText],
      ['event_name', log.eventName],
      ['scope', scope.name],
    );
  }
  const text = own.map(([name, value]) => {
    return value ? parameter(name, cutToBytes(withoutControls(value, format.controls), ownValueBytesMax)) : '';
  });
  return element('spillway', text.join(''), format) + others.join('') || '-';
}

function element(name: string, inner: string, { enterprise }: StructuredDataFormat): string {
  return inner === '' ? '' : `[${name}@${enterprise}${inner}]`;
}

function parameters(
  attributes: readonly KeyValue[],
  format: StructuredDataFormat,
  room: { bytes: number; leftOut: number },
): string {
  let text = '';
  for (const { key = '', value } of attributes) {
    const next = parameter(parameterName(key), textOf(value, format));
    const bytes = room.bytes === Number.POSITIVE_INFINITY ? 0 : Buffer.byteLength(next);
    if (bytes > room.bytes) {
      room.leftOut += 1;
      continue;
    }
    room.bytes -= bytes;
    text += next;
  }
  return text;
}

function textOf(value: AnyValue | undefined, { controls }: StructuredDataFormat): string {
  const { text, isJson } = valueText(value) ?? { text: '', isJson: false };
  return isJson ? text : withoutControls(text, controls);
}

function parameter(name: string, value: string): string {
  return ` ${name}="${value.replace(/["\\\]]/g, '\\$&')}"`;
}
