// The same events, however the bytes arrive: cut at once, or in parts that are offered again with more behind them.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ZodType } from 'zod';
import { bodyOf, type CutRules, cutBytesMin, cutLines } from './line-cutter.ts';
import { joiningModes, joiningSchema, type LineJoining } from './line-joining.ts';

const joiningOf = (given: object): LineJoining => (joiningSchema as ZodType<LineJoining>).parse(given);

function cutAtOnce(text: string, rules: CutRules): string[] {
  return cutInParts(text, rules, [text.length]);
}

function cutInParts(text: string, rules: CutRules, lengths: readonly number[]): string[] {
  const bytes = Buffer.from(text);
  const texts: string[] = [];
  let from = 0;
  let midLine = false;
  const offer = (to: number, isLast: boolean): void => {
    const cut = cutLines({ bytes, from, to, midLine, end: isLast ? 'end_all' : 'leave' }, rules);
    for (const event of cut.events) {
      expect(event.start).toBeGreaterThanOrEqual(from);
      expect(event.next).toBeLessThanOrEqual(to);
      texts.push(Buffer.from(bodyOf(bytes, event)).toString());
    }
    if (to - from >= cutBytesMin(rules)) expect(cut.consumed).toBeGreaterThan(from);
    from = cut.consumed;
    midLine = cut.midLine;
  };
  let to = 0;
  for (const length of lengths) {
    to = Math.min(bytes.length, to + length);
    offer(to, false);
  }
  offer(bytes.length, true);
  return texts;
}

const text = fc
  .array(fc.constantFrom('a', 'b', ' ', '\n', '\r\n', 'ö', '|', '||', 'abcdefgh', '\0'), { maxLength: 80 })
  .map((parts) => parts.join(''));
const lengths = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 20 });
const joinings = fc.record({
  mode: fc.constantFrom(...joiningModes),
  start_pattern: fc.constantFrom('^a', '.', '^$'),
  condition_pattern: fc.constantFrom('^ ', 'b$', 'ö'),
});

describe('lines', () => {
  it('are those between the line feeds', () => {
    fc.assert(
      fc.property(text, lengths, (given, parts) => {
        const rules: CutRules = { delimiter: Buffer.from('\n'), lineBytesMax: 1_000 };
        const expected = given.replace(/^\0+/gm, '').split('\n');
        const last = expected.pop();
        const naive = expected.map((line) => line.replace(/\r$/, ''));
        expect(cutInParts(given, rules, parts)).toEqual(last === '' ? naive : [...naive, last]);
      }),
    );
  });

  it('do not depend on how they arrive, whatever ends them, however long they may be', () => {
    fc.assert(
      fc.property(
        text,
        lengths,
        fc.constantFrom('\n', '||', '|'),
        fc.integer({ min: 4, max: 40 }),
        (given, parts, end, max) => {
          const rules: CutRules = { delimiter: Buffer.from(end), lineBytesMax: max };
          expect(cutInParts(given.replaceAll('\0', ''), rules, parts)).toEqual(
            cutAtOnce(given.replaceAll('\0', ''), rules),
          );
        },
      ),
    );
  });

  it('are joined alike, however they arrive', () => {
    fc.assert(
      fc.property(text, lengths, joinings, (given, parts, joining) => {
        const rules: CutRules = { delimiter: Buffer.from('\n'), lineBytesMax: 500, joining: joiningOf(joining) };
        expect(cutInParts(given.replaceAll('\0', ''), rules, parts)).toEqual(
          cutAtOnce(given.replaceAll('\0', ''), rules),
        );
      }),
    );
  });
});

describe('lines that belong together', () => {
  const rulesOf = (joining: object): CutRules => {
    return { delimiter: Buffer.from('\n'), lineBytesMax: 60, joining: joiningOf(joining) };
  };

  it.each([
    ['continue_through', '^\\S', '^\\s', 'a\n b\n c\nd\n', ['a\n b\n c', 'd']],
    ['continue_past', '\\\\$', '\\\\$', 'x\na \\\nb \\\nc\nd\n', ['x', 'a \\\nb \\\nc', 'd']],
    ['halt_before', '^\\d', '^\\d', 'x\n1 a\nb\n2 c\nd\n', ['x', '1 a\nb', '2 c\nd']],
    ['halt_with', '^', ';$', 'a\nb;\nc;\nd\n', ['a\nb;', 'c;\nd']],
  ])('%s', (mode, start_pattern, condition_pattern, given, expected) => {
    expect(cutAtOnce(given, rulesOf({ mode, start_pattern, condition_pattern }))).toEqual(expected);
  });

  it('end before they pass the limit of a line', () => {
    const rules = rulesOf({ mode: 'continue_through', start_pattern: '^', condition_pattern: '^' });
    const texts = cutAtOnce('0123456789\n'.repeat(20), rules);
    expect(texts.join('\n')).toBe('0123456789\n'.repeat(20).trimEnd());
    expect(Math.max(...texts.map((each) => each.length))).toBeLessThanOrEqual(60);
  });

  it('take flags in front of a pattern, and refuse what is none', () => {
    const rules = rulesOf({ mode: 'halt_before', start_pattern: '(?i)^error', condition_pattern: '(?i)^error' });
    expect(cutAtOnce('Error 1\nat\nERROR 2\n', rules)).toEqual(['Error 1\nat', 'ERROR 2']);
    const given = { mode: 'halt_with', start_pattern: '(', condition_pattern: 'a' };
    expect(joiningSchema.safeParse(given).error?.issues[0]?.message).toContain('expected a regular expression');
  });
});

it('cuts no character in two', () => {
  const rules: CutRules = { delimiter: Buffer.from('\n'), lineBytesMax: 5 };
  expect(cutAtOnce('ööö\n', rules)).toEqual(['öö']);
});

it('knows a delimiter that comes by half behind a line that is too long', () => {
  const rules: CutRules = { delimiter: Buffer.from('||'), lineBytesMax: 4 };
  const given = 'abcdefgh||a||';
  for (let at = 1; at < given.length; at++) expect(cutInParts(given, rules, [at])).toEqual(['abcd', 'a']);
});
