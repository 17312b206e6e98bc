// Decoding what no sane encoder writes and protobuf nevertheless allows, and what it does not.
import { describe, expect, it } from 'vitest';
import { fullRequests } from '../../test/otlp/full-request.ts';
import { concatenate } from './concatenate.ts';
import { decodeMessage, decodeRequest, eachEvent } from './decode.ts';
import { encodeMessage, encodeRequest } from './encode.ts';
import { messageOf } from './schema.ts';

function decode(name: string, ...bytes: readonly number[]): object | undefined {
  return decodeMessage(messageOf(name), Uint8Array.from(bytes));
}

describe('a field that comes twice', () => {
  it('has its last value', () => {
    expect(decode('LogRecord', 0x10, 9, 0x1a, 1, 0x41, 0x10, 17, 0x1a, 1, 0x42)).toEqual({
      severityNumber: 17,
      severityText: 'B',
    });
  });

  it('is both of them if it is a message', () => {
    const resource = (value: object): Uint8Array => encodeMessage(messageOf('ResourceLogs'), { resource: value });
    const bytes = concatenate([
      resource({ attributes: [{ key: 'a' }], droppedAttributesCount: 1 }),
      resource({ attributes: [{ key: 'b' }] }),
    ]);
    expect(decodeMessage(messageOf('ResourceLogs'), bytes)).toEqual({
      resource: { attributes: [{ key: 'a' }, { key: 'b' }], droppedAttributesCount: 1 },
    });
  });

  it('puts away another one of its choice', () => {
    expect(decode('AnyValue', 0x0a, 1, 0x41, 0x18, 5)).toEqual({ intValue: '5' });
    expect(decode('AnyValue', 0x18, 5, 0x0a, 1, 0x41)).toEqual({ stringValue: 'A' });
    expect(decode('NumberDataPoint', 0x31, 1, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0x21, 0, 0, 0, 0, 0, 0, 0, 0)).toEqual({
      asDouble: 0,
      flags: 1,
    });
  });

  it('is malformed if it is another kind of data in a metric', () => {
    expect(decode('Metric', 0x2a, 0, 0x3a, 0)).toBeUndefined();
    expect(decode('Metric', 0x3a, 0, 0x3a, 0)).toEqual({ sum: {} });
  });
});

describe('repeated numbers', () => {
  it.each([
    ['packed', [0x12, 3, 1, 0xac, 0x02]],
    ['one by one', [0x10, 1, 0x10, 0xac, 0x02]],
    ['in several packs', [0x12, 1, 1, 0x12, 0, 0x10, 0xac, 0x02]],
  ])('may come %s', (_, bytes) => {
    expect(decode('Buckets', ...bytes)).toEqual({ bucketCounts: ['1', '300'] });
  });

  it.each([
    ['a pack that is cut inside of a number', [0x12, 2, 1, 0xac]],
    ['a pack that borrows from what follows', [0x12, 1, 0xac, 0x02]],
    ['another wire type', [0x15, 0x81, 0x81, 0x81, 0x01]],
  ])('are malformed as %s', (_, bytes) => {
    expect(decode('Buckets', ...bytes)).toBeUndefined();
  });

  it('are malformed if a pack of eight-byte numbers has a rest', () => {
    expect(decode('HistogramDataPoint', 0x3a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0)).toBeUndefined();
  });
});

describe('values', () => {
  it('cuts integers of 32 bits as protobuf does', () => {
    expect(decode('Span', 0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)).toEqual({ kind: -1 });
    expect(decode('LogRecord', 0x38, 0xff, 0xff, 0xff, 0xff, 0x1f)).toEqual({ droppedAttributesCount: 2 ** 32 - 1 });
    expect(decode('AnyValue', 0x10, 0x80, 0x80, 0x80, 0x80, 0x10)).toEqual({ boolValue: true });
  });

  it('keeps ids of any length, and shows what is no UTF-8 as such', () => {
    expect(decode('LogRecord', 0x4a, 2, 0xab, 0xcd, 0x1a, 2, 0x41, 0xff)).toEqual({
      traceId: 'abcd',
      severityText: 'A\ufffd',
    });
  });

  it('gives no object a field of its prototype', () => {
    const decoded = decode('KeyValue', 0x0a, 9, ...new TextEncoder().encode('__proto__')) as object;
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
    expect(decoded).toEqual({ key: '__proto__' });
  });

  it.each([
    ['a number where text belongs', [0x18, 1]],
    ['text where a number belongs', [0x12, 0]],
    ['four bytes where eight belong', [0x0d, 1, 2, 3, 4]],
    ['eight bytes that are cut', [0x09, 1, 2, 3]],
    ['four bytes that are cut', [0x45, 1, 2, 3]],
    ['a number of 65 bits', [0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]],
    ['a number of eleven bytes', [0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]],
    ['a number that is cut', [0x10, 0x80]],
    ['a message where a number belongs', [0x42, 0]],
    ['a number where messages belong', [0x30, 1]],
  ])('is malformed: %s', (_, bytes) => {
    expect(decode('LogRecord', ...bytes)).toBeUndefined();
  });
});

describe('eachEvent', () => {
  it('names resource and scope, the same objects for all that share them', () => {
    const [first, second, third] = [...(eachEvent('logs', encodeRequest('logs', fullRequests.logs)) ?? [])];
    expect(first?.resource).toEqual(fullRequests.logs.resourceLogs?.[0]?.resource);
    expect(second?.resource).toBe(first?.resource);
    expect(second?.scope).toBe(first?.scope);
    expect([third?.scope, third?.event]).toEqual([{}, {}]);
    expect(first).not.toHaveProperty('metric');
  });

  it('names the metric of a point', () => {
    const events = [...(eachEvent('metrics', encodeRequest('metrics', fullRequests.metrics)) ?? [])];
    expect(events.map(({ metric }) => [metric?.name, metric?.kind])).toEqual([
      ['g', 'gauge'],
      ['s', 'sum'],
      ['s', 'sum'],
      ['h', 'histogram'],
      ['e', 'exponentialHistogram'],
      ['q', 'summary'],
    ]);
    expect(events[1]?.metric).toEqual({
      kind: 'sum',
      name: 's',
      description: 'd',
      unit: '',
      metadata: [{ key: 'm', value: { boolValue: true } }],
      aggregationTemporality: 2,
      isMonotonic: true,
    });
    expect(events[2]?.event).toEqual({ asInt: '0' });
  });

  it('is undefined if the bytes are malformed, and empty if there is nothing', () => {
    expect(eachEvent('logs', Uint8Array.of(0x0a, 0x01))).toBeUndefined();
    expect([...(eachEvent('logs', new Uint8Array(0)) ?? [1])]).toEqual([]);
  });
});

it('reads bytes that are a part of something larger', () => {
  const bytes = encodeRequest('traces', fullRequests.traces);
  const larger = new Uint8Array(bytes.length + 20).fill(0xff);
  larger.set(bytes, 7);
  expect(decodeRequest('traces', larger.subarray(7, 7 + bytes.length))).toEqual(fullRequests.traces);
});
