// What an event looks like in Redis.
//
// As an entry of a stream: an id, and fields with names.
//   signal  logs, traces or metrics
//   data    the event with its resource and scope, as an OTLP request of its own
//   key     only where the server gives the ids: the event's key, by which a reader can tell repeats
// As an element of a list: the same in one JSON text, {"key": ..., "signal": ..., "data": ...}, or the data alone.

import { keyedEvents, requestToJson, type Signal, type SinkBatch, type SinkRecord } from 'spillway/plugin';
import { compareEntryIds, type EntryId, parseOrigin } from './entry-id.ts';

export interface Entry {
  readonly id: EntryId;
  /** What stands behind the id, or the element. */
  readonly content: readonly (string | Buffer)[];
  /** Bytes of its longest part. */
  readonly dataBytes: number;
}

export interface EntryOptions {
  readonly payload: 'json' | 'protobuf';
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
export function entriesOf(batch: SinkBatch, newest: EntryId, options: EntryOptions): Entries {
  const entries: Entry[] = [];
  let repeats = 0;
  let bytes = 0;
  for (const record of batch.records) {
    const epoch = epochOf(record);
    if (compareEntryIds({ epoch, event: record.id + record.events - 1 }, newest) <= 0) {
      repeats += record.events;
      continue;
    }
    for (const entry of entriesOfRecord(record, epoch, options)) {
      if (entry === undefined) return { kind: 'rejected', reason: 'an event cannot be decoded, so it has no JSON' };
      if (compareEntryIds(entry.id, newest) <= 0) {
        repeats += 1;
        continue;
      }
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

function epochOf({ origin }: SinkRecord): number {
  const epoch = parseOrigin(origin)?.epoch;
  if (epoch === undefined) throw new Error(`a record's origin should be <uuid>/<epoch> and is ${origin}`);
  return epoch;
}

/** Undefined stands for an event that cannot be decoded. Protobuf is never decoded. */
function* entriesOfRecord(record: SinkRecord, epoch: number, options: EntryOptions): Generator<Entry | undefined> {
  const { signal } = record;
  for (const { key, id, bytes } of keyedEvents(record)) {
    const data = options.payload === 'protobuf' ? bufferOf(bytes) : requestToJson(signal, bytes);
    yield data === undefined ? undefined : entryOf({ id: { epoch, event: id }, key, signal, data }, options);
  }
}

interface Keyed {
  readonly id: EntryId;
  readonly key: string;
  readonly signal: Signal;
  readonly data: Buffer | string;
}

function entryOf({ id, key, signal, data }: Keyed, { shape, hasKey }: EntryOptions): Entry {
  if (shape === 'fields') {
    const bytes = toBuffer(data);
    const content = ['signal', signal, ...(hasKey ? ['key', key] : []), 'data', bytes];
    return { id, content, dataBytes: bytes.length };
  }
  const told = JSON.stringify({ ...(hasKey ? { key } : {}), signal });
  const element = shape === 'request' ? data : `${told.slice(0, -1)},"data":${data}}`;
  const bytes = toBuffer(element);
  return { id, content: [bytes], dataBytes: bytes.length };
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function toBuffer(data: Buffer | string): Buffer {
  return typeof data === 'string' ? Buffer.from(data) : data;
}
