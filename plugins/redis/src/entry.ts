// What an event looks like in Redis.
//
// As an entry of a stream: an id, and fields with names.
//   signal  logs, traces or metrics
//   data    the event with its resource and scope, as an OTLP request of its own
//   key     only where the server gives the ids: the event's key, by which a reader can tell repeats
// As an element of a list: the same in one JSON text, {"key": ..., "signal": ..., "data": ...}, or the data alone.

import {
  comparePlaces,
  type EventEncoding,
  type EventPlace,
  type KeyedEvent,
  keyedEvents,
  originOf,
  placeOf,
  type Signal,
  type SinkBatch,
} from 'spillway/plugin';

export interface Entry {
  readonly id: EventPlace;
  /** What stands behind the id, or the element. */
  readonly content: readonly (string | Buffer)[];
  /** Bytes of its longest part. */
  readonly dataBytes: number;
}

export interface EntryOptions {
  readonly payload: EventEncoding;
  /** `fields`: of a stream. `envelope`: one JSON text; only with `json`. `request`: the data alone. */
  readonly shape: 'fields' | 'envelope' | 'request';
  /** Whether the key is told beside the data. */
  readonly hasKey: boolean;
}

/** Bytes of all entries of a batch, at most. Events repeat their resource, so these can be many times the batch. */
const entriesBytesMax = 64 * 1024 * 1024;
/** What an entry takes beside its data until it was answered: its command and who waits for it. */
const entryOverheadBytes = 1024;

export type Entries =
  | { readonly kind: 'entries'; readonly entries: readonly Entry[]; readonly repeats: number }
  | { readonly kind: 'too_large' | 'rejected'; readonly reason: string };

/** The events of a batch as entries, but for those at or below `newest`, which are repeats. */
export function entriesOf(batch: SinkBatch, newest: EventPlace, options: EntryOptions): Entries {
  const entries: Entry[] = [];
  let repeats = 0;
  let bytes = 0;
  for (const record of batch.records) {
    if (comparePlaces(placeOf(record, record.events - 1), newest) <= 0) {
      repeats += record.events;
      continue;
    }
    const { epoch } = originOf(record);
    for (const event of keyedEvents(record)) {
      const id = { epoch, event: event.id };
      if (comparePlaces(id, newest) <= 0) {
        repeats += 1;
        continue;
      }
      const entry = entryOf(event, id, batch.signal, options);
      if (entry === undefined) return { kind: 'rejected', reason: 'an event cannot be decoded, so it has no JSON' };
      entries.push(entry);
      bytes += entry.dataBytes + entryOverheadBytes;
      if (bytes <= entriesBytesMax || batch.events === 1) continue;
      return {
        kind: 'too_large',
        reason: `its events, each with its resource and its command, are more than ${entriesBytesMax} bytes`,
      };
    }
  }
  return { kind: 'entries', entries, repeats };
}

/** Undefined: the event cannot be decoded. Protobuf is never decoded. */
function entryOf(event: KeyedEvent, id: EventPlace, signal: Signal, options: EntryOptions): Entry | undefined {
  const { payload, shape, hasKey } = options;
  const data = event.encoded(payload);
  if (data === undefined) return undefined;
  if (shape === 'fields') {
    const content = ['signal', signal, ...(hasKey ? ['key', event.key] : []), 'data', data];
    return { id, content, dataBytes: data.length };
  }
  const told = { ...(hasKey ? { key: event.key } : {}), signal };
  const element = shape === 'request' ? data : envelopeOf(told, data);
  return { id, content: [element], dataBytes: element.length };
}

/** One JSON text, of which `data` is the last member. */
function envelopeOf(told: object, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(told).slice(0, -1)},"data":`), data, Buffer.from('}')]);
}
