import { describe, expect, it } from 'vitest';
import { countContainers, hasMoreNames, markLongIntegers, unmarked } from './json-text.ts';

it.each([
  ['', 0],
  ['{}', 1],
  ['[{},[]]', 3],
  ['{"[{":"{\\"[","\\\\":[]}', 2],
  ['"{\\\\\\"{"{', 1],
  ['{"never ended [[', 1],
])('counts what is outside of strings: %s', (text, count) => {
  expect(countContainers(text)).toBe(count);
});

it.each([
  ['{}', 0],
  ['{"a":1,"b":["c","d"],"a":{"a":1}}', 2],
  ['{"a" \n:1,"b:":2,"\\":":3}', 3],
  ['["a","b":', 1],
])('knows how many names there are: %s', (text, count) => {
  if (count > 0) expect(hasMoreNames(text, count - 1)).toBe(true);
  expect(hasMoreNames(text, count)).toBe(false);
});

describe('a long integer', () => {
  const parse = (text: string): unknown =>
    JSON.parse(markLongIntegers(text), (_key, value: unknown) => unmarked(value));

  it.each([
    ['9007199254740993', 9007199254740993n],
    ['-9007199254740993', -9007199254740993n],
    ['[1,18446744073709551615 , 2]', [1, 18446744073709551615n, 2]],
    ['{"a":1234567890123456,"b":"1234567890123456"}', { a: 1234567890123456n, b: '1234567890123456' }],
    ['{"a\\"":1234567890123456}', { 'a"': 1234567890123456n }],
    ['"a \\\\\\" 1234567890123456 "', 'a \\" 1234567890123456 '],
  ])('keeps its digits: %s', (text, value) => {
    expect(parse(text)).toEqual(value);
  });

  it.each(['123456789012345', '1234567890123456.5', '0.1234567890123456', '1234567890123456e2', '1e-1234567890123456'])(
    'is none: %s',
    (text) => {
      expect(markLongIntegers(text)).toBe(text);
    },
  );
});

it.each(['\udc00', '\udc00x', '12', 7, undefined])('leaves what only resembles a marked string: %j', (value) => {
  expect(unmarked(value)).toBe(value);
});
