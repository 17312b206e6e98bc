// Values of OTLP as text: what is a text stays one, what has a structure becomes JSON.

import type { AnyValue, KeyValue } from 'spillway/plugin';

export interface ValueText {
  readonly text: string;
  /** JSON is no text for people: no byte order mark stands before it, which parsers would not take. */
  readonly isJson: boolean;
}

/** Undefined: there is no value. */
export function valueText(value: AnyValue | undefined): ValueText | undefined {
  if (value === undefined) return undefined;
  const plain = plainOf(value);
  if (plain === null) return undefined;
  if (typeof plain === 'object') return { text: JSON.stringify(plain), isJson: true };
  return { text: String(plain), isJson: false };
}

function plainOf(value: AnyValue): unknown {
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainOf);
  if (value.kvlistValue !== undefined) return plainMap(value.kvlistValue.values ?? []);
  if (value.intValue !== undefined) return plainInteger(String(value.intValue));
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? value.bytesValue ?? null;
}

/** Without a prototype: `__proto__` is a name like any other. */
function plainMap(pairs: readonly KeyValue[]): object {
  const plain = Object.create(null) as Record<string, unknown>;
  for (const { key = '', value } of pairs) plain[key] = value === undefined ? null : plainOf(value);
  return plain;
}

/** Beyond 2^53 as text: a number would be another one. */
function plainInteger(decimal: string): number | string {
  const number = Number(decimal);
  return Number.isSafeInteger(number) ? number : decimal;
}
