// The events of a request one by one, each in the forms that sinks want: as a request of its own, in protobuf or in
// JSON, or decoded.
//
// What is around an event (resource, scope, metric) is around many others, too, and often larger than it. So it is
// decoded, and written as JSON, once for all of them (envelope.ts), and only the event itself for each. What comes out
// is what would come out of the request with the event alone: byte for byte the same JSON, and undefined where that
// request cannot be decoded, so that an event that is malformed spoils no other one.
//
// Everything is made when it is asked for. Events are best asked for in their order: only what is around the last one,
// and what that one decodes to, are kept.
import { Decoder, type TelemetryEvent } from './decode.ts';
import { Envelope } from './envelope.ts';
import type { Outline } from './outline.ts';
import { type Message, requestOf } from './schema.ts';
import type { Signal } from './signal.ts';
import { copyOut, outlineOf } from './split.ts';
import { WireReader } from './wire.ts';

export class SingleEvents {
  readonly #signal: Signal;
  readonly #outline: Outline;
  /** Around the event that was asked for last; none before anything is decoded. */
  #envelope: Envelope | undefined;
  #decodedEvent = -1;
  #decoded: object | undefined;

  /** Throws if the bytes are no request of this signal: then countEvents says undefined. */
  constructor(signal: Signal, bytes: Uint8Array) {
    this.#signal = signal;
    this.#outline = outlineOf(signal, bytes);
  }

  get count(): number {
    return this.#outline.events;
  }

  /** An OTLP request with this event alone. All of them together can be far larger than the request. */
  request(event: number): Uint8Array {
    return copyOut(this.#outline, event, event + 1);
  }

  /** What requestToJson says of that request. Undefined: it is malformed. */
  json(event: number): string | undefined {
    const decoded = this.#decode(event);
    if (decoded === undefined) return undefined;
    const { opening, closing } = this.#envelopeOf(event).text;
    return opening + JSON.stringify(decoded) + closing;
  }

  /** What eachEvent gives of that request. Undefined: it is malformed. */
  fields(event: number): TelemetryEvent | undefined {
    const decoded = this.#decode(event);
    return decoded && { ...this.#envelopeOf(event).shared, event: decoded };
  }

  #decode(event: number): object | undefined {
    if (this.#decodedEvent === event) return this.#decoded;
    this.#decodedEvent = event;
    this.#decoded = this.#decodeAnew(event);
    return this.#decoded;
  }

  #decodeAnew(event: number): object | undefined {
    const envelope = this.#envelopeOf(event);
    const { outline, decoder, reader } = envelope.source;
    const { fields, messageCount } = envelope.content;
    if (fields === undefined) return undefined;
    reader.position = outline.start(event);
    reader.tag(outline.bytes.length);
    const end = reader.lengthEnd(outline.bytes.length);
    decoder.messageCount = messageCount;
    const decoded = {};
    const part = { start: reader.position, end, depth: envelope.depth + 1 };
    return decoder.message(envelope.inner.message as Message, decoded, part) ? decoded : undefined;
  }

  /** The innermost message that holds the event. */
  #envelopeOf(event: number): Envelope {
    let envelope = this.#envelope ?? this.#request();
    while (!envelope.holds(event) && envelope.outer !== undefined) envelope = envelope.outer;
    while (!envelope.isInnermost) envelope = envelope.around(event);
    this.#envelope = envelope;
    return envelope;
  }

  #request(): Envelope {
    const { bytes } = this.#outline;
    const source = { outline: this.#outline, decoder: new Decoder(bytes), reader: new WireReader(bytes) };
    return new Envelope(source, requestOf[this.#signal], 0, undefined);
  }
}
