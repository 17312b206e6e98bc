// What an event looks like as an entry of a stream: an id, and fields with names.
//
//   signal  logs, traces or metrics
//   data    the event with its resource and scope, as an OTLP request of its own
//   key     only where the server gives the ids: the event's key, by which a reader can tell repeats

import { eachRequest, requestToJson, type Signal, type SinkBatch, type SinkRecord } from 'spillway/plugin';
import { compareEntryIds, type EntryId, parseOrigin } from './entry-id.ts';

export interface Entry {
  readonly id: EntryId;
  /** Names and values in turn. */
  readonly fields: readonly (string | Buffer)[];
  /** Bytes of its longest field. */
  readonly dataBytes: number;
}

export interface EntryOptions {
  readonly payload: 'json' | 'protobuf';
  /** Whether the server gives the ids. Then the key is a field, if it means something beyond this process. */
  readonly hasKeyField: boolean;
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
function* entriesOfRecord(
  record: SinkRecord,
  epoch: number,
  { payload, hasKeyField }: EntryOptions,
): Generator<Entry | undefined> {
  const { signal, origin } = record;
  let count = 0;
  for (const request of eachRequest(signal, record.bytes)) {
    const event = record.id + count;
    const data = payload === 'protobuf' ? bufferOf(request) : jsonOf(signal, request);
    const key = hasKeyField ? ['key', `${origin}-${event}`] : [];
    const fields = data && ['signal', signal, ...key, 'data', data];
    yield fields && { id: { epoch, event }, fields, dataBytes: data.length };
    count += 1;
  }
  // Ids are given by counting: with another count, those that follow would be taken for repeats, or be given twice.
  if (count !== record.events) throw new Error(`record ${record.id} should hold ${record.events} events, has ${count}`);
}

function jsonOf(signal: Signal, request: Uint8Array): Buffer | undefined {
  const json = requestToJson(signal, request);
  return json === undefined ? undefined : Buffer.from(json);
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
