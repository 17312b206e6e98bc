import { expect, it } from 'vitest';
import { isPublishSubject, subjectPart, takesSubject } from './subject.ts';

it('makes one part of whatever an event says', () => {
  for (let unit = 0; unit <= 0xffff; unit += 1) {
    const part = subjectPart(`x${String.fromCharCode(unit)}`);
    if (!isPublishSubject(`a.${part}.b`) || part.includes('.')) expect.fail(`U+${unit.toString(16)} gives ${part}`);
  }
  for (const long of ['x'.repeat(500), '🜁'.repeat(500), '\ud800'.repeat(500)]) {
    const part = subjectPart(long);
    expect(Buffer.byteLength(part)).toBeLessThanOrEqual(256);
    expect(Buffer.from(part).toString()).toBe(part);
  }
});

it.each([
  ['', '_'],
  ['a.b c*d>e\r\nf', 'a_b_c_d_e__f'],
  ['äöü 漢字', 'äöü_漢字'],
  ['\ud800', '_'],
])('%j becomes %s', (text, part) => {
  expect(subjectPart(text)).toBe(part);
});

it.each([
  ['a.b', 'a.b', true],
  ['a.b', 'a.c', false],
  ['a.b', 'a.b.c', false],
  ['a.b.c', 'a.b', false],
  ['a.*', 'a.b', true],
  ['a.*', 'a.b.c', false],
  ['*.b', 'a.b', true],
  ['a.>', 'a.b.c', true],
  ['a.>', 'a', false],
  ['>', 'a', true],
])('a stream with %s and a message to %s: %s', (pattern, subject, isTaken) => {
  expect(takesSubject(pattern, subject)).toBe(isTaken);
});
