// Where the events and their envelopes lie in a request: read once, so that any run of events can be measured and
// copied out without walking the rest again.
//
// For each layer (layers.ts) flat lists with one place per message that holds events, in the order of the bytes. An
// envelope is everything of a message but the next layer: resource, scope, schema URL, the name of a metric, unknown
// fields. It is kept as ranges of the bytes; the fields of a message have no order among each other, so a copy writes
// the envelope first. A message without events is left out: there is nothing to deliver in it.

import { holds, type Layer, layersOf } from './layers.ts';
import { NumberList } from './number-list.ts';
import type { Signal } from './signal.ts';
import { fieldNumberOf, malformed, varintBytes, WireReader, wireLength } from './wire.ts';

/** The messages of one layer. All lists but the ranges have one entry per message and one more behind the last. */
class OutlineLayer {
  /** The first event in the message. */
  readonly firstEvent: NumberList = new NumberList();
  /** The first of its messages in the layer below; in the last layer, the first event again. */
  readonly firstInner: NumberList = new NumberList();
  /** The field of the layer above that holds it. */
  readonly field: NumberList = new NumberList();
  readonly envelopeBytes: NumberList = new NumberList();
  readonly firstRange: NumberList = new NumberList();
  /** Start and end of each piece of envelope, alternating. */
  readonly ranges: NumberList = new NumberList();
}

export class Outline {
  readonly bytes: Uint8Array;
  readonly layers: readonly OutlineLayer[];
  /** Offset of each event's tag. */
  readonly #starts = new NumberList();
  /** Bytes of all events before this one, tags and lengths included. */
  readonly #before = new NumberList();
  readonly #shape: readonly Layer[];
  /** Bytes of all events. */
  #total = 0;

  private constructor(bytes: Uint8Array, shape: readonly Layer[]) {
    this.bytes = bytes;
    this.#shape = shape;
    this.layers = shape.map(() => new OutlineLayer());
  }

