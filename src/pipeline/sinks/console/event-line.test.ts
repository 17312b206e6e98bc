import fc from 'fast-check';
import { expect, it } from 'vitest';
import { eachEvent } from '../../../otlp/decode.ts';
import { encodeRequest } from '../../../otlp/encode.ts';
import type { Signal } from '../../../otlp/signal.ts';
import { coloured, eventLine, type Paint, plain, plainLines } from './event-line.ts';

const atNs = String(Date.UTC(2026, 10, 20, 14, 5, 6, 123) * 1e6);
const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'checkout' } }] };

function logsOf(...logRecords: readonly object[]): Uint8Array {
  return encodeRequest('logs', { resourceLogs: [{ resource, scopeLogs: [{ scope: {}, logRecords }] }] });
}

function spansOf(...spans: readonly object[]): Uint8Array {
  return encodeRequest('traces', { resourceSpans: [{ resource, scopeSpans: [{ scope: {}, spans }] }] });
}

function metricsOf(...metrics: readonly object[]): Uint8Array {
  return encodeRequest('metrics', { resourceMetrics: [{ resource, scopeMetrics: [{ scope: {}, metrics }] }] });
}

function linesOf(signal: Signal, bytes: Uint8Array, paint: Paint = plain): string[] {
  return Array.from(eachEvent(signal, bytes) ?? [], (event) => eventLine(signal, event, paint));
}

it('shows a log record: when, how bad, where, what, and its attributes', () => {
  const attributes = [
    { key: 'order', value: { intValue: 1844 } },
    { key: 'items', value: { arrayValue: { values: [{ stringValue: 'tea' }, { doubleValue: 2.5 }] } } },
    { key: 'long', value: { stringValue: 'x'.repeat(100) } },
  ];
  const record = { timeUnixNano: atNs, severityNumber: 17, severityText: 'ERROR', attributes };
  const bytes = logsOf({ ...record, body: { stringValue: 'payment refused' } }, { severityNumber: 9 });
  expect(linesOf('logs', bytes)).toEqual([
    '14:05:06.123  log     ERROR         checkout      payment refused  ' +
      `order=1844 items=["tea",2.5] long=${'x'.repeat(29)}...`,
    '-             log     INFO          checkout',
  ]);
});

it('shows a span with its duration, and a failed one with its reason', () => {
  const endTimeUnixNano = String(BigInt(atNs) + 23_440_000n);
  const span = { startTimeUnixNano: atNs, endTimeUnixNano, name: 'POST /checkout' };
  expect(linesOf('traces', spansOf(span, { ...span, status: { code: 2, message: 'no stock' } }))).toEqual([
    '14:05:06.123  span    23.4 ms       checkout      POST /checkout',
    '14:05:06.123  span    23.4 ms       checkout      POST /checkout  no stock',
  ]);
  const coloredLine = linesOf('traces', spansOf({ ...span, status: { code: 2 } }), coloured)[0] ?? '';
  expect(coloredLine).toContain('\u001b[31m23.4 ms     \u001b[39m');
});

it('shows data points of all kinds with their value', () => {
  const times = { timeUnixNano: atNs };
  const bytes = metricsOf(
    { name: 'requests', unit: '{request}', sum: { dataPoints: [{ ...times, asInt: 1204 }] } },
    { name: 'memory', unit: 'By', gauge: { dataPoints: [{ ...times, asDouble: 1234.5678 }] } },
    { name: 'duration', unit: 's', histogram: { dataPoints: [{ ...times, count: 4, sum: 0.5 }] } },
    { name: 'empty', histogram: { dataPoints: [{ ...times }] } },
  );
  expect(linesOf('metrics', bytes)).toEqual([
    '14:05:06.123  metric  1204          checkout      requests',
    '14:05:06.123  metric  1235 By       checkout      memory',
    '14:05:06.123  metric  4x 0.125 s    checkout      duration',
    '14:05:06.123  metric  0x            checkout      empty',
  ]);
});

it('gives of log records their body alone, and nothing for what is malformed', () => {
  const bytes = logsOf({ body: { stringValue: 'one\ntwo' } }, { body: { boolValue: false } }, {});
  expect(plainLines('logs', bytes)).toEqual(['one\\ntwo', 'false', '']);
  expect(plainLines('logs', Uint8Array.of(10, 255))).toBeUndefined();
});

it('keeps a line a line and sends nothing to a terminal, whatever telemetry says', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      const stringValue = `${text}\u001b[2J\n\u009b\u2028`;
      const attributes = [{ key: stringValue, value: { stringValue } }];
      const record = { body: { stringValue }, severityText: stringValue, attributes };
      const lines = [...linesOf('logs', logsOf(record)), ...(plainLines('logs', logsOf(record)) ?? [])];
      expect(lines).toHaveLength(2);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there.
      for (const line of lines) expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    }),
  );
});

it('shows a time that is missing, small, or as large as can be', () => {
  const records = [{}, { timeUnixNano: 1 }, { timeUnixNano: '18446744073709551615' }];
  const shown = linesOf('logs', logsOf(...records)).map((line) => line.slice(0, 12));
  expect(shown).toEqual(['-           ', '00:00:00.000', '23:34:33.709']);
});
