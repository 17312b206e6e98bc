import { expect, it } from 'vitest';
import { sampleBatch, sampleOriginUuid } from '../../testing/index.ts';
import { checkOrigins, comparePlaces, parseKey, parseOrigin, placeOf } from './event-place.ts';
import { keyedEvents } from './keyed-events.ts';
import type { SinkRecord } from './sink.ts';

it('reads an origin', () => {
  expect(parseOrigin('0b1e9c52-6f0d/12')).toEqual({ uuid: '0b1e9c52-6f0d', epoch: 12 });
  const none = ['', 'uuid', 'uuid/', '/1', 'a/b/1', 'uuid/1-2', 'uuid/12345678901', 'uuid/1\n'];
  for (const text of none) expect(parseOrigin(text)).toBeUndefined();
});

it('reads the keys that events are given', () => {
  const [record] = sampleBatch('logs', 41, [2]).records as [SinkRecord];
  const keys = [...keyedEvents(record)].map(({ key }) => parseKey(key));
  expect(keys).toEqual([41, 42].map((event) => ({ uuid: sampleOriginUuid, epoch: 1, event })));
  for (const none of ['', 'uuid/1', 'uuid/1-', 'uuid-1', '/1-1', 'a/b/1-1', 'uuid/1-x', 'uuid/1-12345678901234567']) {
    expect(parseKey(none)).toBeUndefined();
  }
});

it('orders places by their epoch first, and as numbers', () => {
  const ascending = [
    [1, 2],
    [1, 10],
    [2, 1],
    [10, 1],
    [4_294_967_295, 9_007_199_254_740_991],
  ] as const;
  const places = ascending.map(([epoch, event]) => ({ epoch, event }));
  for (const [at, a] of places.entries()) {
    for (const [bt, b] of places.entries()) expect(Math.sign(comparePlaces(a, b))).toBe(Math.sign(at - bt));
  }
});

it('knows the place of each event of a record', () => {
  const record = { origin: 'uuid/3', id: 7 };
  expect([placeOf(record, 0), placeOf(record, 2)]).toEqual([7, 9].map((event) => ({ epoch: 3, event })));
  expect(() => placeOf({ origin: 'nowhere', id: 1 }, 0)).toThrow(
    "a record's origin should be <uuid>/<epoch> and is nowhere",
  );
});

it('throws at a record of another buffer', () => {
  const batch = sampleBatch('logs', 1, [1, 1]);
  checkOrigins(batch, sampleOriginUuid);
  expect(() => checkOrigins(batch, 'other')).toThrow('record 1 should come from buffer other, its origin is');
  const mixed = { records: [batch.records[0], { ...batch.records[1], origin: 'other/1' }] as SinkRecord[] };
  expect(() => checkOrigins(mixed, sampleOriginUuid)).toThrow(`record 2 should come from buffer ${sampleOriginUuid}`);
});
