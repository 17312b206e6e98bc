// A message with events in it, and what it says besides: a resource, a scope, a metric, its data, the request itself.
//
// All its events share that, so it is decoded once, when the first of them asks. An envelope knows the one around it,
// and finds those inside of it.
import { type Decoder, type MetricKind, metricOfPoints, type TelemetryEvent } from './decode.ts';
import type { Outline } from './outline.ts';
import type { Metric, Resource, Scope } from './request.ts';
import type { Field, Message } from './schema.ts';
import { fieldNumberOf, type WireReader } from './wire.ts';

/** The request that envelopes and events are read from. */
export interface EnvelopeSource {
  readonly outline: Outline;
  readonly decoder: Decoder;
  readonly reader: WireReader;
}

/** What stands before and behind an event in its JSON. */
export interface SurroundingText {
  readonly opening: string;
  readonly closing: string;
}

interface Content {
  /** Its own fields, without those that hold events. Undefined: they are malformed, or those of one around it are. */
  readonly fields: object | undefined;
  /** Messages in it and around it, which count together with those of an event. */
  readonly messageCount: number;
}

export class Envelope {
  readonly source: EnvelopeSource;
  readonly message: Message;
  /** How many messages are around it. */
  readonly depth: number;
  readonly outer: Envelope | undefined;
  readonly #index: number;
  #content: Content | undefined;
  #text: SurroundingText | undefined;
  #shared: Omit<TelemetryEvent, 'event'> | undefined;

  /** `index` counts the messages of its layer. */
  constructor(source: EnvelopeSource, message: Message, index: number, outer: Envelope | undefined) {
    this.message = message;
    this.depth = outer === undefined ? 0 : outer.depth + 1;
    this.outer = outer;
    this.source = source;
    this.#index = index;
  }

  get isInnermost(): boolean {
    return this.depth === this.source.outline.layers.length - 1;
  }

  holds(event: number): boolean {
    const { firstEvent } = this.#layer;
    return event >= firstEvent.at(this.#index) && event < firstEvent.at(this.#index + 1);
  }

  /** The next one inside that holds the event. */
  around(event: number): Envelope {
    const index = this.source.outline.innerOf(this.depth, this.#index, event);
    return new Envelope(this.source, this.inner.message as Message, index, this);
  }

  /** The one field in which it has events, or messages that have them: of a choice, the one that was made. */
  get inner(): Field {
    const { outline, reader } = this.source;
    const { firstInner } = this.#layer;
    const below = outline.layers[this.depth + 1];
    if (below !== undefined) return this.#field(below.field.at(firstInner.at(this.#index)));
    reader.position = outline.start(firstInner.at(this.#index));
    return this.#field(fieldNumberOf(reader.tag(outline.bytes.length)));
  }

  get content(): Content {
    this.#content ??= this.#decode();
    return this.#content;
  }

  /** Of an envelope that could be decoded. */
  get text(): SurroundingText {
    this.#text ??= this.#write();
    return this.#text;
  }

  /** What its events have besides themselves. Of an innermost envelope that could be decoded. */
  get shared(): Omit<TelemetryEvent, 'event'> {
    this.#shared ??= this.#collect();
    return this.#shared;
  }

  get #layer(): Outline['layers'][number] {
    return this.source.outline.layers[this.depth] as Outline['layers'][number];
  }

  #field(number: number): Field {
    return this.message.byNumber[number] as Field;
  }

  #decode(): Content {
    const { decoder } = this.source;
    const { firstRange, ranges } = this.#layer;
    const before = this.outer?.content ?? { fields: {}, messageCount: 0 };
    const malformed = { fields: undefined, messageCount: 0 };
    if (before.fields === undefined) return malformed;
    decoder.messageCount = before.messageCount + 1;
    const fields = {};
    for (let range = firstRange.at(this.#index); range < firstRange.at(this.#index + 1); range += 2) {
      const part = { start: ranges.at(range), end: ranges.at(range + 1), depth: this.depth };
      if (!decoder.fields(this.message, fields, part)) return malformed;
    }
    return { fields, messageCount: decoder.messageCount };
  }

  #write(): SurroundingText {
    const { name, repeated } = this.inner;
    const { opening, closing } = this.outer?.text ?? { opening: '', closing: '' };
    const own = JSON.stringify(this.content.fields);
    const member = `${own === '{}' ? '' : ','}"${name}":`;
    return {
      opening: `${opening}${own.slice(0, -1)}${member}${repeated ? '[' : ''}`,
      closing: `${repeated ? ']' : ''}}${closing}`,
    };
  }

  #collect(): Omit<TelemetryEvent, 'event'> {
    const path: (object | undefined)[] = [];
    for (let envelope: Envelope | undefined = this; envelope !== undefined; envelope = envelope.outer) {
      path.unshift(envelope.content.fields);
    }
    const [, forResource, forScope, metric, data] = path;
    const { resource = none } = forResource as { readonly resource?: Resource };
    const { scope = none } = forScope as { readonly scope?: Scope };
    if (metric === undefined) return { resource, scope };
    const kind = this.outer?.inner.name as MetricKind;
    return { resource, scope, metric: metricOfPoints(metric as Metric, kind, data as NonNullable<Metric['sum']>) };
  }
}

/** Of all events that have none. */
const none = {};
