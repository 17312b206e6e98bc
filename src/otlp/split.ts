// Cuts requests between events: in two, or down to a size. (Single events are cut out by single-events.ts.) Each part
// is a whole request that repeats the envelopes (resource, scope, metric, their unknown fields) of the events it holds,
// byte for byte.
//
// The request is read once (outline.ts) and each part is copied out of it from its end to its start, so that a length
// is written when what it counts is there. Time grows with the bytes read plus the bytes written. What is written can
// be much more than what is read: envelopes are repeated, and strangers decide how large they are. splitToSize
// therefore stops at `repetitionsMax` times the request and leaves the rest in one piece.

import { UsageError } from '../base/errors.ts';
import { MiB } from '../base/units.ts';
import { Outline } from './outline.ts';
import type { Signal } from './signal.ts';
import { tagOf, varintBytes, wireLength } from './wire.ts';

/** What splitToSize may write, as a multiple of what it reads; but always `repetitionBytesMin`. */
const repetitionsMax = 8;
const repetitionBytesMin = 64 * MiB;

/** A request in two: the first `events` events in `head`, the others in `tail`. Throws unless both get some. */
export function splitAt(signal: Signal, bytes: Uint8Array, events: number): { head: Uint8Array; tail: Uint8Array } {
  const outline = outlineOf(signal, bytes);
  if (!Number.isInteger(events) || events <= 0 || events >= outline.events) {
    throw new UsageError({
      code: 'SPILLWAY_USAGE_OPTION',
      message: `splitAt takes 1 to ${outline.events - 1} events of a request with ${outline.events}, found ${events}.`,
    });
  }
  return { head: copyOut(outline, 0, events), tail: copyOut(outline, events, outline.events) };
}

/**
 * A request as requests of at most `limitBytes`, in order; itself if it fits, or has no events. A part is larger
 * if a single event with its envelopes is, or if the envelopes alone are: then it takes all events that share them.
 */
export function splitToSize(signal: Signal, bytes: Uint8Array, limitBytes: number): Uint8Array[] {
  if (bytes.length <= limitBytes) return [bytes];
  const outline = outlineOf(signal, bytes);
  const parts: Uint8Array[] = [];
  let credit = Math.max(bytes.length * repetitionsMax, repetitionBytesMin);
  for (let from = 0; from < outline.events; ) {
    const to = credit > 0 ? endWithin(outline, from, limitBytes) : outline.events;
    const part = copyOut(outline, from, to);
    parts.push(part);
    credit -= part.length;
    from = to;
  }
  return parts.length === 0 ? [bytes] : parts;
}

/** Throws where countEvents says undefined. */
export function outlineOf(signal: Signal, bytes: Uint8Array): Outline {
  const outline = Outline.of(signal, bytes);
  if (outline !== undefined) return outline;
  throw new UsageError({
    code: 'SPILLWAY_USAGE_RECORD',
    message: `Cannot split ${bytes.length} bytes: they are no OTLP ${signal} request. Refuse what countEvents refuses.`,
  });
}

/** The end of the longest run of events from `from` on that fits; at least one event. */
function endWithin(outline: Outline, from: number, limitBytes: number): number {
  if (outline.envelopeBytes(from) > limitBytes) return outline.endOfEnvelope(from);
  const fits = (to: number): boolean => outline.requestBytes(from, to) <= limitBytes;
  let good = from + 1;
  let stride = 1;
  let bad = outline.events + 1;
  while (good < outline.events) {
    const next = Math.min(good + stride, outline.events);
    if (!fits(next)) {
      bad = next;
      break;
    }
    good = next;
    stride *= 2;
  }
  while (bad - good > 1 && good < outline.events) {
    const middle = (good + bad) >>> 1;
    if (fits(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

/** The events `from` to `to` with their envelopes, as a request. */
export function copyOut(outline: Outline, from: number, to: number): Uint8Array {
  const target = new Uint8Array(outline.requestBytes(from, to));
  new Copy(outline, target).message(0, 0, from, to);
  return target;
}

/** Fills a part from its end to its start. */
class Copy {
  readonly #outline: Outline;
  readonly #target: Uint8Array;
  #at: number;

  constructor(outline: Outline, target: Uint8Array) {
    this.#outline = outline;
    this.#target = target;
    this.#at = target.length;
  }

  /** The message `index` of layer `depth` with those of its events that are in `from` to `to`, at least one. */
  message(depth: number, index: number, from: number, to: number): void {
    const { layers } = this.#outline;
    const below = layers[depth + 1];
    if (below === undefined) this.#events(from, to);
    else {
      let end = to;
      for (let inner = this.#outline.innerOf(depth, index, to - 1); end > from; inner -= 1) {
        const start = Math.max(from, below.firstEvent.at(inner));
        const before = this.#at;
        this.message(depth + 1, inner, start, end);
        this.#length(before - this.#at);
        this.#byte(tagOf(below.field.at(inner), wireLength));
        end = start;
      }
    }
    this.#envelope(depth, index);
  }

  #envelope(depth: number, index: number): void {
    const layer = this.#outline.layers[depth];
    if (layer === undefined) return;
    const { firstRange, ranges } = layer;
    const first = firstRange.at(index);
    for (let range = firstRange.at(index + 1) - 2; range >= first; range -= 2) {
      this.#bytes(ranges.at(range), ranges.at(range + 1));
    }
  }

  /** Events that lie side by side are copied in one go. */
  #events(from: number, to: number): void {
    const outline = this.#outline;
    let end = to;
    while (end > from) {
      let start = end - 1;
      const last = outline.start(start) + outline.eventBytes(start, start + 1);
      while (start > from && outline.start(start - 1) + outline.eventBytes(start - 1, start) === outline.start(start)) {
        start -= 1;
      }
      this.#bytes(outline.start(start), last);
      end = start;
    }
  }

  #bytes(start: number, end: number): void {
    this.#at -= end - start;
    this.#target.set(this.#outline.bytes.subarray(start, end), this.#at);
  }

  #byte(value: number): void {
    this.#at -= 1;
    this.#target[this.#at] = value;
  }

  #length(value: number): void {
    const count = varintBytes(value);
    this.#at -= count;
    let rest = value;
    for (let index = 0; index < count; index += 1) {
      this.#target[this.#at + index] = (rest % 0x80) + (index < count - 1 ? 0x80 : 0);
      rest = Math.floor(rest / 0x80);
    }
  }
}
