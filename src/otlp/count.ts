// Counts the events of a request by walking lengths: the hot path of everything that takes or sends OTLP.
//
// What is walked is checked (see layers.ts); what is inside an event, a resource or a scope is stepped over unread. So
// a count is no promise that a receiver can decode the bytes; check.ts looks at all of them.

import { holds, type Layer, layersOf } from './layers.ts';
import type { Signal } from './signal.ts';
import { fieldNumberOf, malformed, WireReader, wireLength } from './wire.ts';

/**
 * Log records, spans or metric data points in the request; undefined if the bytes are none. No bytes at all are an
 * empty request, and a metric without data points counts 0.
 */
export function countEvents(signal: Signal, bytes: Uint8Array): number | undefined {
  const count = countInside(new WireReader(bytes), bytes.length, layersOf[signal], 0);
  return count === malformed ? undefined : count;
}

function countInside(reader: WireReader, end: number, layers: readonly Layer[], depth: number): number {
  const layer = layers[depth] as Layer;
  const last = depth === layers.length - 1;
  let chosen = 0;
  let events = 0;
  while (reader.position < end) {
    const tag = reader.tag(end);
    if (tag === malformed) return malformed;
    const field = fieldNumberOf(tag);
    if (!holds(layer.inner, field)) {
      if (holds(layer.delimited, field) && (tag & 7) !== wireLength) return malformed;
      if (!reader.skip(tag, end)) return malformed;
      continue;
    }
    if ((tag & 7) !== wireLength || (layer.choice && chosen !== 0 && chosen !== field)) return malformed;
    chosen = field;
    const next = reader.lengthEnd(end);
    if (next === malformed) return malformed;
    if (last) {
      events += 1;
      reader.position = next;
      continue;
    }
    const inside = countInside(reader, next, layers, depth + 1);
    if (inside === malformed) return malformed;
    events += inside;
  }
  return events;
}
