// 64-bit integers between the decimal text that JSON gives them and the two 32-bit words that protobuf does, without
// the allocations of BigInt: three of them stand in every log record and span.

const two16 = 2 ** 16;
const two32 = 2 ** 32;
const billion = 1e9;

/** Two's complement in two words. Filled by the parsers below, which would have to make one otherwise. */
export interface Words {
  low: number;
  high: number;
}

/** Parses an integer given as text, number or bigint. False: it is none, or takes more than 64 bits. */
export function parseInteger(value: unknown, signed: boolean, into: Words): boolean {
  switch (typeof value) {
    case 'string':
      return parseDecimal(value, signed, into);
    case 'number':
      if (Number.isSafeInteger(value)) return fromSafe(value, signed, into);
      return Number.isInteger(value) && parseDecimal(BigInt(value).toString(), signed, into);
    case 'bigint':
      return parseDecimal(value.toString(), signed, into);
    default:
      return false;
  }
}

function fromSafe(value: number, signed: boolean, into: Words): boolean {
  into.low = value >>> 0;
  into.high = Math.floor(value / two32) >>> 0;
  return signed || value >= 0;
}

function parseDecimal(text: string, signed: boolean, into: Words): boolean {
  const negative = text.charCodeAt(0) === 0x2d;
  let start = negative ? 1 : 0;
  if (start === text.length) return false;
  while (text.charCodeAt(start) === 0x30 && start < text.length - 1) start += 1; // No more digits than count.
  if (text.length - start > 20) return false;
  const middle = Math.max(start, text.length - 9);
  const upper = digits(text, start, middle);
  const lower = digits(text, middle, text.length);
  if (upper < 0 || lower < 0) return false;
  // upper * 1e9 + lower, in steps that stay exact: upper has 37 bits.
  const lowPart = (upper % two16) * billion + lower;
  const highPart = Math.floor(upper / two16) * billion;
  const rest = (highPart % two16) * two16 + lowPart;
  const high = Math.floor(highPart / two16) + Math.floor(rest / two32);
  if (high >= two32) return false;
  into.low = rest % two32;
  into.high = high;
  if (!negative) return !signed || high < 0x8000_0000;
  if (into.low === 0 && high === 0) return true;
  if (!signed || high > 0x8000_0000 || (high === 0x8000_0000 && into.low > 0)) return false;
  negate(into);
  return true;
}

/** The number that the digits in a part of the text make; -1 if one is no digit. */
function digits(text: string, start: number, end: number): number {
  let value = 0;
  for (let index = start; index < end; index += 1) {
    const digit = text.charCodeAt(index) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function negate(words: Words): void {
  const carry = words.low === 0 ? 1 : 0;
  words.low = (~words.low + 1) >>> 0;
  words.high = (~words.high + carry) >>> 0;
}

export function decimalOfUnsigned(low: number, high: number): string {
  if (high < 2 ** 21) return String(high * two32 + low);
  // Long division by 1e9 in digits of 16 bits.
  const first = Math.floor(high / billion);
  const second = (high % billion) * two16 + (low >>> 16);
  const third = (second % billion) * two16 + (low & 0xffff);
  const quotient = first * two32 + Math.floor(second / billion) * two16 + Math.floor(third / billion);
  return String(quotient) + String(third % billion).padStart(9, '0');
}

export function decimalOfSigned(low: number, high: number): string {
  if (high < 0x8000_0000) return decimalOfUnsigned(low, high);
  const words = { low, high };
  negate(words);
  return `-${decimalOfUnsigned(words.low, words.high)}`;
}

/** Milliseconds as nanoseconds, to the microsecond. What is no time that 64 bits can hold becomes 0: not known. */
export function nanosecondsOf(timeMs: number, into: Words): void {
  const isTime = timeMs >= 0 && timeMs < 1.8e13;
  const whole = isTime ? Math.floor(timeMs) : 0;
  const micros = isTime ? Math.round((timeMs - whole) * 1_000) : 0;
  const two20 = 2 ** 20;
  const upper = Math.floor(whole / two20) * 1e6;
  const lower = (whole % two20) * 1e6 + micros * 1_000;
  const rest = (upper % 2 ** 12) * two20 + lower;
  into.low = rest % two32;
  into.high = Math.floor(upper / 2 ** 12) + Math.floor(rest / two32);
}
