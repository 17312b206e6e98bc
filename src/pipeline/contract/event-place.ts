// Where an event stands in the buffer that gave it, for sinks that tell repeats by it: events are handed out in the
// order of their ids, and epochs only grow, so whatever stands at or before the last one that arrived has arrived, too.
//
// A place is one only together with its buffer: an id of another buffer could be that of another event.

import type { SinkBatch, SinkRecord } from './sink.ts';

export interface EventPlace {
  readonly epoch: number;
  /** The event's id. */
  readonly event: number;
}

/** What a record's origin says. */
export interface RecordOrigin {
  /** Of the buffer. */
  readonly uuid: string;
  readonly epoch: number;
}

/** Below 0, 0 or above 0, as `a` stands before, at or behind `b`. */
export function comparePlaces(a: EventPlace, b: EventPlace): number {
  return a.epoch === b.epoch ? a.event - b.event : a.epoch - b.epoch;
}

/** Place of the event that stands `index` behind the record's first one. Throws if the record's origin is none. */
export function placeOf(record: Pick<SinkRecord, 'origin' | 'id'>, index: number): EventPlace {
  return { epoch: originOf(record).epoch, event: record.id + index };
}

/** Throws if the record's origin is none. */
export function originOf({ origin }: Pick<SinkRecord, 'origin'>): RecordOrigin {
  const found = parseOrigin(origin);
  if (found === undefined) throw new Error(`a record's origin should be <uuid>/<epoch> and is ${origin}`);
  return found;
}

/** Throws if a record of the batch comes from another buffer than this one. */
export function checkOrigins({ records }: Pick<SinkBatch, 'records'>, uuid: string): void {
  const stranger = records.find(({ origin }) => parseOrigin(origin)?.uuid !== uuid);
  if (stranger === undefined) return;
  throw new Error(`record ${stranger.id} should come from buffer ${uuid}, its origin is ${stranger.origin}`);
}

/** Reads `<uuid>/<epoch>`. Undefined if the text is none. */
export function parseOrigin(text: string): RecordOrigin | undefined {
  const [, uuid, epoch] = /^([^/]+)\/(\d{1,10})$/.exec(text) ?? [];
  return uuid === undefined ? undefined : { uuid, epoch: Number(epoch) };
}

/** Reads an event's key, `<uuid>/<epoch>-<id>`. Undefined if the text is none. */
export function parseKey(text: string): (RecordOrigin & EventPlace) | undefined {
  const [, before = '', event] = /^(.*)-(\d{1,16})$/.exec(text) ?? [];
  const origin = parseOrigin(before);
  return origin && { ...origin, event: Number(event) };
}
