// What the random requests of single-events.prop.test.ts do not come across: bounds, and what is shared.
import { expect, it } from 'vitest';
import { splitEvents } from '../../test/otlp/split-events.ts';
import { KiB } from '../base/units.ts';
import { countEvents } from './count.ts';
import { encodeRequest } from './encode.ts';
import { requestToJson } from './json.ts';
import type { AnyValue } from './request.ts';
import { messagesMax, nestingMax } from './schema.ts';
import { SingleEvents } from './single-events.ts';

function nested(levels: number): AnyValue {
  let value: AnyValue = { intValue: 1 };
  for (let level = 0; level < levels; level += 1) value = { arrayValue: { values: [value] } };
  return value;
}

it('writes an event with everything around it, in the order of a request that has it alone', () => {
  const scopeLogs = [
    { schemaUrl: 's', scope: { name: 'b' }, logRecords: [{ eventName: 'one' }, { eventName: 'two' }] },
  ];
  const resource = { attributes: [{ key: 'a' }] };
  const events = new SingleEvents('logs', encodeRequest('logs', { resourceLogs: [{ scopeLogs, resource }] }));
  expect(events.json(1)).toBe(
    '{"resourceLogs":[{"resource":{"attributes":[{"key":"a"}]},' +
      '"scopeLogs":[{"schemaUrl":"s","scope":{"name":"b"},"logRecords":[{"eventName":"two"}]}]}]}',
  );
});

it('gives all events of a resource and a scope the same objects', () => {
  const scopeLogs = [{ scope: { name: 'a' }, logRecords: [{}, {}] }, { logRecords: [{}] }];
  const resourceLogs = [{ resource: { droppedAttributesCount: 1 }, scopeLogs }];
  const events = new SingleEvents('logs', encodeRequest('logs', { resourceLogs }));
  const [one, two, three] = [events.fields(0), events.fields(1), events.fields(2)];
  expect(two?.resource).toBe(one?.resource);
  expect(two?.scope).toBe(one?.scope);
  expect(three?.resource).toBe(one?.resource);
  expect(three?.scope).toEqual({});
});

it('lets a malformed event spoil no other, and a malformed resource only its own', () => {
  const resourceLogs = ['aaaa', 'bbbb'].map((key) => ({
    resource: { attributes: [{ key }] },
    scopeLogs: [{ logRecords: [{ body: { stringValue: 'cccc' } }, { body: { stringValue: 'dddd' } }] }],
  }));
  const whole = Buffer.from(encodeRequest('logs', { resourceLogs }));
  const jsonOf = (bytes: Uint8Array): boolean[] => {
    const events = new SingleEvents('logs', bytes);
    return [0, 1, 2, 3].map((event) => events.json(event) !== undefined && events.fields(event) !== undefined);
  };
  const cut = (text: string): Uint8Array => {
    const bytes = Buffer.from(whole);
    bytes[bytes.indexOf(text) - 1] = 5; // One byte longer than what it is in.
    return bytes;
  };
  expect(jsonOf(whole)).toEqual([true, true, true, true]);
  expect(jsonOf(cut('cccc'))).toEqual([false, true, true, true]);
  expect(jsonOf(cut('aaaa'))).toEqual([false, false, true, true]);
});

it('takes as many levels as the request of the event alone may have', () => {
  // The list of resources, scopes, records, the body; two for each array.
  const deepest = Math.floor((nestingMax - 4) / 2);
  const logRecords = [deepest, deepest + 1].map((levels) => ({ body: nested(levels) }));
  const bytes = encodeDeep(logRecords);
  const events = new SingleEvents('logs', bytes);
  const alone = splitEvents('logs', bytes).map((request) => requestToJson('logs', request));
  expect([events.json(0), events.json(1)]).toEqual(alone);
  expect(alone.map((json) => json !== undefined)).toEqual([true, false]);
});

it('counts messages of the event together with those around it', () => {
  // Empty attributes: half of all messages are in the resource. The event is the last of five that hold others.
  const half = messagesMax / 2;
  const records = [half - 5, half - 4].map((count) => delimited(2, attributes(6, count)));
  const bytes = delimited(1, Buffer.concat([delimited(1, attributes(1, half)), delimited(2, Buffer.concat(records))]));
  const events = new SingleEvents('logs', bytes);
  expect([0, 1].map((event) => events.fields(event) !== undefined)).toEqual([true, false]);
});

it('makes one request at a time', () => {
  const resource = { attributes: [{ key: 'x'.repeat(100 * KiB) }] };
  const logRecords = Array.from({ length: 100_000 }, () => ({}));
  const bytes = encodeRequest('logs', { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] });
  const events = new SingleEvents('logs', bytes); // 10 GB all together.
  expect(countEvents('logs', events.request(99_999))).toBe(1);
});

it('has no events in an empty request', () => {
  expect(new SingleEvents('metrics', new Uint8Array(0)).count).toBe(0);
});

/** The encoder refuses what is nested too deep, so that is put together by hand. */
function encodeDeep(logRecords: readonly { readonly body: AnyValue }[]): Buffer {
  const anyValue = ({ arrayValue }: AnyValue): Buffer => {
    const [inner] = arrayValue?.values ?? [];
    return inner === undefined ? Buffer.from([0x18, 1]) : delimited(5, delimited(1, anyValue(inner)));
  };
  const records = logRecords.map(({ body }) => delimited(2, delimited(5, anyValue(body))));
  return delimited(1, delimited(2, Buffer.concat(records)));
}

function attributes(field: number, count: number): Buffer {
  return Buffer.alloc(2 * count, Buffer.from([field * 8 + 2, 0]));
}

function delimited(field: number, content: Uint8Array): Buffer {
  const length: number[] = [];
  for (let rest = content.length; ; rest >>>= 7) {
    length.push(rest < 0x80 ? rest : (rest & 0x7f) | 0x80);
    if (rest < 0x80) break;
  }
  return Buffer.concat([Buffer.from([field * 8 + 2, ...length]), content]);
}
