// Splitting at its edges: what must come back unchanged, what is refused, and what strangers could make of it.
import { expect, it } from 'vitest';
import { splitEvents } from '../../test/otlp/split-events.ts';
import { MiB } from '../base/units.ts';
import { concatenate } from './concatenate.ts';
import { countEvents } from './count.ts';
import { encodeRequest } from './encode.ts';
import { splitAt, splitToSize } from './split.ts';

function logs(records: number, bodyBytes: number, resourceBytes = 10): Uint8Array {
  const attributes = [{ key: 'service.name', value: { stringValue: 'x'.repeat(resourceBytes) } }];
  const logRecords = Array.from({ length: records }, (_, index) => ({
    timeUnixNano: index + 1,
    body: { stringValue: 'b'.repeat(bodyBytes) },
  }));
  return encodeRequest('logs', { resourceLogs: [{ resource: { attributes }, scopeLogs: [{ logRecords }] }] });
}

function scopes(count: number, resourceBytes: number): Uint8Array {
  const scopeLogs = Array.from({ length: count }, () => ({ logRecords: [{}] }));
  const attributes = [{ key: 'x'.repeat(resourceBytes) }];
  return encodeRequest('logs', { resourceLogs: [{ resource: { attributes }, scopeLogs }] });
}

it('gives one part back as the same object', () => {
  const bytes = logs(2, 10);
  expect(concatenate([bytes])).toBe(bytes);
  expect(splitToSize('logs', bytes, bytes.length)[0]).toBe(bytes);
});

it('makes an empty request of no parts', () => {
  expect(concatenate([])).toEqual(new Uint8Array(0));
});

it.each([0, 3, -1, 1.5, Number.NaN])('refuses to cut 3 events at %d', (events) => {
  expect(() => splitAt('logs', logs(3, 1), events)).toThrow(
    expect.objectContaining({ code: 'SPILLWAY_USAGE_OPTION', message: expect.stringContaining('1 to 2 events') }),
  );
});

it('refuses bytes that are no request', () => {
  const bytes = Uint8Array.of(0x0a, 0x7f);
  const refusal = expect.objectContaining({ code: 'SPILLWAY_USAGE_RECORD' });
  expect(() => splitAt('logs', bytes, 1)).toThrow(refusal);
  expect(() => splitToSize('logs', bytes, 1)).toThrow(refusal);
  expect(() => splitEvents('logs', bytes)).toThrow(refusal);
});

it('makes no parts of a request without events, and hands on one that is too large', () => {
  const bytes = logs(0, 0, 1_000);
  expect(splitEvents('logs', bytes)).toEqual([]);
  expect(splitToSize('logs', bytes, 100)).toEqual([bytes]);
});

it('leaves out messages without events', () => {
  const empty = { resource: { attributes: [{ key: 'empty' }] }, scopeLogs: [{ scope: { name: 'nothing' } }] };
  const full = { schemaUrl: 'full', scopeLogs: [{ schemaUrl: 'none' }, { logRecords: [{ flags: 1 }, { flags: 2 }] }] };
  const bytes = encodeRequest('logs', { resourceLogs: [empty, full, empty] });
  const { head, tail } = splitAt('logs', bytes, 1);
  const only = (flags: number): Uint8Array =>
    encodeRequest('logs', { resourceLogs: [{ schemaUrl: 'full', scopeLogs: [{ logRecords: [{ flags }] }] }] });
  expect(head).toEqual(only(1));
  expect(tail).toEqual(only(2));
  const between = encodeRequest('logs', { resourceLogs: [full, empty, full] });
  expect(splitAt('logs', between, 3).head).toEqual(concatenate([bothOf(full), only(1)]));
});

function bothOf(full: { readonly schemaUrl: string }): Uint8Array {
  const logRecords = [{ flags: 1 }, { flags: 2 }];
  return encodeRequest('logs', { resourceLogs: [{ schemaUrl: full.schemaUrl, scopeLogs: [{ logRecords }] }] });
}

