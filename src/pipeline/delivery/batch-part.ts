// A batch, or what is left of one that was halved: a run of its records, or a run of the events of one of them.

import { splitAt } from '../../otlp/split.ts';
import type { SinkRecord } from '../contract/sink.ts';
import { JoinedBatch } from './sink-batch.ts';

export interface BatchPart {
  readonly batch: JoinedBatch;
  /** The place in the whole batch of the part's first record. */
  readonly first: number;
}

/** Two halves in order: by records, inside a record by events. Undefined for what cannot be halved. */
export function halve({ batch, first }: BatchPart): readonly [BatchPart, BatchPart] | undefined {
  const { records } = batch;
  if (records.length > 1) {
    const middle = records.length >>> 1;
    return [
      { batch: new JoinedBatch(records.slice(0, middle)), first },
      { batch: new JoinedBatch(records.slice(middle)), first: first + middle },
    ];
  }
  const [record] = records;
  const halves = record === undefined ? undefined : halveRecord(record);
  if (halves === undefined) return undefined;
  return [
    { batch: new JoinedBatch([halves[0]]), first },
    { batch: new JoinedBatch([halves[1]]), first },
  ];
}

function halveRecord(record: SinkRecord): readonly [SinkRecord, SinkRecord] | undefined {
  const { signal, origin, id } = record;
  const headEvents = record.events >>> 1;
  if (headEvents === 0) return undefined;
  const { head, tail } = splitAt(signal, record.bytes, headEvents);
  return [
    { signal, origin, id, bytes: head, events: headEvents },
    { signal, origin, id: id + headEvents, bytes: tail, events: record.events - headEvents },
  ];
}
