import { expect, it } from 'vitest';
import { eachEvent } from '../../otlp/decode.ts';
import { signals } from '../../otlp/signal.ts';
import { markersIn, sampleBatch } from '../../testing/index.ts';
import { keyedEvents } from './keyed-events.ts';
import type { SinkRecord } from './sink.ts';

function record(signal: (typeof signals)[number], events: number): SinkRecord {
  return sampleBatch(signal, 7, [events]).records[0] as SinkRecord;
}

it.each(signals)('gives each event of %s as a request of its own, with its key, in order', (signal) => {
  const sample = record(signal, 4);
  const events = [...keyedEvents(sample)];
  expect(events.map(({ id }) => id)).toEqual([7, 8, 9, 10]);
  expect(events.map(({ key }) => key)).toEqual([7, 8, 9, 10].map((id) => `${sample.origin}-${id}`));
  expect(events.flatMap(({ bytes }) => markersIn(Buffer.from(bytes).toString('latin1')))).toEqual(
    markersIn(Buffer.from(sample.bytes).toString('latin1')),
  );
});

it.each(signals)('stands in the order in which %s are decoded', (signal) => {
  const sample = record(signal, 5);
  const alone = [...keyedEvents(sample)].flatMap(({ bytes }) => [...(eachEvent(signal, bytes) ?? [])]);
  expect(alone).toEqual([...(eachEvent(signal, sample.bytes) ?? [])]);
});

it('throws where the count is wrong, after what it could give', () => {
  const sample = { ...record('logs', 3), events: 4 };
  const given: string[] = [];
  expect(() => {
    for (const { key } of keyedEvents(sample)) given.push(key);
  }).toThrow('record 7 should hold 4 events, has 3');
  expect(given).toHaveLength(3);
});
