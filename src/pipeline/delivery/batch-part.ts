// A batch, or what is left of one that was halved: a run of its records, or a run of the events of one of them.
//
// Each half of a record repeats what its events share, the resource above all. Strangers decide how large that is: 20
// MB of it over 50,000 small events would be a terabyte to send, event by event, to a sink that takes none of it. Such
// a record is not halved any more.

import { MiB } from '../../base/units.ts';
import { splitAt } from '../../otlp/split.ts';
import type { SinkRecord } from '../contract/sink.ts';
import { JoinedBatch } from './sink-batch.ts';

export interface BatchPart {
  readonly batch: JoinedBatch;
  /** The place in the whole batch of the part's first record. */
  readonly first: number;
}

/** A half of a record that is larger than this part of the whole holds little but what the events share. */
const sharedFraction = 15 / 16;
/** What the events of a record, each with all that they share, may come to. */
const repeatedBytesMax = 256 * MiB;

/** Two halves in order: by records, inside a record by events. Undefined for what cannot, or will not, be halved. */
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
  const isMostlyShared = Math.min(head.length, tail.length) > record.bytes.length * sharedFraction;
  if (isMostlyShared && record.bytes.length * record.events > repeatedBytesMax) return undefined;
  return [
    { signal, origin, id, bytes: head, events: headEvents },
    { signal, origin, id: id + headEvents, bytes: tail, events: record.events - headEvents },
  ];
}
