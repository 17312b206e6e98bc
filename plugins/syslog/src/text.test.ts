import { expect, it } from 'vitest';
import { cutToBytes, headerField, parameterName, withoutControls } from './text.ts';

it.each([
  ['host', 255, 'host'],
  ['', 10, '-'],
  [undefined, 10, '-'],
  ['two words', 20, 'two_words'],
  ['zürich\u0000', 20, 'z_rich_'],
  ['abcdef', 3, 'abc'],
])('%j in a header is, at %i characters, %j', (text, max, expected) => {
  expect(headerField(text, max)).toBe(expected);
});

it('makes names of parameters', () => {
  expect(parameterName('http.method')).toBe('http.method');
  expect(parameterName('a="]b c')).toBe('a___b_c');
  expect(parameterName('')).toBe('_');
  expect(parameterName('x'.repeat(40))).toBe('x'.repeat(32));
});

it('keeps controls but for U+0000, or writes them so that they can be undone', () => {
  const text = 'a\nb\r\tc\u0000\u001b\u007f\u0085\\n';
  expect(withoutControls(text, 'keep')).toBe('a\nb\r\tc\u{fffd}\u001b\u007f\u0085\\n');
  expect(withoutControls(text, 'escape')).toBe('a\\nb\\r\\tc\\u0000\\u001b\\u007f\\u0085\\\\n');
});

it.each([
  ['abc', 3, 'abc'],
  ['abc', 2, 'ab'],
  ['äö', 3, 'ä'],
  ['äö', 1, ''],
  ['漢字', 5, '漢'],
  ['🜁🜁', 7, '🜁'],
  ['🜁', 3, ''],
  ['abc', 0, ''],
  ['abc', -5, ''],
])('cuts %j to %i bytes: %j', (text, bytesMax, expected) => {
  expect(cutToBytes(text, bytesMax)).toBe(expected);
});
