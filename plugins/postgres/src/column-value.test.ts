import type { KeyValue, TelemetryEvent } from 'spillway/plugin';
import { describe, expect, it } from 'vitest';
import { defaultType, namesAnEvent, needsFields, parseSource } from './column-source.ts';
import { columnText, type EventFacts } from './column-value.ts';

const attributes: readonly KeyValue[] = [
  { key: 'text', value: { stringValue: 'a\u0000"b"' } },
  { key: 'int', value: { intValue: '42' } },
  { key: 'long', value: { intValue: '9007199254740993' } },
  { key: 'double', value: { doubleValue: 'NaN' } },
  { key: 'bool', value: { boolValue: false } },
  { key: 'bytes', value: { bytesValue: 'AAE=' } },
  { key: 'list', value: { arrayValue: { values: [{ intValue: '1' }, { stringValue: 'x' }, {}] } } },
  { key: 'map', value: { kvlistValue: { values: [{ key: '__proto__', value: { intValue: '1' } }] } } },
  { key: 'empty', value: {} },
];

const log: TelemetryEvent = {
  resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
  scope: { name: 'cart', version: '1' },
  event: {
    timeUnixNano: '1750000000123456789',
    severityNumber: 9,
    body: { kvlistValue: { values: [{ key: 'a', value: { intValue: '1' } }] } },
    attributes,
    traceId: 'ab',
  },
};
const span: TelemetryEvent = {
  resource: {},
  scope: {},
  event: { name: 'GET', startTimeUnixNano: '1000', status: { code: 2 } },
};

function textFor(path: string, fields: TelemetryEvent, isJson = false): string | undefined {
  const source = parseSource(path);
  if (source === undefined) throw new Error(`${path} is no source`);
  const facts: EventFacts = {
    signal: 'logs',
    key: 'uuid/1-7',
    buffer: 'uuid',
    epoch: 1,
    id: 7,
    json: () => '{}',
    fields,
  };
  return columnText(source, facts, isJson).text;
}

describe('the value of a column', () => {
  it.each([
    ['key', 'uuid/1-7'],
    ['buffer', 'uuid'],
    ['epoch', '1'],
    ['id', '7'],
    ['signal', 'logs'],
    ['time', '2025-06-15T15:06:40.123456Z'],
    ['severity', 'INFO'],
    ['body', '{"a":1}'],
    ['resource', '{"service.name":"shop"}'],
    ['resource.service.name', 'shop'],
    ['scope.name', 'cart'],
    ['event.traceId', 'ab'],
    ['attribute.text', 'a\ufffd"b"'],
    ['attribute.int', '42'],
    ['attribute.long', '9007199254740993'],
    ['attribute.double', 'NaN'],
    ['attribute.bool', 'false'],
    ['attribute.bytes', 'AAE='],
    ['attribute.list', '[1,"x",""]'],
    ['attribute.map', '{"__proto__":1}'],
    ['attribute.empty', undefined],
    ['attribute.none', undefined],
    ['event.toString', undefined],
    ['metric.name', undefined],
  ])('from %s is %j', (path, expected) => {
    expect(textFor(path, log)).toBe(expected);
  });

  it.each([
    ['attribute.text', '"a\ufffd\\"b\\""'],
    ['attribute.int', '42'],
    ['attribute.long', '"9007199254740993"'],
    ['attribute.bool', 'false'],
    ['key', '"uuid/1-7"'],
    ['attribute.none', undefined],
  ])('from %s, in a column of JSON, is %j', (path, expected) => {
    expect(textFor(path, log, true)).toBe(expected);
  });

  it('of a span is its own', () => {
    expect(textFor('time', span)).toBe('1970-01-01T00:00:00.000001Z');
    expect(textFor('event.status.code', span)).toBe('2');
    expect(textFor('severity', span)).toBeUndefined();
    expect(textFor('body', span)).toBeUndefined();
    expect(textFor('attributes', span)).toBe('{}');
  });

  it('of a time beyond the 64 bits of nanoseconds cannot be', () => {
    const last = { ...span, event: { startTimeUnixNano: '18446744073709551615' } };
    expect(textFor('time', last)).toBe('2554-07-21T23:34:33.709551Z');
    expect(textFor('time', { ...span, event: { timeUnixNano: '0' } })).toBeUndefined();
  });
});

describe('a source', () => {
  it.each(['', 'nothing', 'key.x', 'resource.', 'event', 'scope', 'body.x'])('is not %j', (path) => {
    expect(parseSource(path)).toBeUndefined();
  });

  it('says whether events have to be decoded for it', () => {
    const asks = (path: string): boolean => needsFields(parseSource(path) as never);
    expect(['key', 'buffer', 'epoch', 'id', 'signal', 'json'].filter(asks)).toEqual([]);
    expect(['time', 'body', 'resource', 'attribute.a', 'event.b', 'scope.c'].filter((path) => !asks(path))).toEqual([]);
  });

  it('has a type of its own', () => {
    const typeOf = (path: string): string => defaultType(parseSource(path) as never);
    expect(['key', 'id', 'time', 'json', 'event.x'].map(typeOf)).toEqual([
      'text',
      'bigint',
      'timestamptz',
      'jsonb',
      'text',
    ]);
  });

  it('names an event by its key, or by buffer, epoch and id together', () => {
    const names = (...paths: readonly string[]): boolean =>
      namesAnEvent(paths.map((path) => parseSource(path) as never));
    expect(names('key')).toBe(true);
    expect(names('time', 'key')).toBe(true);
    expect(names('buffer', 'id', 'epoch')).toBe(true);
    expect(names('epoch', 'id')).toBe(false);
    expect(names()).toBe(false);
  });
});
