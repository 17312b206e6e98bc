// A record taken apart into its events, each with its key, for sinks that write one row, message or entry per event.

import { eachRequest } from '../../otlp/split.ts';
import type { SinkRecord } from './sink.ts';

export interface KeyedEvent {
  /** `<uuid>/<epoch>-<id>`: the same whenever the event comes again, and of no other event ever. */
  readonly key: string;
  readonly id: number;
  /** The event with its resource and scope, as an OTLP request of its own. */
  readonly bytes: Uint8Array;
}

/**
 * The events of a record, in order. Throws if it does not hold as many as it says: keys are given by counting, and with
 * another count those that follow would name other events.
 */
export function* keyedEvents(record: SinkRecord): Generator<KeyedEvent, void, undefined> {
  const { signal, origin, id: first, events } = record;
  let count = 0;
  for (const bytes of eachRequest(signal, record.bytes)) {
    const id = first + count;
    yield { key: `${origin}-${id}`, id, bytes };
    count += 1;
  }
  if (count !== events) throw new Error(`record ${first} should hold ${events} events, has ${count}`);
}
