// Makes requests of plain objects in the shape of OTLP/JSON (request.ts), driven by the table of messages (schema.ts).
//
// Keys may be spelt in camelCase or snake_case; unknown keys, undefined and null are left out. What does not fit its
// field is refused with its place, never coerced: a value that arrives changed is worse than one that does not.
import { UsageError } from '../base/errors.ts';
import { parseInteger, type Words } from './integers.ts';
import { unmarked } from './json-text.ts';
import type { RequestOf } from './request.ts';
import { type Field, type Message, nestingMax, requestOf } from './schema.ts';
import type { Signal } from './signal.ts';
import { tagOf, wireFixed64, wireLength } from './wire.ts';
import { WireWriter, zigzag } from './wire-writer.ts';

export type { LogsRequest, MetricsRequest, RequestOf, TracesRequest } from './request.ts';

/** A value that does not fit its field. Stays inside src/otlp: it becomes a UsageError or the reason of a refusal. */
export class Unfit extends Error {
  override readonly name = 'Unfit';
}

/** Throws UsageError if a value does not fit its field. */
export function encodeRequest<Kind extends Signal>(signal: Kind, request: RequestOf[Kind]): Uint8Array;
export function encodeRequest(signal: Signal, request: object): Uint8Array;
export function encodeRequest(signal: Signal, request: object): Uint8Array {
  try {
    return encodeMessage(requestOf[signal], request);
  } catch (error) {
    if (!(error instanceof Unfit)) throw error;
    throw new UsageError({
      code: 'SPILLWAY_USAGE_RECORD',
      message: `Cannot make an OTLP ${signal} request: ${error.message}. Nothing was made; correct the field.`,
    });
  }
}

/** An integer that JSON.parse may have rounded. */
export class Rounded extends Unfit {}

/**
 * What to do with a 64-bit integer given as a number above 2^53: it is an integer, but maybe not the one meant.
 * `marked`: those come as markLongIntegers has them.
 */
export type LargeNumbers = 'take' | 'refuse' | 'marked';

/** Throws Unfit, or Rounded. */
export function encodeMessage(message: Message, value: unknown, largeNumbers: LargeNumbers = 'take'): Uint8Array {
  const encoder = new Encoder(largeNumbers);
  encoder.message(message, value, 0);
  return encoder.writer.finish();
}

class Encoder {
  readonly writer: WireWriter = new WireWriter();
  readonly #largeNumbers: LargeNumbers;
  readonly #words: Words = { low: 0, high: 0 };
  /** Where we are, for messages about it: per level the field, and its element if it is repeated. */
  readonly #fields: Field[] = [];
  readonly #elements: number[] = [];
  #depth = 0;

  constructor(largeNumbers: LargeNumbers) {
    this.#largeNumbers = largeNumbers;
  }

  /** The fields of a message, the last one first. */
  message(message: Message, value: unknown, depth: number): void {
    this.#depth = depth - 1; // What is wrong with the message itself is wrong with the field that holds it.
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.#unfit('an object', value);
    if (depth > nestingMax) throw this.#unfit(`at most ${nestingMax} messages inside each other`, value);
    const keys = Object.keys(value);
    for (let index = keys.length - 1; index >= 0; index -= 1) {
      const key = keys[index] as string;
      const field = message.byName.get(key);
      if (field === undefined) continue;
      const member = (value as Readonly<Record<string, unknown>>)[key];
      if (member === undefined || member === null) continue;
      this.#depth = depth;
      this.#fields[depth] = field;
      this.#elements[depth] = -1;
      if (field.repeated) this.#repeated(field, member, depth);
      else this.#single(field, member, depth);
    }
  }

