// A batch, or a portion of one, as the parameters of a statement: an array for each column, with a text or NULL for
// each event.

import {
  type KeyedEvent,
  keyedEvents,
  originOf,
  type RecordOrigin,
  type Signal,
  type SinkBatch,
} from 'spillway/plugin';
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
    const origin = originOf(record);
    for (const event of keyedEvents(record)) {
      if (skipped === 0) yield factsOf(event, origin, batch.signal, hasFields);
      else skipped -= 1;
    }
  }
}

/** Undefined: the event cannot be decoded, and fields are asked for. */
function factsOf(event: KeyedEvent, origin: RecordOrigin, signal: Signal, hasFields: boolean): EventFacts | undefined {
  const fields = hasFields ? event.fields() : undefined;
  if (hasFields && fields === undefined) return undefined;
  const { uuid: buffer, epoch } = origin;
  return { signal, key: event.key, buffer, epoch, id: event.id, json: () => event.json(), fields };
}
