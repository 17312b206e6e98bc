// Chapter 9, second part. What may be appended: records, batches, and the words for refusing them.
//
// Next: writer.ts.

import { UsageError } from '../base/errors.ts';
import { eventsPerRecordMax, recordBytes } from './frame.ts';

/** One record to append. */
export interface RecordInput {
  /** Opaque to the buffer. Must not change until the append settles. */
  readonly payload: Uint8Array;
  /** How many events the payload carries, 1 .. 2^24. Default 1. */
  readonly events?: number;
  /** The caller's own 32 bits, handed out again with the record. Default 0. */
  readonly metadata?: number;
}

/** What every use of a closed buffer is told. */
export function closedError(): UsageError {
  return new UsageError({
    code: 'SPILLWAY_USAGE_CLOSED',
    message: 'Cannot use this buffer: it is closed. Open it again',
  });
}

/** Bytes and events of a batch. Throws a UsageError for an empty one and for a malformed record. */
export function sizeOfBatch(records: readonly RecordInput[]): { readonly bodyBytes: number; readonly events: number } {
  if (records.length === 0) {
    throw new UsageError({
      code: 'SPILLWAY_USAGE_RECORD',
      message: 'Cannot append an empty batch: expected at least one record',
    });
  }
  let bodyBytes = 0;
  let sum = 0;
  for (const { payload, events = 1, metadata = 0 } of records) {
    checkRecord(payload, events, metadata);
    bodyBytes += recordBytes(payload.length);
    sum += events;
  }
  return { bodyBytes, events: sum };
}

/** Throws a UsageError unless the record is well-formed. */
export function checkRecord(payload: Uint8Array, events: number, metadata: number): void {
  const eventsFit = Number.isInteger(events) && events >= 1 && events <= eventsPerRecordMax;
  if (eventsFit && metadata >>> 0 === metadata && payload instanceof Uint8Array) return;
  throw new UsageError({
    code: 'SPILLWAY_USAGE_RECORD',
    message:
      `Cannot append a record with payload ${typeof payload}, events ${events}, metadata ${metadata}: ` +
      `expected a Uint8Array, 1 .. ${eventsPerRecordMax} events and a metadata of 0 .. 2^32 - 1`,
  });
}
