// What encodeRequest takes besides the canonical shape, and how it refuses the rest.
import { describe, expect, it } from 'vitest';
import { independentDecode } from '../../test/otlp/independent-proto.ts';
import { decodeRequest } from './decode.ts';
import { encodeRequest } from './encode.ts';
import type { LogRecord } from './request.ts';

function encodeRecord(record: object): Uint8Array {
  return encodeRequest('logs', { resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] });
}

function record(value: object): LogRecord | undefined {
  return decodeRequest('logs', encodeRecord(value))?.resourceLogs?.[0]?.scopeLogs?.[0]?.logRecords?.[0];
}

it('takes 64-bit integers as text, number and bigint, large numbers for what they are', () => {
  for (const [given, expected] of [
    ['5', '5'],
    [5, '5'],
    [5n, '5'],
    [1_790_000_000_000 * 1e6, '1790000000000000000'],
    [2n ** 64n - 1n, '18446744073709551615'],
  ] as const) {
    expect(record({ timeUnixNano: given })).toEqual({ timeUnixNano: expected });
  }
});

it('writes varints of every length as short as they can be', () => {
  for (let bits = 0; bits < 64; bits += 1) {
    for (const value of [2n ** BigInt(bits), 2n ** BigInt(bits) - 1n, -(2n ** BigInt(bits))]) {
      if (value > 2n ** 63n - 1n) continue;
      const bytes = encodeRecord({ body: { intValue: value } });
      const unsigned = BigInt.asUintN(64, value);
      const length = Math.max(1, Math.ceil(unsigned.toString(2).length / 7));
      expect(bytes.length, String(value)).toBe(9 + length);
      expect(JSON.stringify(independentDecode('logs', bytes))).toContain(`"intValue":"${value}"`);
    }
  }
});

it('leaves out what holds its default, and keeps it where it says something', () => {
  const nothing = {
    timeUnixNano: 0,
    severityText: '',
    flags: 0,
    traceId: '',
    attributes: [],
    droppedAttributesCount: 0,
  };
  expect(record(nothing)).toEqual({});
  expect(record({ body: { doubleValue: 0 } })).toEqual({ body: { doubleValue: 0 } });
  const point = { sum: 0, min: 0, count: 0 };
  const bytes = encodeRequest('metrics', {
    resourceMetrics: [{ scopeMetrics: [{ metrics: [{ histogram: { dataPoints: [point] } }] }] }],
  });
  expect(JSON.stringify(decodeRequest('metrics', bytes))).toContain('"dataPoints":[{"sum":0,"min":0}]');
});

it('writes nothing for a list without elements', () => {
  const bytesOf = (point: object): Uint8Array =>
    encodeRequest('metrics', {
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ histogram: { dataPoints: [point] } }] }] }],
    });
  expect(bytesOf({ bucketCounts: [], explicitBounds: [], attributes: [] })).toEqual(bytesOf({}));
});

it('keeps the sign of a zero, which is no default', () => {
  const bytes = encodeRequest('metrics', {
    resourceMetrics: [
      { scopeMetrics: [{ metrics: [{ summary: { dataPoints: [{ sum: -0, quantileValues: [{ value: -0 }] }] } }] }] },
    ],
  });
  const point = decodeRequest('metrics', bytes)?.resourceMetrics?.[0]?.scopeMetrics?.[0]?.metrics?.[0]?.summary
    ?.dataPoints;
  expect(point).toEqual([{ sum: -0, quantileValues: [{ value: -0 }] }]);
});

describe('refuses', () => {
  const refusal = (message: RegExp): unknown =>
    expect.objectContaining({ code: 'SPILLWAY_USAGE_RECORD', message: expect.stringMatching(message) });

  it('a value that does not fit, with its place', () => {
    expect(() => encodeRecord({ attributes: [{ key: 'a' }, { key: 1 }] })).toThrow(
      refusal(/logs request: resourceLogs\[0\].*\.attributes\[1\]\.key: expected a string, found an integer\./),
    );
  });

  it('an object inside of itself', () => {
    const list: { arrayValue: { values: unknown[] } } = { arrayValue: { values: [] } };
    list.arrayValue.values.push(list);
    expect(() => encodeRecord({ body: list })).toThrow(refusal(/at most 100 messages inside each other/));
  });

  it.each([
    [{ flags: 1.5 }, /flags: expected an integer from 0 to 4294967295, found a number/],
    [{ timeUnixNano: Symbol('x') }, /timeUnixNano: expected .* found a symbol/],
    [{ severityNumber: 2 ** 31 }, /severityNumber: expected an integer from -2147483648/],
  ])('%o', (value, message) => {
    expect(() => encodeRecord(value)).toThrow(refusal(message));
  });

  it('lets what a getter throws pass', () => {
    const broken = {
      get severityText(): string {
        throw new Error('mine');
      },
    };
    expect(() => encodeRecord(broken)).toThrow('mine');
  });
});