  #repeated(field: Field, value: unknown, depth: number): void {
    if (!Array.isArray(value)) throw this.#unfit('an array', value);
    const end = this.writer.length;
    for (let index = value.length - 1; index >= 0; index -= 1) {
      this.#depth = depth;
      this.#elements[depth] = index;
      const element: unknown = value[index];
      if (field.message !== undefined) this.#inner(field, field.message, element ?? {}, depth);
      else {
        const before = this.writer.length;
        this.#scalar(field, element);
        if (field.packed) continue;
        this.writer.varint(this.writer.length - before);
        this.writer.varint(field.tag);
      }
    }
    if (!field.packed || value.length === 0) return;
    this.writer.varint(this.writer.length - end);
    this.writer.varint(tagOf(field.number, wireLength));
  }

  #single(field: Field, value: unknown, depth: number): void {
    if (field.message !== undefined) {
      this.#inner(field, field.message, value, depth);
      return;
    }
    const { writer } = this;
    const before = writer.length;
    const given = this.#scalar(field, value);
    if (field.wireType === wireLength) {
      if (writer.length === before && !field.explicit) return;
      writer.varint(writer.length - before);
    } else if (!given && !field.explicit) {
      writer.takeBack(before);
      return;
    }
    writer.varint(field.tag);
  }

  #inner(field: Field, message: Message, value: unknown, depth: number): void {
    const before = this.writer.length;
    this.message(message, value, depth + 1);
    this.writer.varint(this.writer.length - before);
    this.writer.varint(field.tag);
  }

  /** Writes a value without tag and length. False: it is the default of its kind. */
  #scalar(field: Field, given: unknown): boolean {
    const { writer } = this;
    const value = this.#largeNumbers === 'marked' ? unmarked(given) : given;
    switch (field.kind) {
      case 'string':
        if (typeof value !== 'string') throw this.#unfit('a string', value);
        writer.string(value);
        return true;
      case 'bytes':
        writer.bytes(this.#base64(value));
        return true;
      case 'traceId':
        return this.#hex(value, 16);
      case 'spanId':
        return this.#hex(value, 8);
      case 'bool':
        if (typeof value !== 'boolean') throw this.#unfit('true or false', value);
        writer.byte(value ? 1 : 0);
        return value;
      case 'double': {
        const number = this.#double(value);
        writer.double(number);
        return number !== 0 || Object.is(number, -0);
      }
      default:
        return this.#integer(field, value);
    }
  }

  #integer(field: Field, value: unknown): boolean {
    const { writer } = this;
    const words = this.#words;
    switch (field.kind) {
      case 'int64':
      case 'sfixed64':
      case 'uint64':
      case 'fixed64': {
        if (this.#largeNumbers === 'refuse' && typeof value === 'number' && !Number.isSafeInteger(value)) {
          throw new Rounded();
        }
        const signed = field.kind === 'int64' || field.kind === 'sfixed64';
        if (!parseInteger(value, signed, words)) {
          throw this.#unfit(signed ? 'a 64-bit integer' : 'a 64-bit integer that is not negative', value);
        }
        if (field.wireType === wireFixed64) writer.words(words.low, words.high);
        else writer.varintWords(words.low, words.high);
        return words.low !== 0 || words.high !== 0;
      }
      case 'uint32':
      case 'fixed32': {
        const number = this.#integer32(value, 0, 2 ** 32 - 1);
        if (field.kind === 'fixed32') writer.fixed32(number);
        else writer.varint(number);
        return number !== 0;
      }
      default: {
        const named = typeof value === 'string' ? field.values?.get(value) : undefined;
        const number = named ?? this.#integer32(value, -(2 ** 31), 2 ** 31 - 1);
        if (field.kind === 'sint32') writer.varint(zigzag(number));
        else writer.varintWords(number >>> 0, number < 0 ? 0xffff_ffff : 0);
        return number !== 0;
      }
    }
  }

  #integer32(value: unknown, low: number, high: number): number {
    const words = this.#words;
    if (parseInteger(value, true, words)) {
      const number = (words.high | 0) * 2 ** 32 + words.low;
      if (number >= low && number <= high) return number;
    }
    throw this.#unfit(`an integer from ${low} to ${high}`, value);
  }

  #double(value: unknown): number {
    if (typeof value === 'number') return value;
    if (typeof value === 'bigint') return Number(value);
    if (typeof value === 'string') {
      if (value === 'NaN') return Number.NaN;
      if (/^-?(?:Infinity|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(value)) return Number(value);
    }
    throw this.#unfit('a number, "NaN", "Infinity" or "-Infinity"', value);
  }

  /** False: empty. */
  #hex(value: unknown, bytes: number): boolean {
    const expected = `${bytes * 2} hexadecimal digits or none`;
    if (typeof value !== 'string' || (value.length !== 0 && value.length !== bytes * 2)) {
      throw this.#unfit(expected, value);
    }
    for (let index = value.length - 2; index >= 0; index -= 2) {
      const byte = hexDigit(value.charCodeAt(index)) * 16 + hexDigit(value.charCodeAt(index + 1));
      if (!(byte >= 0)) throw this.#unfit(expected, value);
      this.writer.byte(byte);
    }
    return value.length !== 0;
  }

  #base64(value: unknown): Uint8Array {
    // Buffer decodes both alphabets, and ignores what belongs to neither.
    if (typeof value === 'string' && /^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) return Buffer.from(value, 'base64');
    throw this.#unfit('base64', value);
  }

  /** Names the place and the kind of what was found, never its content: telemetry may hold secrets. */
  #unfit(expected: string, value: unknown): Unfit {
    let place = '';
    for (let level = 0; level <= this.#depth; level += 1) {
      const field = this.#fields[level];
      if (field === undefined) break;
      const element = this.#elements[level] as number;
      place += `${level === 0 ? '' : '.'}${field.name}${element < 0 ? '' : `[${element}]`}`;
    }
    return new Unfit(`${place === '' ? 'the request' : place}: expected ${expected}, found ${kindOf(unmarked(value))}`);
  }
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Number.NaN;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  switch (typeof value) {
    case 'object':
      return 'an object';
    case 'string':
      return `a string of ${value.length} characters`;
    case 'number':
      return Number.isInteger(value) ? 'an integer' : 'a number';
    case 'bigint':
      return 'an integer';
    case 'boolean':
      return String(value);
    default:
      return `a ${typeof value}`;
  }
}
