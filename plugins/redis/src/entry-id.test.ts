import { describe, expect, it } from 'vitest';
import { compareEntryIds, formatEntryId, noEntry, parseEntryId, parseOrigin } from './entry-id.ts';

describe('an entry id', () => {
  it.each(['0-0', '1-1', '4294967295-9007199254740991'])('%s is read and written', (text) => {
    const id = parseEntryId(text);
    expect(id && formatEntryId(id)).toBe(text);
  });

  it.each(['', '1', '1-', '-1', '1-2-3', 'a-b', '1-2 ', '123456789012345678901-1'])('is not "%s"', (text) => {
    expect(parseEntryId(text)).toBeUndefined();
  });

  it('stands by its epoch first, as numbers and not as text', () => {
    const ascending = ['0-0', '0-1', '1-2', '1-10', '2-1', '10-1', '1700000000000-0', '18446744073709551615-0'];
    const ids = ascending.map((text) => parseEntryId(text) ?? noEntry);
    for (const [at, a] of ids.entries()) {
      for (const [bt, b] of ids.entries()) expect(Math.sign(compareEntryIds(a, b))).toBe(Math.sign(at - bt));
    }
  });
});

it('reads an origin', () => {
  expect(parseOrigin('0b1e9c52-6f0d/12')).toEqual({ uuid: '0b1e9c52-6f0d', epoch: 12 });
  for (const none of ['', 'uuid', 'uuid/', '/1', 'a/b/1', 'uuid/1-2']) expect(parseOrigin(none)).toBeUndefined();
});