  /** Undefined if the bytes are no request of this signal: then countEvents says undefined, too. */
  static of(signal: Signal, bytes: Uint8Array): Outline | undefined {
    const outline = new Outline(bytes, layersOf[signal]);
    outline.#begin(0, 0);
    if (!outline.#walk(new WireReader(bytes), bytes.length, 0)) return undefined;
    for (let depth = 0; depth < outline.layers.length; depth += 1) outline.#begin(depth, 0); // Ends of the last ones.
    return outline;
  }

  get events(): number {
    return this.#starts.length;
  }

  /** Offset of the event's tag. */
  start(event: number): number {
    return this.#starts.at(event);
  }

  /** Bytes of the events `from` to `to`, without envelopes. */
  eventBytes(from: number, to: number): number {
    return (to === this.events ? this.#total : this.#before.at(to)) - this.#before.at(from);
  }

  /** Bytes of a request with the events `from` to `to` and their envelopes. */
  requestBytes(from: number, to: number): number {
    return this.#messageBytes(0, 0, from, to);
  }

  /** Bytes of the envelopes around the event. */
  envelopeBytes(event: number): number {
    let sum = 0;
    let index = 0;
    for (let depth = 0; depth < this.layers.length; depth += 1) {
      if (depth > 0) index = this.innerOf(depth - 1, index, event);
      sum += (this.layers[depth] as OutlineLayer).envelopeBytes.at(index);
    }
    return sum;
  }

  /** Where the events end that share all their envelopes with this one. */
  endOfEnvelope(event: number): number {
    const { firstEvent } = this.layers[this.layers.length - 1] as OutlineLayer;
    return firstEvent.at(firstEvent.lastNotAbove(event, 0, firstEvent.length - 1) + 1);
  }

  /** The message of layer `depth + 1` that holds the event, below message `index` of layer `depth`. */
  innerOf(depth: number, index: number, event: number): number {
    const { firstInner } = this.layers[depth] as OutlineLayer;
    const { firstEvent } = this.layers[depth + 1] as OutlineLayer;
    return firstEvent.lastNotAbove(event, firstInner.at(index), firstInner.at(index + 1));
  }

  #messageBytes(depth: number, index: number, from: number, to: number): number {
    const layer = this.layers[depth] as OutlineLayer;
    const own = layer.envelopeBytes.at(index);
    if (depth === this.layers.length - 1) return own + this.eventBytes(from, to);
    const { firstEvent } = this.layers[depth + 1] as OutlineLayer;
    let sum = own;
    let next = from;
    for (let inner = this.innerOf(depth, index, from); next < to; inner += 1) {
      const end = Math.min(to, firstEvent.at(inner + 1));
      const length = this.#messageBytes(depth + 1, inner, next, end);
      sum += 1 + varintBytes(length) + length; // The fields of inner layers are below 16: their tags take one byte.
      next = end;
    }
    return sum;
  }

  #begin(depth: number, field: number): void {
    const layer = this.layers[depth] as OutlineLayer;
    const below = this.layers[depth + 1];
    layer.firstEvent.push(this.#starts.length);
    layer.firstInner.push(below === undefined ? this.#starts.length : below.firstEvent.length);
    layer.field.push(field);
    layer.envelopeBytes.push(0);
    layer.firstRange.push(layer.ranges.length);
  }

  /** Takes back what the last `#begin` of this layer added if no events came. */
  #dropEmpty(depth: number): void {
    const layer = this.layers[depth] as OutlineLayer;
    const last = layer.firstEvent.length - 1;
    if (layer.firstEvent.at(last) < this.#starts.length) return;
    layer.ranges.cut(layer.firstRange.at(last));
    for (const list of [layer.firstEvent, layer.firstInner, layer.field, layer.envelopeBytes, layer.firstRange]) {
      list.cut(last);
    }
  }

  #walk(reader: WireReader, end: number, depth: number): boolean {
    const shape = this.#shape[depth] as Layer;
    let chosen = 0;
    while (reader.position < end) {
      const start = reader.position;
      const tag = reader.tag(end);
      if (tag === malformed) return false;
      const field = fieldNumberOf(tag);
      if (!holds(shape.inner, field)) {
        if (holds(shape.delimited, field) && (tag & 7) !== wireLength) return false;
        if (!reader.skip(tag, end)) return false;
        this.#envelope(depth, start, reader.position);
        continue;
      }
      if ((tag & 7) !== wireLength || (shape.choice && chosen !== 0 && chosen !== field)) return false;
      const next = reader.lengthEnd(end);
      if (next === malformed) return false;
      // A second occurrence of what there is one of continues the first: protobuf merges them.
      const merged = shape.choice && chosen !== 0;
      chosen = field;
      if (depth === this.layers.length - 1) {
        this.#event(start, next);
        reader.position = next;
        continue;
      }
      if (!merged) this.#begin(depth + 1, field);
      if (!this.#walk(reader, next, depth + 1)) return false;
      if (!shape.choice) this.#dropEmpty(depth + 1);
    }
    if (chosen !== 0 && shape.choice) this.#dropEmpty(depth + 1); // Not before all its occurrences are read.
    return true;
  }

  #event(start: number, end: number): void {
    this.#starts.push(start);
    this.#before.push(this.#total);
    this.#total += end - start;
  }

  #envelope(depth: number, start: number, end: number): void {
    const { envelopeBytes, ranges } = this.layers[depth] as OutlineLayer;
    const last = envelopeBytes.length - 1;
    envelopeBytes.set(last, envelopeBytes.at(last) + end - start);
    // Never a range of another message: between two of them is at least the tag of one.
    if (ranges.at(ranges.length - 1) === start) ranges.set(ranges.length - 1, end);
    else {
      ranges.push(start);
      ranges.push(end);
    }
  }
}
