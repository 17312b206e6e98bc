// OTLP/JSON as the protocol and protobuf's JSON rules have it, and as peers send it who have not read them.
import { describe, expect, it } from 'vitest';
import { fullRequestEvents, fullRequests } from '../../test/otlp/full-request.ts';
import { decodeRequest } from './decode.ts';
import { encodeRequest } from './encode.ts';
import { jsonToRequest, requestToJson } from './json.ts';
import type { LogRecord, Span } from './request.ts';
import { signals } from './signal.ts';

function ofRecord(record: string): string {
  return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${record}]}]}]}`;
}

/** The record that comes out when this JSON goes in, or the reason why none does. */
function record(json: string): LogRecord | string | undefined {
  const result = jsonToRequest('logs', ofRecord(json));
  if (!result.ok) return result.reason;
  return decodeRequest('logs', result.bytes)?.resourceLogs?.[0]?.scopeLogs?.[0]?.logRecords?.[0];
}

function span(json: string): Span | string | undefined {
  const result = jsonToRequest('traces', `{"resourceSpans":[{"scopeSpans":[{"spans":[${json}]}]}]}`);
  if (!result.ok) return result.reason;
  return decodeRequest('traces', result.bytes)?.resourceSpans?.[0]?.scopeSpans?.[0]?.spans?.[0];
}

it.each(signals)('%s: in and out again, text or bytes', (signal) => {
  const text = JSON.stringify(fullRequests[signal]);
  for (const given of [
    text,
    new TextEncoder().encode(text),
    `\ufeff${text}`,
    JSON.stringify(fullRequests[signal], null, 2),
  ]) {
    const result = jsonToRequest(signal, typeof given === 'string' ? new TextEncoder().encode(given) : given);
    expect(result).toEqual({
      ok: true,
      bytes: encodeRequest(signal, fullRequests[signal]),
      events: fullRequestEvents[signal],
    });
    expect(result.ok && requestToJson(signal, result.bytes)).toBe(text);
  }
});

it('takes an empty request', () => {
  expect(jsonToRequest('logs', '{}')).toEqual({ ok: true, bytes: new Uint8Array(0), events: 0 });
});

it('refuses what would be parsed into more objects than memory should hold', () => {
  const { ok } = jsonToRequest('logs', ofRecord(Array(999_990).fill('{}').join()));
  expect(ok).toBe(true);
  const result = jsonToRequest('logs', `{"x":[${Array(1_000_000).fill('[]').join()}]}`);
  expect(result).toMatchObject({ ok: false, isTooLarge: true, reason: expect.stringContaining('smaller batches') });
});

it('refuses names without an end, which take the parser seconds', () => {
  const members = (count: number): string => Array.from({ length: count }, (_, index) => `"x${index}":0`).join();
  expect(jsonToRequest('logs', `{${members(1_000)}}`).ok).toBe(true);
  expect(jsonToRequest('logs', `{${members(1_001)}}`)).toMatchObject({ ok: false });
});

describe('integers of 64 bits', () => {
  it('are exact beside doubles that are whole numbers', () => {
    expect(record('{"timeUnixNano":1544712660300000001,"body":{"doubleValue":10000000000000000}}')).toEqual({
      timeUnixNano: '1544712660300000001',
      body: { doubleValue: 1e16 },
    });
  });

  it('are no text', () => {
    expect(record('{"timeUnixNano":1544712660300000001,"severityText":10000000000000001}')).toMatch(
      /severityText: expected a string, found an integer/,
    );
    expect(record('{"timeUnixNano":1544712660300000001,"body":10000000000000001}')).toMatch(
      /body: expected an object, found an integer/,
    );
  });

  it.each([
    ['"1544712660300000001"', '1544712660300000001'],
    ['1544712660300000001', '1544712660300000001'],
    ['18446744073709551615', '18446744073709551615'],
    ['"18446744073709551615"', '18446744073709551615'],
    ['9007199254740993', '9007199254740993'],
    ['1.5447126603e18', '1544712660300000000'],
    ['7.0', '7'],
    ['"007"', '7'],
  ])('takes %s', (given, expected) => {
    expect(record(`{"timeUnixNano":${given}}`)).toEqual({ timeUnixNano: expected });
  });

  it.each([
    '-1',
    '"-1"',
    '1.5',
    '"1.5"',
    '"1e3"',
    '""',
    '" 1"',
    '"0x10"',
    '18446744073709551616',
    '"99999999999999999999"',
    'true',
    '[1]',
  ])('refuses %s', (given) => {
    expect(record(`{"timeUnixNano":${given}}`)).toMatch(
      /logRecords\[0\]\.timeUnixNano: expected a 64-bit integer that is not negative, found/,
    );
  });

  it('takes the ends of the range with sign and nothing beyond', () => {
    const body = (value: string): LogRecord | string | undefined => record(`{"body":{"intValue":${value}}}`);
    expect(body('-9223372036854775808')).toEqual({ body: { intValue: '-9223372036854775808' } });
    expect(body('"9223372036854775807"')).toEqual({ body: { intValue: '9223372036854775807' } });
    expect(body('-9223372036854775809')).toMatch(/body.intValue: expected a 64-bit integer, found/);
    expect(body('9223372036854775808')).toMatch(/body.intValue: expected a 64-bit integer, found/);
  });
});

describe('other values', () => {
  it('takes ids in both cases and empty ones', () => {
    expect(record('{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":""}')).toEqual({
      traceId: '5b8efff798038103d269b633813fc60c',
    });
  });

  it.each(['"5b8e"', '"zz8efff798038103d269b633813fc60c"', '"W47/95gDgQPSabYzgT/GDA=="', '1'])(
    'refuses the id %s',
    (id) => {
      expect(record(`{"traceId":${id}}`)).toMatch(/traceId: expected 32 hexadecimal digits or none, found/);
    },
  );

  it('takes enums as integers, as names and as integers that nobody knows', () => {
    expect(span('{"kind":2,"status":{"code":"STATUS_CODE_ERROR"}}')).toEqual({ kind: 2, status: { code: 2 } });
    expect(span('{"kind":"SPAN_KIND_CONSUMER"}')).toEqual({ kind: 5 });
    expect(span('{"kind":77}')).toEqual({ kind: 77 });
    expect(span('{"kind":"toString"}')).toMatch(/kind: expected an integer from/);
    expect(record('{"severityNumber":"SEVERITY_NUMBER_FATAL4"}')).toEqual({ severityNumber: 24 });
    expect(record('{"severityNumber":"SEVERITY_NUMBER_INFO"}')).toEqual({ severityNumber: 9 });
  });

  it('takes both alphabets of base64, with and without padding', () => {
    const bytes = (value: string): LogRecord | string | undefined => record(`{"body":{"bytesValue":${value}}}`);
    expect(bytes('"AP/+"')).toEqual({ body: { bytesValue: 'AP/+' } });
    expect(bytes('"AP_-"')).toEqual({ body: { bytesValue: 'AP/+' } });
    expect(bytes('"AA"')).toEqual(bytes('"AA=="'));
    expect(bytes('"A*"')).toMatch(/bytesValue: expected base64/);
  });

  it('takes doubles as numbers and as text', () => {
    const double = (value: string): LogRecord | string | undefined => record(`{"body":{"doubleValue":${value}}}`);
    for (const word of ['NaN', 'Infinity', '-Infinity']) {
      expect(double(`"${word}"`)).toEqual({ body: { doubleValue: word } });
    }
    expect(double('"-1.5e3"')).toEqual({ body: { doubleValue: -1500 } });
    expect(double('0')).toEqual({ body: { doubleValue: 0 } });
    expect(double('"nan"')).toMatch(/doubleValue: expected a number/);
    expect(double('""')).toMatch(/doubleValue: expected a number/);
  });

  it('takes the limits of 32 bits and nothing beyond', () => {
    expect(record('{"flags":4294967295,"droppedAttributesCount":"4294967295"}')).toEqual({
      flags: 4_294_967_295,
      droppedAttributesCount: 4_294_967_295,
    });
    expect(record('{"flags":4294967296}')).toMatch(/flags: expected an integer from 0 to 4294967295, found an integer/);
    expect(record('{"flags":-1}')).toMatch(/flags: expected/);
  });
});

describe('shape', () => {
  it('takes snake_case, null and keys that nobody knows', () => {
    expect(
      record('{"time_unix_nano":"5","severityText":null,"attributes":null,"later":{"x":[1]},"body":null}'),
    ).toEqual({
      timeUnixNano: '5',
    });
    expect(jsonToRequest('logs', '{"resource_logs":[{"scope_logs":[{"log_records":[{},{}]}]}]}')).toMatchObject({
      events: 2,
    });
  });

  it('takes an empty value for null in a list, so that the others keep their places', () => {
    const body = '{"body":{"arrayValue":{"values":[{"intValue":"1"},null,{}]}}}';
    expect(record(body)).toEqual({ body: { arrayValue: { values: [{ intValue: '1' }, {}, {}] } } });
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('is not moved by a key called %s', (key) => {
    expect(record(`{"${key}":{"severityText":"X","traceId":1},"severityText":"Y"}`)).toEqual({ severityText: 'Y' });
    expect(record(`{"body":{"kvlistValue":{"values":[{"key":"${key}","value":{"stringValue":"v"}}]}}}`)).toEqual({
      body: { kvlistValue: { values: [{ key, value: { stringValue: 'v' } }] } },
    });
    expect(({} as Record<string, unknown>)['severityText']).toBeUndefined();
  });

  it('keeps a zero and an empty text that are chosen', () => {
    for (const body of ['{"stringValue":""}', '{"intValue":"0"}', '{"boolValue":false}', '{"arrayValue":{}}', '{}']) {
      expect(record(`{"body":${body}}`)).toEqual({ body: JSON.parse(body) });
    }
  });

  it.each([
    ['{"severityText":1}', 'severityText: expected a string, found an integer'],
    ['{"attributes":{}}', 'attributes: expected an array, found an object'],
    ['{"attributes":["x"]}', 'attributes[0]: expected an object, found a string of 1 characters'],
    [
      '{"attributes":[{"key":"a"},{"value":{"boolValue":"true"}}]}',
      'attributes[1].value.boolValue: expected true or false',
    ],
    ['{"body":"text"}', 'body: expected an object, found a string'],
    ['{"body":[]}', 'body: expected an object, found an array'],
  ])('refuses %s and says where', (json, reason) => {
    expect(record(json)).toContain(`resourceLogs[0].scopeLogs[0].logRecords[0].${reason}`);
  });

  it.each(['null', '[]', '"text"', '1', 'true'])('refuses %s as a request', (text) => {
    expect(jsonToRequest('logs', text)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/the request: expected an object/),
    });
  });

  it('refuses the telemetry of another signal, which would be left out without a word', () => {
    for (const text of [
      '{"resourceSpans":[]}',
      '{"resource_spans":[],"resourceLogs":[]}',
      '{"resourceMetrics":null}',
    ]) {
      expect(jsonToRequest('logs', text)).toMatchObject({
        ok: false,
        reason: expect.stringMatching(/expected logs, found/),
      });
    }
    expect(jsonToRequest('traces', '{"resourceSpans":[{"resourceLogs":[]}]}')).toMatchObject({ ok: true });
  });

  it('never repeats what it found, which may be secret', () => {
    const refused = ['{"traceId":"hunter2"}', '{"flags":"hunter2"}', '{"body":"hunter2"}', '{"flags":hunter2}'];
    for (const json of refused) expect(record(json)).not.toMatch(/hunter2/);
  });

  it('refuses a metric with two kinds of data', () => {
    const text = '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{},"sum":{}}]}]}]}';
    expect(jsonToRequest('metrics', text)).toMatchObject({ ok: false, reason: expect.stringContaining('two kinds') });
  });
});

describe('bytes that are no JSON', () => {
  it.each(['', '{', '{"resourceLogs":[}', 'resourceLogs', '{}x', "{'a':1}"])('refuses %j', (text) => {
    expect(jsonToRequest('logs', text)).toEqual({ ok: false, reason: 'not taken: the body is not JSON' });
  });

  it('refuses what is no UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff), Buffer.from('"}')]);
    expect(jsonToRequest('logs', bytes)).toEqual({ ok: false, reason: 'not taken: the body is not UTF-8' });
  });

  it('refuses values nested too deep, known or not, and does not overflow', () => {
    const nested = (levels: number): string =>
      `{"body":${'{"arrayValue":{"values":['.repeat(levels)}{}${']}}'.repeat(levels)}}`;
    expect(record(nested(48))).toBeTypeOf('object');
    expect(record(nested(49))).toMatch(/at most 100 messages inside each other/);
    expect(record(nested(200_000))).toMatch(/at most 100|too deep/);
    const unknown = `{"x":${'['.repeat(500_000)}${']'.repeat(500_000)},"timeUnixNano":9007199254740993}`;
    expect(record(unknown)).toSatisfy(
      (found: unknown) => typeof found === 'object' || String(found).includes('too deep'),
    );
  });
});

it('makes JSON of malformed bytes undefined', () => {
  expect(requestToJson('logs', Uint8Array.of(0x0a, 0x05))).toBeUndefined();
});

it('makes one line, whatever the text holds', () => {
  const bytes = encodeRequest('logs', {
    resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: 'a\nb\r\u2028\ud800' } }] }] }],
  });
  const json = requestToJson('logs', bytes) ?? '';
  expect(json).not.toMatch(/[\n\r]/);
  expect(jsonToRequest('logs', json)).toMatchObject({ ok: true, bytes });
});
