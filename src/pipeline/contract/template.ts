// Names that depend on the event: topics, subjects, routing keys. `telemetry.{signal}.{resource.service.name}`
//
//   {signal}            logs, traces or metrics
//   {resource.<name>}   an attribute of the resource
//   {attribute.<name>}  an attribute of the log record, span or data point
//   {severity}          the severity text of a log record, else the name of its number
//
// What an event does not have becomes `unknown`, so that it still has somewhere to go.

import { type ZodType, z } from 'zod';
import type { TelemetryEvent } from '../../otlp/decode.ts';
import type { AnyValue, KeyValue, LogRecord } from '../../otlp/request.ts';
import type { Signal } from '../../otlp/signal.ts';

export interface TemplateValues {
  readonly signal: Signal;
  /** Where {@link Template.needsFields}. */
  readonly event?: TelemetryEvent | undefined;
}

export interface Template {
  /** As it stands in the config. */
  readonly source: string;
  /** Whether it asks for more than the signal: then events have to be decoded. */
  readonly needsFields: boolean;
  /** `clean` takes out of a value what has a meaning in the name, such as the dot between the parts of a subject. */
  render(values: TemplateValues, clean?: (value: string) => string): string;
}

type Placeholder =
  | { readonly kind: 'signal' | 'severity' }
  | { readonly kind: 'resource' | 'attribute'; readonly name: string };
type Part = Placeholder | { readonly kind: 'text'; readonly text: string };

const unknownValue = 'unknown';
const severityNames = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** A text with placeholders. A brace that opens none of the above is an error. */
export function template(): ZodType<Template, string> {
  return z
    .string()
    .min(1)
    .transform((source, context) => {
      const parts = parse(source);
      if (parts !== undefined) return templateOf(source, parts);
      const message =
        'expected a text in which braces hold signal, severity, resource.<name> or attribute.<name>, ' +
        'such as telemetry/{signal}/{resource.service.name}';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    })
    .meta({ format: 'template' });
}

function parse(source: string): Part[] | undefined {
  const parts: Part[] = [];
  for (const [, inner, text] of source.matchAll(/\{([^{}]*)\}|([^{}]+|[{}])/g)) {
    const part = text === undefined ? placeholder(inner ?? '') : textPart(text);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return parts;
}

function textPart(text: string): Part | undefined {
  return text === '{' || text === '}' ? undefined : { kind: 'text', text };
}

function placeholder(inner: string): Placeholder | undefined {
  if (inner === 'signal' || inner === 'severity') return { kind: inner };
  const [, kind, name] = /^(resource|attribute)\.(.+)$/s.exec(inner) ?? [];
  return name === undefined ? undefined : { kind: kind as 'resource' | 'attribute', name };
}

function templateOf(source: string, parts: readonly Part[]): Template {
  return {
    source,
    needsFields: parts.some(({ kind }) => kind !== 'text' && kind !== 'signal'),
    render: (values, clean = (value) => value) =>
      parts.map((part) => (part.kind === 'text' ? part.text : clean(fieldText(part, values)))).join(''),
  };
}

function fieldText(part: Placeholder, { signal, event }: TemplateValues): string {
  switch (part.kind) {
    case 'signal':
      return signal;
    case 'severity':
      return severityOf(event?.event as LogRecord | undefined) || unknownValue;
    case 'resource':
      return attributeText(event?.resource.attributes, part.name) || unknownValue;
    case 'attribute':
      return attributeText(event?.event.attributes, part.name) || unknownValue;
  }
}

function severityOf(log: LogRecord | undefined): string | undefined {
  const number = log?.severityNumber ?? 0;
  return log?.severityText || severityNames[Math.ceil(number / 4) - 1];
}

/** The text of an attribute; `undefined` if there is none, or its value is none that a name could be made of. */
export function attributeText(attributes: readonly KeyValue[] | undefined, name: string): string | undefined {
  return textOf(attributes?.find(({ key }) => key === name)?.value);
}

function textOf(value: AnyValue | undefined): string | undefined {
  const plain = value?.stringValue ?? value?.boolValue ?? value?.intValue ?? value?.doubleValue;
  return plain === undefined ? undefined : String(plain);
}
