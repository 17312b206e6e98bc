import { describe, expect, it } from 'vitest';
import { countEvents } from '../otlp/count.ts';
import { signals } from '../otlp/signal.ts';
import { markersIn, markersOf, sampleBatch, sampleRequest } from './otlp-samples.ts';

describe.each(signals)('a sample of %s', (signal) => {
  it('has as many events as it says, and their markers in order', () => {
    for (const events of [1, 2, 200]) {
      const { bytes } = sampleRequest(signal, 7, events, ' é\n');
      expect(countEvents(signal, bytes)).toBe(events);
      expect(markersIn(bytes)).toEqual(markersOf(7, events));
    }
  });

  it('batch has records numbered without a gap, which make one request', () => {
    const batch = sampleBatch(signal, 1, [2, 1, 3]);
    expect(batch.records.map(({ id, events }) => [id, events])).toEqual([
      [1, 2],
      [3, 1],
      [4, 3],
    ]);
    expect(countEvents(signal, batch.merged())).toBe(6);
    expect(batch.merged().length).toBe(batch.byteLength);
    expect(markersIn(batch.merged())).toEqual(markersOf(1, 6));
  });
});

it('a batch of one record has its very bytes', () => {
  const batch = sampleBatch('logs', 1, [3]);
  expect(batch.merged()).toBe(batch.records[0]?.bytes);
});
