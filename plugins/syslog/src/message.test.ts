import type { AnyValue, KeyValue, LogRecord, TelemetryEvent } from 'spillway/plugin';
import { describe, expect, it } from 'vitest';
import { type ParsedMessage, parseMessages } from '../test/message-parser.ts';
import { framedMessage, timestampOf } from './message.ts';
import { messageFormat, schema } from './options.ts';

const text = (stringValue: string): AnyValue => ({ stringValue });
const pairs = (values: Readonly<Record<string, AnyValue>>): KeyValue[] =>
  Object.entries(values).map(([key, value]) => ({ key, value }));

interface Given {
  readonly log?: LogRecord;
  readonly resource?: Readonly<Record<string, AnyValue>>;
  readonly scope?: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly key?: string;
}

function framed({ log = {}, resource = {}, scope, options = {}, key }: Given) {
  const event: TelemetryEvent = {
    resource: { attributes: pairs(resource) },
    scope: scope === undefined ? {} : { name: scope },
    event: log,
  };
  return framedMessage(event, key, messageFormat(schema.parse({ address: 'localhost:601', ...options })));
}

function parsed(given: Given): ParsedMessage {
  const result = framed(given);
  if (!('frame' in result)) throw new Error(`too long: ${result.tooLongBytes}`);
  const [message, ...others] = parseMessages(Buffer.from(result.frame));
  expect(others).toEqual([]);
  return message as ParsedMessage;
}

function elementOf({ elements }: ParsedMessage, id: string): readonly (readonly [string, string])[] | undefined {
  return elements.find((element) => element.id === id)?.parameters;
}

it('is what RFC 5424 says, byte by byte', () => {
  const result = framed({
    log: {
      timeUnixNano: '1750000000123456789',
      severityNumber: 17,
      body: text('grün'),
      eventName: 'started',
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      attributes: pairs({ path: text('C:\\"x"]') }),
    },
    resource: { 'host.name': text('web-1'), 'service.name': text('shop'), 'process.pid': { intValue: '4711' } },
    options: { facility: 'local0' },
    key: 'u/1-2',
  });
  const message =
    '<131>1 2025-06-15T15:06:40.123456Z web-1 shop 4711 started ' +
    '[spillway@32473 key="u/1-2" trace_id="0af7651916cd43dd8448eb211c80319c" span_id="b7ad6b7169203331" ' +
    'event_name="started"][attributes@32473 path="C:\\\\\\"x\\"\\]"] \u{feff}grün';
  expect(result).toEqual({ frame: `${Buffer.byteLength(message)} ${message}` });
});

it('has a dash for everything that is not there', () => {
  expect(framed({})).toEqual({ frame: '17 <14>1 - - - - - -' });
});

describe('the header', () => {
  it('takes the time at which it was observed where there is no other', () => {
    expect(timestampOf({ timeUnixNano: '0', observedTimeUnixNano: '1000' })).toBe('1970-01-01T00:00:00.000001Z');
    expect(timestampOf({ timeUnixNano: '999' })).toBe('1970-01-01T00:00:00.000000Z');
    expect(timestampOf({ timeUnixNano: '18446744073709551615' })).toBe('2554-07-21T23:34:33.709551Z');
    expect(timestampOf({ timeUnixNano: 5_000_000_000 })).toBe('1970-01-01T00:00:05.000000Z');
    expect(timestampOf({})).toBe('-');
  });

  it('is printable ASCII within its limits', () => {
    const long = (length: number) => text(`ä ${'x'.repeat(length)}`);
    const message = parsed({
      log: { eventName: 'y'.repeat(50) },
      resource: { 'host.name': long(300), 'service.name': long(100), 'process.pid': long(200) },
    });
    expect(message.hostname).toBe(`__${'x'.repeat(253)}`);
    expect(message.appName).toBe(`__${'x'.repeat(46)}`);
    expect(message.processId).toBe(`__${'x'.repeat(126)}`);
    expect(message.messageId).toBe('y'.repeat(32));
  });

  it('takes its fields from where the config says', () => {
    const message = parsed({
      log: { attributes: pairs({ host: text('old host'), pid: { intValue: 7 } }) },
      resource: { team: text('b') },
      options: {
        hostname: '{attribute.host}',
        app_name: 'app-{resource.team}',
        proc_id: '{attribute.pid}',
        msg_id: '{attribute.none}',
      },
    });
    expect(message).toMatchObject({ hostname: 'old_host', appName: 'app-b', processId: '7', messageId: 'unknown' });
  });
});

