import { describe, expect, it } from 'vitest';
import { splitEvents } from '../../../test/otlp/split-events.ts';
import { eachEvent } from '../../otlp/decode.ts';
import { requestToJson } from '../../otlp/json.ts';
import { signals } from '../../otlp/signal.ts';
import { markersIn, sampleBatch } from '../../testing/index.ts';
import { keyedEvents } from './keyed-events.ts';
import type { SinkRecord } from './sink.ts';
import { template } from './template.ts';

function record(signal: (typeof signals)[number], events: number): SinkRecord {
  return sampleBatch(signal, 7, [events]).records[0] as SinkRecord;
}

/** Its first event cannot be decoded: an attribute is longer than the event. */
function recordWithDamage(): SinkRecord {
  const sample = record('logs', 2);
  const bytes = Buffer.from(sample.bytes);
  bytes[bytes.indexOf('event-000007') - 1] = 0x7f;
  return { ...sample, bytes };
}

it.each(signals)('gives each event of %s as a request of its own, with its key, in order', (signal) => {
  const sample = record(signal, 4);
  const events = [...keyedEvents(sample)];
  expect(events.map(({ id }) => id)).toEqual([7, 8, 9, 10]);
  expect(events.map(({ key }) => key)).toEqual([7, 8, 9, 10].map((id) => `${sample.origin}-${id}`));
  expect(events.map(({ bytes }) => bytes)).toEqual(splitEvents(signal, sample.bytes));
  expect(events.flatMap(({ bytes }) => markersIn(bytes))).toEqual(markersIn(sample.bytes));
});

it.each(signals)('gives each event of %s decoded and in both encodings', (signal) => {
  const sample = record(signal, 5);
  const events = [...keyedEvents(sample)];
  expect(events.map((event) => event.fields())).toEqual([...(eachEvent(signal, sample.bytes) ?? [])]);
  const requests = splitEvents(signal, sample.bytes);
  const json = requests.map((bytes) => requestToJson(signal, bytes));
  expect(events.map((event) => event.json())).toEqual(json);
  expect(events.map((event) => event.encoded('json')?.toString())).toEqual(json);
  expect(events.map((event) => event.encoded('protobuf'))).toEqual(requests.map((bytes) => Buffer.from(bytes)));
});

it('gives an event that cannot be decoded as protobuf only, and those beside it in all forms', () => {
  const [damaged, sound] = [...keyedEvents(recordWithDamage())];
  expect([damaged?.json(), damaged?.fields(), damaged?.encoded('json')]).toEqual([undefined, undefined, undefined]);
  expect(damaged?.encoded('protobuf')).toBeInstanceOf(Buffer);
  expect(markersIn(sound?.json() ?? '')).toEqual(['event-000008']);
  expect(sound?.fields()).toBeDefined();
});

describe('a name', () => {
  const named = template().parse('{resource.service.name}.{severity}');

  it('is made of the fields, and cleaned', () => {
    const [event] = [...keyedEvents(record('logs', 1))];
    expect(event?.rendered(named)).toBe('sample.info');
    expect(event?.rendered(named, (value) => value.toUpperCase())).toBe('SAMPLE.INFO');
  });

  it('needs an event that can be decoded only where it asks for fields', () => {
    const [damaged] = [...keyedEvents(recordWithDamage())];
    expect(damaged?.rendered(named)).toBeUndefined();
    expect(damaged?.rendered(template().parse('all.{signal}'))).toBe('all.logs');
  });
});

it('throws where the count is wrong, before it gives any', () => {
  const given: string[] = [];
  expect(() => {
    for (const { key } of keyedEvents({ ...record('logs', 3), events: 4 })) given.push(key);
  }).toThrow('record 7 should hold 4 events, has 3');
  expect(given).toEqual([]);
});