it('keeps the data of a metric that comes in two pieces together, as protobuf merges it', () => {
  // Metric: sum { point, point } sum { point, temporality 2 }
  const point = [0x0a, 0x00];
  const metric = [0x0a, 0x01, 0x6d, 0x3a, 0x04, ...point, ...point, 0x3a, 0x04, ...point, 0x10, 0x02];
  const scope = [0x12, metric.length, ...metric];
  const resource = [0x12, scope.length, ...scope];
  const { head, tail } = splitAt('metrics', Uint8Array.from([0x0a, resource.length, ...resource]), 1);
  const sum = (points: number): Uint8Array =>
    encodeRequest('metrics', {
      resourceMetrics: [
        {
          scopeMetrics: [
            { metrics: [{ name: 'm', sum: { aggregationTemporality: 2, dataPoints: Array(points).fill({}) } }] },
          ],
        },
      ],
    });
  expect(head).toEqual(sum(1));
  expect(tail).toEqual(sum(2));
});

it('fills a part to the very limit', () => {
  const bytes = logs(6, 10);
  const { head } = splitAt('logs', bytes, 3);
  const counts = (limit: number): unknown[] =>
    splitToSize('logs', bytes, limit).map((part) => countEvents('logs', part));
  expect(counts(head.length)).toEqual([3, 3]);
  expect(counts(head.length - 1)).toEqual([2, 2, 2]);
});

it('gives an event that is too large a part of its own', () => {
  const bytes = concatenate([logs(2, 10), logs(1, 500), logs(2, 10)]);
  const parts = splitToSize('logs', bytes, 200);
  expect(parts.map((part) => countEvents('logs', part))).toEqual([2, 1, 2]);
  expect(parts.map((part) => part.length > 200)).toEqual([false, true, false]);
});

it('keeps events together whose envelopes alone are too large', () => {
  const bytes = concatenate([logs(2, 10), logs(1_000, 1, 500), logs(2, 10)]);
  const parts = splitToSize('logs', bytes, 200);
  expect(parts.map((part) => countEvents('logs', part))).toEqual([2, 1_000, 2]);
});

it.each([
  ['one scope', logs(100_000, 1, 1 * MiB)],
  ['a scope for each', scopes(100_000, 1 * MiB)],
])('does not let an envelope just below the limit multiply without end: %s', (_, bytes) => {
  const parts = splitToSize('logs', bytes, 1 * MiB + 200);
  const written = parts.reduce((sum, part) => sum + part.length, 0);
  expect(written).toBeLessThan(64 * MiB + 2 * bytes.length);
  expect(parts.reduce((sum, part) => sum + (countEvents('logs', part) ?? 0), 0)).toBe(100_000);
});

it('takes a time that grows with the bytes, not with their square', () => {
  // The shapes that would hurt: very many events, very many messages around events.
  const tiny = new Uint8Array(400_000).map((_, index) => (index % 2 === 0 ? 0x12 : 0x00));
  const scope = lengthDelimited(0x12, tiny);
  const events = lengthDelimited(0x0a, scope);
  const resources = new Uint8Array(300_000).map((_, index) => [0x0a, 0x04, 0x12, 0x02, 0x12, 0x00][index % 6] ?? 0);
  for (const bytes of [events, resources]) {
    const parts = splitToSize('logs', bytes, 1_000);
    expect(parts.every((part) => part.length <= 1_000)).toBe(true);
    expect(parts.reduce((sum, part) => sum + (countEvents('logs', part) ?? 0), 0)).toBe(countEvents('logs', bytes));
  }
});

function lengthDelimited(tag: number, body: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let rest = body.length; ; rest >>>= 7) {
    length.push(rest >= 0x80 ? (rest & 0x7f) | 0x80 : rest);
    if (rest < 0x80) break;
  }
  return concatenate([Uint8Array.from([tag, ...length]), body]);
}
