import { comparePlaces } from 'spillway/plugin';
import { describe, expect, it } from 'vitest';
import { formatEntryId, noEntry, parseEntryId } from './entry-id.ts';

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
      for (const [bt, b] of ids.entries()) expect(Math.sign(comparePlaces(a, b))).toBe(Math.sign(at - bt));
    }
  });
});
