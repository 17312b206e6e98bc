// Whatever a log record says, its message is what the grammar of RFC 5424 allows, is not longer than it may be, and
// says the same.
import fc from 'fast-check';
import type { AnyValue, KeyValue, LogRecord, TelemetryEvent } from 'spillway/plugin';
import { expect, it } from 'vitest';
import { parseMessages, readFrames } from '../test/message-parser.ts';
import { framedMessage } from './message.ts';
import { messageFormat, schema } from './options.ts';

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('"', '\\', ']', '=', ' ', '\n', '\0', 'ü', '漢', '🜁', '\u{feff}', 'x') }),
  fc.string({ unit: fc.constantFrom('"', '\u0001', 'ü', '🜁'), minLength: 500, maxLength: 3_000 }),
);
const { value: anyValue } = fc.letrec<{ value: AnyValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.record({ stringValue: anyText }),
    fc.record({ intValue: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) }),
    fc.record({ boolValue: fc.boolean() }),
    fc.constant({}),
    fc.record({ arrayValue: fc.record({ values: fc.array(tie('value'), { maxLength: 3 }) }) }),
    fc.record({
      kvlistValue: fc.record({
        values: fc.array(fc.record({ key: anyText, value: tie('value') }), { maxLength: 3 }),
      }),
    }),
  ),
}));
const anyPairs: fc.Arbitrary<KeyValue[]> = fc.array(
  fc.record({
    key: fc.oneof(fc.constantFrom('host.name', 'service.name', 'process.pid'), anyText),
    value: anyValue,
  }),
  { maxLength: 6 },
);
const hex = fc.string({ unit: fc.constantFrom('0', 'a', '9'), maxLength: 64 });
const anyLog: fc.Arbitrary<LogRecord> = fc.record(
  {
    timeUnixNano: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
    severityNumber: fc.integer({ min: -1, max: 30 }),
    severityText: anyText,
    eventName: anyText,
    body: anyValue,
    attributes: anyPairs,
    traceId: hex,
    spanId: hex,
  },
  { requiredKeys: [] },
);
const anyEvent: fc.Arbitrary<TelemetryEvent> = fc.record({
  event: anyLog,
  resource: anyPairs.map((attributes) => ({ attributes })),
  scope: anyText.map((name) => ({ name })),
});
const anyOptions = fc.record({
  facility: fc.integer({ min: 0, max: 23 }),
  structured_data: fc.subarray(['event', 'attributes', 'resource']),
  enterprise_id: fc.constantFrom(0, 32_473, 4_294_967_295),
  byte_order_mark: fc.boolean(),
  control_characters: fc.constantFrom('keep', 'escape'),
  max_message_bytes: fc.constantFrom(2048, 8192, 1_048_576),
});
const key = `${'0'.repeat(36)}/4294967295-9007199254740991`;

function frameOf(event: TelemetryEvent, options: Readonly<Record<string, unknown>>): Buffer {
  const framed = framedMessage(event, key, messageFormat(schema.parse({ address: 'localhost:601', ...options })));
  if (!('frame' in framed)) throw new Error('it may be cut');
  return Buffer.from(framed.frame);
}

it('is always what the grammar allows, and never too long', () => {
  fc.assert(
    fc.property(anyEvent, anyOptions, (event, options) => {
      const [message] = parseMessages(frameOf(event, options));
      expect(message?.facility).toBe(options.facility);
      expect(message?.bytes.length).toBeLessThanOrEqual(options.max_message_bytes);
      expect(message?.bytes.includes(0)).toBe(false);
      if (options.control_characters === 'escape') expect(message?.bytes.some((byte) => byte < 32)).toBe(false);
    }),
  );
});

it('says what the record said', () => {
  const unbroken = (text: string): string => text.replaceAll('\0', '\u{fffd}');
  fc.assert(
    fc.property(anyText, anyText, anyText, (body, name, value) => {
      const event: TelemetryEvent = {
        resource: {},
        scope: {},
        event: { body: { stringValue: body }, attributes: [{ key: name, value: { stringValue: value } }] },
      };
      const [message] = parseMessages(frameOf(event, { max_message_bytes: 1_048_576 }));
      expect(message?.text ?? '').toBe(unbroken(body));
      const attributes = message?.elements.find(({ id }) => id === 'attributes@32473');
      expect(attributes?.parameters.map(([, text]) => text)).toEqual([unbroken(value)]);
    }),
  );
});

it('tells escaped texts apart', () => {
  const undone = (text: string): string =>
    text.replace(/\\(?:u([0-9a-f]{4})|(.))/g, (_, code: string | undefined, short: string) =>
      code === undefined
        ? ({ n: '\n', r: '\r', t: '\t' }[short] ?? short)
        : String.fromCharCode(Number.parseInt(code, 16)),
    );
  fc.assert(
    fc.property(anyText, (body) => {
      const event = { resource: {}, scope: {}, event: { body: { stringValue: body } } };
      const options = { control_characters: 'escape', max_message_bytes: 1_048_576 };
      const [message] = parseMessages(frameOf(event, options));
      expect(undone(message?.text ?? '')).toBe(body);
    }),
  );
});

it('stands in a stream between others', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 5 }), (events) => {
      const frames = events.map((event) => frameOf(event, {}));
      const { messages, rest } = readFrames(Buffer.concat(frames));
      expect(rest.length).toBe(0);
      expect(messages.length).toBe(events.length);
      for (const [at, message] of messages.entries()) expect(frames[at]?.includes(message)).toBe(true);
    }),
  );
});