describe('structured data', () => {
  it('has the elements that the config names', () => {
    const given = {
      log: { attributes: pairs({ a: text('1') }), severityText: 'WARN' },
      resource: { b: { boolValue: true } },
      scope: 'library',
      key: 'u/1-1',
    };
    const ids = (structured_data: readonly string[]) =>
      parsed({ ...given, options: { structured_data, enterprise_id: 99 } }).elements.map(({ id }) => id);
    expect(ids(['event', 'attributes', 'resource'])).toEqual(['spillway@99', 'attributes@99', 'resource@99']);
    expect(ids(['resource'])).toEqual(['resource@99']);
    expect(ids([])).toEqual([]);
    expect(elementOf(parsed(given), 'spillway@32473')).toEqual([
      ['key', 'u/1-1'],
      ['severity_text', 'WARN'],
      ['scope', 'library'],
    ]);
  });

  it('writes values of all kinds', () => {
    const attributes = pairs({
      text: text('a\nb'),
      number: { intValue: '9223372036854775807' },
      float: { doubleValue: 0.5 },
      none: {},
      bytes: { bytesValue: 'AQI=' },
      list: { arrayValue: { values: [text('"]'), { intValue: '1' }] } },
      map: { kvlistValue: { values: pairs({ ['__proto__']: text('x') }) } },
    });
    attributes.push({ key: 'nothing' });
    expect(elementOf(parsed({ log: { attributes } }), 'attributes@32473')).toEqual([
      ['text', 'a\nb'],
      ['number', '9223372036854775807'],
      ['float', '0.5'],
      ['none', ''],
      ['bytes', 'AQI='],
      ['list', '["\\"]",1]'],
      ['map', '{"__proto__":"x"}'],
      ['nothing', ''],
    ]);
  });
});

describe('the text', () => {
  it('begins with a byte order mark, which can be left out', () => {
    expect(parsed({ log: { body: text('a') } })).toMatchObject({ text: 'a', hasMark: true });
    const options = { byte_order_mark: false };
    expect(parsed({ log: { body: text('a') }, options })).toMatchObject({ text: 'a', hasMark: false });
  });

  it('is JSON without a mark where the body has a structure, and escaped once', () => {
    const body: AnyValue = { kvlistValue: { values: pairs({ a: text('x\n\\'), b: { intValue: '2' } }) } };
    for (const control_characters of ['keep', 'escape']) {
      const message = parsed({ log: { body }, options: { control_characters } });
      expect(message).toMatchObject({ text: '{"a":"x\\n\\\\","b":2}', hasMark: false });
    }
  });

  it.each([
    [text(''), undefined],
    [{}, undefined],
    [{ boolValue: false }, 'false'],
    [{ intValue: '0' }, '0'],
    [{ doubleValue: 'NaN' as const }, 'NaN'],
  ])('of %j is %j', (body, expected) => {
    expect(parsed({ log: { body } }).text).toBe(expected);
  });

  it('keeps line breaks or escapes them', () => {
    const log = { body: text('a\nb\u0000c') };
    expect(parsed({ log }).text).toBe('a\nb\u{fffd}c');
    expect(parsed({ log, options: { control_characters: 'escape' } }).text).toBe('a\\nb\\u0000c');
  });
});

describe('a message that is too long', () => {
  const body = text('ü'.repeat(5_000));

  it('is cut at a character and says how long it was', () => {
    const message = parsed({ log: { body }, key: 'u/1-1', options: { max_message_bytes: 2048 } });
    expect(message.bytes.length).toBeGreaterThan(2046);
    expect(message.bytes.length).toBeLessThanOrEqual(2048);
    expect(message.text).toMatch(/^ü+$/);
    expect(elementOf(message, 'spillway@32473')).toEqual([
      ['key', 'u/1-1'],
      ['truncated', '10000'],
    ]);
  });

  it('leaves attributes out first when these take more than half, and counts them', () => {
    const attributes = pairs({ a: text('1'), b: text('x'.repeat(3_000)), c: text('2'), d: text('y'.repeat(3_000)) });
    const message = parsed({ log: { body: text('whole'), attributes }, options: { max_message_bytes: 2048 } });
    expect(message.text).toBe('whole');
    expect(elementOf(message, 'spillway@32473')).toEqual([['left_out', '2']]);
    expect(elementOf(message, 'attributes@32473')?.map(([name]) => name)).toEqual(['a', 'c']);
  });

  it('can be refused instead', () => {
    const options = { when_too_long: 'reject' };
    expect(framed({ log: { body }, options })).toEqual({ tooLongBytes: 10_021 });
    expect(framed({ log: { body }, options: { ...options, max_message_bytes: 10_021 } })).toHaveProperty('frame');
    expect(framed({ log: { body }, options: { ...options, max_message_bytes: 10_020 } })).toHaveProperty(
      'tooLongBytes',
    );
  });
});
