// A batch, or a portion of one, as the parameters of a statement: an array for each column, with a text or NULL for
// each event.

import { eachEvent, keyedEvents, type SinkBatch, type SinkRecord, type TelemetryEvent } from 'spillway/plugin';
import { type ColumnSource, needsFields } from './column-source.ts';
import { columnText, type EventFacts } from './column-value.ts';
import { TextArray } from './text-array.ts';

export interface RowColumn {
  readonly source: ColumnSource;
  /** Whether the server's column is json or jsonb. */
  readonly isJson: boolean;
}

export type Rows =
  | {
      readonly kind: 'rows';
      readonly parameters: readonly Buffer[];
      readonly count: number;
      /** Events in which a character was replaced that the server cannot hold. */
      readonly changedEvents: number;
    }
  | { readonly kind: 'too_large' | 'rejected'; readonly reason: string };

/** Bytes of all rows of a batch, at most. Events repeat their resource, so these can be many times the batch. */
const rowsBytesMax = 32 * 1024 * 1024;

export interface PortionOptions {
  /** Events of the batch before the first one of the portion. */
  readonly first?: number;
  readonly rowsMax?: number;
  readonly bytesMax?: number;
}

export function rowsOf(batch: SinkBatch, columns: readonly RowColumn[], options: PortionOptions = {}): Rows {
  const { first = 0, rowsMax = Number.POSITIVE_INFINITY, bytesMax = rowsBytesMax } = options;
  const arrays = columns.map(() => new TextArray());
  const hasFields = columns.some(({ source }) => needsFields(source));
  let count = 0;
  let changedEvents = 0;
  for (const facts of factsFrom(batch, first, hasFields)) {
    if (facts === undefined) return { kind: 'rejected', reason: 'an event cannot be decoded, so it has no fields' };
    let isChanged = false;
    for (const [at, { source, isJson }] of columns.entries()) {
      const found = columnText(source, facts, isJson);
      if (found.text === undefined && source.kind === 'json') {
        return { kind: 'rejected', reason: 'an event cannot be decoded, so it has no JSON' };
      }
      arrays[at]?.add(found.text);
      isChanged ||= found.isChanged;
    }
    if (isChanged) changedEvents += 1;
    const byteLength = arrays.reduce((sum, array) => sum + array.byteLength, 0);
    if (byteLength > bytesMax && batch.events > 1) {
      const reason = `its events, each with its resource, make rows of more than ${bytesMax} bytes`;
      return { kind: 'too_large', reason };
    }
    count += 1;
    if (count >= rowsMax) break;
  }
  return { kind: 'rows', parameters: arrays.map((array) => array.encode()), count, changedEvents };
}

function* factsFrom(batch: SinkBatch, first: number, hasFields: boolean): Generator<EventFacts | undefined> {
  let skipped = first;
  for (const record of batch.records) {
    if (skipped >= record.events) {
      skipped -= record.events;
      continue;
    }
    for (const facts of factsOf(record, hasFields)) {
      if (facts === undefined || skipped === 0) yield facts;
      else skipped -= 1;
    }
  }
}

/** Undefined stands for events that cannot be decoded. */
function* factsOf(record: SinkRecord, hasFields: boolean): Generator<EventFacts | undefined> {
  const { signal } = record;
  const [, buffer = '', epoch = ''] = /^(.+)\/(\d{1,10})$/s.exec(record.origin) ?? [];
  if (epoch === '') throw new Error(`a record's origin should be <uuid>/<epoch> and is ${record.origin}`);
  const decoded = hasFields ? eachEvent(signal, record.bytes) : undefined;
  if (hasFields && decoded === undefined) {
    yield undefined;
    return;
  }
  const all: Iterator<TelemetryEvent> | undefined = decoded?.[Symbol.iterator]();
  for (const { key, id, bytes } of keyedEvents(record)) {
    const next = all?.next();
    // Both walk the same bytes; were one to see fewer events, later ones would get the fields of others.
    if (next?.done === true) throw new Error(`record ${record.id} has fewer decoded events than events`);
    yield { signal, key, buffer, epoch, id, bytes, fields: next?.value };
  }
}
