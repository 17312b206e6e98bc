// Small values in the shape in which OTLP JSON has them.

export interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string };
}

export function text(key: string, value: string): Attribute {
  return { key, value: { stringValue: value } };
}

/** A whole number. JSON has 64-bit integers as text. */
export function number(key: string, value: number): Attribute {
  return { key, value: { intValue: String(value) } };
}

/** Milliseconds since 1970-01-01 UTC, with fractions, as OTLP's nanoseconds, exact to the microsecond. */
export function nanosecondsOf(timeMs: number): string {
  const wholeMs = Math.floor(timeMs);
  const microseconds = Math.floor((timeMs - wholeMs) * 1000);
  return `${wholeMs}${String(microseconds).padStart(3, '0')}000`;
}
