// Lines as requests: the bytes are those of encodeRequest, whatever the lines hold.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { checkRequest } from './check.ts';
import { decodeRequest } from './decode.ts';
import { encodeRequest } from './encode.ts';
import { type EncodableLine, encodeLogLines, type LineAttributes } from './log-lines.ts';
import type { AnyValue, KeyValue, LogRecord } from './request.ts';

function anyValueOf(value: string | number | boolean): AnyValue {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: value } : { doubleValue: value };
}

function keyValues(attributes: LineAttributes): KeyValue[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValueOf(value) }));
}

function recordOf(line: EncodableLine): LogRecord {
  const { timeMs, observedMs, severityNumber, severityText, body, attributes } = line;
  return {
    ...(timeMs === undefined ? {} : { timeUnixNano: BigInt(timeMs) * 1_000_000n }),
    observedTimeUnixNano: BigInt(observedMs) * 1_000_000n,
    ...(severityNumber === undefined ? {} : { severityNumber }),
    ...(severityText === undefined ? {} : { severityText }),
    body: { stringValue: typeof body === 'string' ? body : Buffer.from(body).toString() },
    ...(attributes === undefined ? {} : { attributes: keyValues(attributes) }),
  };
}

const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 100 }), fc.string({ minLength: 40, maxLength: 300 }));
const attributes = fc.dictionary(fc.string(), fc.oneof(text, fc.boolean(), fc.maxSafeInteger(), fc.double()));
const line: fc.Arbitrary<EncodableLine> = fc.record(
  {
    body: fc.oneof(
      text,
      text.map((body) => new TextEncoder().encode(body)),
    ),
    timeMs: fc.nat({ max: 4e12 }),
    observedMs: fc.nat({ max: 4e12 }),
    severityNumber: fc.integer({ min: 0, max: 24 }),
    severityText: fc.string(),
    attributes,
  },
  { requiredKeys: ['body', 'observedMs'] },
);

it('makes the bytes that encodeRequest makes', () => {
  fc.assert(
    fc.property(attributes, fc.array(line, { minLength: 1, maxLength: 8 }), (resource, lines) => {
      const scope = { name: 'spillway', version: '1' };
      const bytes = encodeLogLines({ resource, scope, lines });
      const logRecords = lines.map(recordOf);
      const resourceLogs = [{ resource: { attributes: keyValues(resource) }, scopeLogs: [{ scope, logRecords }] }];
      expect(bytes).toEqual(encodeRequest('logs', { resourceLogs }));
      expect(checkRequest('logs', bytes)).toBe(lines.length);
    }),
    { numRuns: 300 },
  );
});

it('keeps a line that is no UTF-8 byte by byte', () => {
  const body = Uint8Array.of(0x66, 0xff, 0x00);
  const bytes = encodeLogLines({ resource: {}, lines: [{ body, observedMs: 1 }] });
  const records = decodeRequest('logs', bytes)?.resourceLogs?.[0]?.scopeLogs?.[0]?.logRecords;
  expect(records).toEqual([
    { observedTimeUnixNano: '1000000', body: { bytesValue: Buffer.from(body).toString('base64') } },
  ]);
});

it('makes an empty request of no lines', () => {
  expect(encodeLogLines({ resource: { a: 'b' }, lines: [] })).toEqual(new Uint8Array(0));
});

it('writes no time that is none', () => {
  const bytes = encodeLogLines({ resource: {}, lines: [{ body: '', timeMs: Number.NaN, observedMs: -5 }] });
  const record = decodeRequest('logs', bytes)?.resourceLogs?.[0]?.scopeLogs?.[0]?.logRecords?.[0];
  expect(record).toEqual({ body: { stringValue: '' } });
});

it('takes lines larger than everything before them', () => {
  const lines = [1, 3_000, 1, 2_000_000, 1].map((length) => ({ body: 'ä'.repeat(length), observedMs: 1 }));
  const bytes = encodeLogLines({ resource: {}, lines });
  const records = decodeRequest('logs', bytes)?.resourceLogs?.[0]?.scopeLogs?.[0]?.logRecords;
  expect(records?.map(({ body }) => body?.stringValue)).toEqual(lines.map(({ body }) => body));
});
