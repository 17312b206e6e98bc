import { describe, expect, it } from 'vitest';
import { holdable, holdableJson } from './text.ts';

describe('a text', () => {
  it.each([
    ['plain', 'plain'],
    ['a\u0000b\u0000', 'a\ufffdb\ufffd'],
    ['\ud800 alone', '\ufffd alone'],
    ['alone \udc00', 'alone \ufffd'],
    ['\udc00\ud800', '\ufffd\ufffd'],
    ['a pair \u{1f701}', 'a pair \u{1f701}'],
    ['\u0001\u001b', '\u0001\u001b'],
    ['', ''],
  ])('%j becomes %j', (text, expected) => {
    expect(holdable(text)).toBe(expected);
  });
});

describe('JSON', () => {
  const texts = [
    'plain',
    'a\u0000b',
    '\\u0000',
    '\\\u0000',
    '\\\\u0000',
    '\\ud800',
    '\ud800',
    '"\udfff"',
    '\u{1f701}\u0000',
  ];

  it.each(texts)('of %j holds what the text could hold, and means the same', (text) => {
    const value = { [text]: [text, { nested: text }] };
    const kept = holdable(text);
    expect(JSON.parse(holdableJson(JSON.stringify(value)))).toEqual({ [kept]: [kept, { nested: kept }] });
  });
});
