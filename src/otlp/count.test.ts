// Counting by hand-made bytes: what is an event, and what is no request at all. Made independently of our encoder.
import { expect, it } from 'vitest';
import { countEvents } from './count.ts';

/** A length-delimited field. */
function field(number: number, ...parts: readonly (readonly number[])[]): number[] {
  const body = parts.flat();
  if (body.length >= 0x80) throw new Error('made for short fields');
  return [(number << 3) | 2, body.length, ...body];
}

const record = field(2, [0x09, 1, 2, 3, 4, 5, 6, 7, 8]);

function count(...bytes: readonly number[]): number | undefined {
  return countEvents('logs', Uint8Array.from(bytes));
}

it('counts records in all scopes of all resources', () => {
  const scope = field(2, field(1, field(1, [65])), record, record);
  const other = field(1, field(2, record), field(2), field(2, field(3, [66]), record));
  expect(count(...field(1, field(1), scope), ...other)).toBe(4);
});

it('counts spans where they are', () => {
  expect(countEvents('traces', Uint8Array.from(field(1, field(2, record, record))))).toBe(2);
});

it.each([5, 7, 9, 10, 11])('counts the points of metric data in field %i', (number) => {
  const point = field(1, [0x19, 1, 2, 3, 4, 5, 6, 7, 8]);
  const metric = field(2, field(1, [65]), field(number, point, point, [0x10, 2]));
  const empty = field(2, field(1, [66]), field(number));
  expect(countEvents('metrics', Uint8Array.from(field(1, field(2, metric, empty))))).toBe(2);
});

it('counts nothing in a metric without data and in no bytes', () => {
  expect(countEvents('metrics', Uint8Array.from(field(1, field(2, field(2, field(1, [65]))))))).toBe(0);
  expect(count()).toBe(0);
});

it('adds up the data of a metric that comes in two pieces', () => {
  const point = field(1);
  const bytes = field(1, field(2, field(2, field(7, point), field(7, point, point))));
  expect(countEvents('metrics', Uint8Array.from(bytes))).toBe(3);
});

it('refuses a metric with two kinds of data', () => {
  const bytes = field(1, field(2, field(2, field(5, field(1)), field(7, field(1)))));
  expect(countEvents('metrics', Uint8Array.from(bytes))).toBeUndefined();
});

it('steps over unknown fields of every wire type and any number', () => {
  const unknown = [
    ...[0x78, 0xff, 0x01], // varint
    ...[0x79, 1, 2, 3, 4, 5, 6, 7, 8],
    ...[0x7a, 2, 1, 2],
    ...[0x7d, 1, 2, 3, 4],
    ...[0xf8, 0xff, 0xff, 0xff, 0x0f, 1], // The highest field number.
    ...[0x82, 0x02, 0], // Field 32: no bit of a mask.
    ...[0x92, 0x04, 0], // Field 66, which is 2 modulo 32 and modulo 64.
  ];
  expect(count(...unknown, ...field(1, unknown, field(2, unknown, record, unknown)))).toBe(1);
});

it('reads lengths and tags that take more bytes than they need', () => {
  expect(count(0x8a, 0x00, 0x84, 0x80, 0x00, ...field(2, record.slice(0, 0)), 0x92, 0x00)).toBeUndefined();
  expect(count(0x8a, 0x00, 0x84, 0x80, 0x00, 0x12, 0x02, 0x12, 0x00)).toBe(1);
});

it.each([
  ['field number 0', [0x02, 0x00]],
  ['a start of group', [0x0b]],
  ['an end of group', [0x7c]],
  ['wire type 6', [0x0e, 0x00]],
  ['wire type 7', [0x0f, 0x00]],
  ['a tag of more than 32 bits', [0x8a, 0x80, 0x80, 0x80, 0x10, 0x00]],
  ['a tag of six bytes', [0x8a, 0x80, 0x80, 0x80, 0x80, 0x00, 0x00]],
  ['a tag that is cut', [0x8a]],
  ['no length', [0x0a]],
  ['a length that is cut', [0x0a, 0x80]],
  ['a length beyond the end', [0x0a, 0x01]],
  ['a length of 2^32', [0x0a, 0x80, 0x80, 0x80, 0x80, 0x10]],
  ['a length of 2^64 - 1', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ['a length of eleven bytes', [0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]],
  ['a varint that is cut', [0x78, 0x80]],
  ['a varint of eleven bytes', [0x78, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]],
  ['a varint of 65 bits', [0x78, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]],
  ['a fixed64 that is cut', [0x79, 1, 2, 3, 4, 5, 6, 7]],
  ['a fixed32 that is cut', [0x7d, 1, 2, 3]],
  ['resources as a number', [0x08, 0x01]],
  ['scopes as a fixed64', field(1, [0x11, 1, 2, 3, 4, 5, 6, 7, 8])],
  ['records as a number', field(1, field(2, [0x10, 1]))],
  ['a resource as a number', field(1, [0x08, 1])],
  ['a schema URL as a number', field(1, field(2, [0x18, 1]))],
  ['a scope that ends after its resource', [0x0a, 0x02, 0x12, 0x01, 0x00]],
  ['JSON', [...new TextEncoder().encode('{"resourceLogs":[]}')]],
  ['words', [...new TextEncoder().encode('Internal Server Error')]],
  ['gzip', [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 3]],
])('refuses %s', (_, bytes) => {
  expect(count(...bytes)).toBeUndefined();
});
