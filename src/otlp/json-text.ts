// Looks at JSON as text before it is parsed, for what the parser does not do: it makes objects of whatever it gets, and
// it rounds numbers.
//
// All of it only concerns what is outside of strings, so the text is walked from string to string. What is no JSON is
// the parser's to refuse; here it only has to end.

/**
 * What stands for a number that is passed through the parser as text begins with it: half of a character, with which
 * no sound text can begin.
 */
const mark = '\udc00';
const markEscape = '\\udc00';

/** Objects and arrays. Two bytes of text are enough for one, and each takes some fifty bytes once it is parsed. */
export function countContainers(text: string): number {
  let count = 0;
  eachGap(text, (start, end) => {
    for (let index = start; index < end; index += 1) {
      const code = text.charCodeAt(index);
      if (code === 0x7b || code === 0x5b) count += 1;
    }
    return undefined;
  });
  return count;
}

/**
 * Whether members have more names than so many. The parser makes a shape for each new one, which takes it seconds for a
 * few megabytes of them. OTLP has few: names of attributes are values.
 */
export function hasMoreNames(text: string, namesMax: number): boolean {
  const names = new Set<string>();
  let stringAt = 0;
  eachGap(text, (start, end) => {
    colon.lastIndex = start;
    if (colon.test(text)) names.add(text.slice(stringAt, start));
    stringAt = end;
    return names.size <= namesMax;
  });
  return names.size > namesMax;
}

/** What follows a string that names a member. */
const colon = /[ \t\r\n]*:/y;

const digitsMin = 16;
const longInteger = /(?<![\w.+-])-?\d{16,20}(?![\w.+-])/g;

/**
 * Sound JSON with integers that a number may not hold as marked strings. A reviver would do the same ten times slower,
 * and take the memory of all values again.
 */
export function markLongIntegers(text: string): string {
  let marked = '';
  let copiedTo = 0;
  eachGap(text, (start, end) => {
    if (end - start < digitsMin) return undefined;
    for (const { index, 0: digits } of text.slice(start, end).matchAll(longInteger)) {
      marked += `${text.slice(copiedTo, start + index)}"${markEscape}${digits}"`;
      copiedTo = start + index + digits.length;
    }
    return undefined;
  });
  return marked + text.slice(copiedTo);
}

/** The integer of a marked string; all else as it is. */
export function unmarked(value: unknown): unknown {
  if (typeof value !== 'string' || !value.startsWith(mark)) return value;
  return /^-?\d{1,20}$/.test(value.slice(1)) ? BigInt(value.slice(1)) : value;
}

/** Calls `gap` with each part of the text that is outside of strings, until it says false. */
function eachGap(text: string, gap: (start: number, end: number) => boolean | undefined): void {
  for (let from = 0; from < text.length; ) {
    const quote = text.indexOf('"', from);
    if (gap(from, quote < 0 ? text.length : quote) === false || quote < 0) return;
    from = endOfString(text, quote + 1);
  }
}

function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes += 1;
    if (backslashes % 2 === 0) return at + 1;
  }
  return text.length;
}
