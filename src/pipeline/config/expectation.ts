// The words for what was expected, by what zod says of an issue, and for what was meant by what is nearly right.

import type { z } from 'zod';

/** Of more, the names of those that belong to every component are left out. */
export const listedMax: number = 6;

/** Kinds of values by the format that contract/values.ts gives them. */
export const valueNames: Readonly<Record<string, string>> = {
  address: 'host:port such as 127.0.0.1:4318',
  path: 'a path',
  seconds: 'a number of seconds',
};

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
  null: 'nothing',
  undefined: 'nothing',
};

const formatNames: Readonly<Record<string, string>> = {
  url: 'a URL',
  email: 'an e-mail address',
  uuid: 'a UUID',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
  regex: 'text of another form',
  duration: 'a duration',
  datetime: 'a date and time',
};

/** What stands behind `expected`. */
export function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeNames[issue.expected] ?? `a value of type ${issue.expected}`;
    case 'invalid_value':
      return oneOf(issue.values);
    case 'too_small':
      return limit(issue.origin, `${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`);
    case 'too_big':
      return limit(issue.origin, `${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`);
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return formatNames[issue.format] ?? `text in the form "${issue.format}"`;
    default:
      return 'another value';
  }
}

export function oneOf(values: readonly unknown[]): string {
  if (values.length === 0) return 'another value';
  return values.length === 1 ? shown(values[0]) : `one of ${values.map(shown).join(', ')}`;
}

function limit(origin: string, bound: string): string {
  const units: Readonly<Record<string, string>> = { string: ' characters', array: ' items', set: ' items' };
  if (origin === 'string' && bound === 'at least 1') return 'text that is not empty';
  const things = units[origin] ?? (origin === 'object' || origin === 'map' ? ' keys' : '');
  return `${bound}${bound.endsWith(' 1') ? things.replace(/s$/, '') : things}`;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : String(value);
}

export function list(keys: readonly string[]): string {
  return keys.toSorted().join(', ');
}

/** `5s` and `10k` are numbers with something behind them, `"5"` is one in quotes. */
export function numberMeant(text: string): string {
  const [number, unit] = /^(-?\d+(?:\.\d+)?)\s*([a-z%/]*)/i.exec(text)?.slice(1) ?? [];
  if (number === undefined) return '';
  return unit === '' ? `; write ${number} without quotes` : '; write a number alone, without a unit';
}

/** What keys there are, in place of one that is not. */
export function keysText(own: readonly string[], others: readonly string[]): string {
  if (others.length <= listedMax)
    return own.length + others.length === 0 ? '' : `; it has ${list([...own, ...others])}`;
  // Only sinks have so many.
  return own.length === 0 ? '; it has what all sinks have' : `; it has ${list(own)}, and what all sinks have`;
}
