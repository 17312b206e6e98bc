// What a receiver would stumble over, deep inside of events that countEvents does not look into.
import { describe, expect, it } from 'vitest';
import { fullRequestEvents, fullRequests } from '../../test/otlp/full-request.ts';
import { checkRequest } from './check.ts';
import { countEvents } from './count.ts';
import { decodeRequest } from './decode.ts';
import { encodeRequest } from './encode.ts';
import { messagesMax } from './schema.ts';
import { signals } from './signal.ts';

function field(number: number, ...parts: readonly (readonly number[])[]): number[] {
  const body = parts.flat();
  return [...(number < 16 ? [(number << 3) | 2] : [((number << 3) & 0x7f) | 0x82, number >> 4]), body.length, ...body];
}

/** What is said of a log record with these bytes. */
function record(bytes: readonly number[]): ReturnType<typeof checkRequest> {
  return checkRequest('logs', Uint8Array.from(field(1, field(2, field(2, bytes)))));
}

/** What is said of a histogram data point with these bytes. */
function point(bytes: readonly number[]): ReturnType<typeof checkRequest> {
  return checkRequest('metrics', Uint8Array.from(field(1, field(2, field(2, field(9, field(1, bytes)))))));
}

it.each(signals)('%s: counts what is sound', (signal) => {
  expect(checkRequest(signal, encodeRequest(signal, fullRequests[signal]))).toBe(fullRequestEvents[signal]);
  expect(checkRequest(signal, new Uint8Array(0))).toBe(0);
});

it.each([
  ['unknown fields of every wire type', [0xf8, 0x01, 0x80, 0x01, ...field(31, [1, 2]), 0xfd, 0x01, 1, 2, 3, 4]],
  ['an unknown field beyond the table', [...field(900, [0xff])]],
  ['empty ids', [...field(9), ...field(10)]],
  ['text that is no UTF-8', field(3, [0xff])],
  ['severities that nobody knows', [0x10, 0x7f]],
])('takes %s', (_, bytes) => {
  expect(record(bytes)).toBe(1);
});

it.each([
  ['the bytes of a span', field(1, Array(16).fill(1))],
  ['a trace id of 15 bytes', field(9, Array(15).fill(1))],
  ['a span id of 16 bytes', field(10, Array(16).fill(1))],
  ['a number where text belongs', [0x18, 1]],
  ['text where a number belongs', field(2, [1])],
  ['a time of four bytes', [0x0d, 1, 2, 3, 4]],
  ['an attribute that is cut', field(6, [0x0a, 5, 0x41])],
  ['a value that is malformed', field(5, [0x07])],
  ['a list inside of it that is malformed', field(5, field(5, field(1, [0x0b])))],
  ['a number that is cut', [0x38, 0x80]],
])('refuses %s, which countEvents counts', (_, bytes) => {
  expect(record(bytes)).toBeUndefined();
  expect(countEvents('logs', Uint8Array.from(field(1, field(2, field(2, bytes)))))).toBe(1);
});

it('looks into packed numbers', () => {
  const eight = Array<number>(8).fill(1);
  expect(point(field(6, eight, eight))).toBe(1);
  expect(point([0x31, ...eight])).toBe(1);
  expect(point(field(6, eight, [1]))).toBeUndefined();
  const buckets = (bytes: readonly number[]): ReturnType<typeof checkRequest> =>
    checkRequest('metrics', Uint8Array.from(field(1, field(2, field(2, field(10, field(1, field(8, bytes))))))));
  expect(buckets(field(2, [0x80, 0x01, 0x05]))).toBe(1);
  expect(buckets([0x10, 0x05])).toBe(1);
  expect(buckets(field(2, [0x05, 0x80]))).toBeUndefined();
});

describe('more messages than memory should hold', () => {
  /** A log record with so many empty attributes, and the four messages around them. */
  function crowd(attributes: number): Uint8Array {
    const inner = Buffer.alloc(2 * attributes, Buffer.of(0x32, 0));
    return [18, 18, 10].reduce<Buffer>(
      (body, tag) => Buffer.concat([Buffer.of(tag), varint(body.length), body]),
      inner,
    );
  }

  function varint(value: number): Buffer {
    const bytes: number[] = [];
    for (let rest = value; rest > 0; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + (rest < 128 ? 0 : 128));
    return Buffer.from(bytes);
  }

  it('are not let in', () => {
    expect(checkRequest('logs', crowd(messagesMax - 4))).toBe(1);
    expect(checkRequest('logs', crowd(messagesMax - 3))).toBe('too_many_messages');
  });

  it('are not decoded', () => {
    expect(decodeRequest('logs', crowd(messagesMax - 3))).toBeUndefined();
  });
});
