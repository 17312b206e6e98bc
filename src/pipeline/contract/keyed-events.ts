// A record taken apart into its events, each with its key, for sinks that write one row, message or entry per event.

import type { TelemetryEvent } from '../../otlp/decode.ts';
import { SingleEvents } from '../../otlp/single-events.ts';
import type { SinkRecord } from './sink.ts';
import type { Template } from './template.ts';

export type EventEncoding = 'json' | 'protobuf';

/**
 * An event, its key, and the forms that a sink may want it in. They are made when they are asked for, so that an event
 * to skip costs next to nothing. What several events share (resource, scope, metric) is decoded once for all of them.
 */
export class KeyedEvent {
  /** `<uuid>/<epoch>-<id>`: the same whenever the event comes again, and of no other event ever. */
  readonly key: string;
  readonly id: number;
  readonly #record: SinkRecord;
  readonly #events: SingleEvents;

  constructor(record: SinkRecord, events: SingleEvents, index: number) {
    this.id = record.id + index;
    this.key = `${record.origin}-${this.id}`;
    this.#record = record;
    this.#events = events;
  }

  /** The event with its resource and scope, as an OTLP request of its own. */
  get bytes(): Uint8Array {
    return this.#events.request(this.#index);
  }

  /** That request as a line of OTLP/JSON. Undefined: the event cannot be decoded. */
  json(): string | undefined {
    return this.#events.json(this.#index);
  }

  /** The event with resource, scope and metric, decoded. Undefined: it cannot be. */
  fields(): TelemetryEvent | undefined {
    return this.#events.fields(this.#index);
  }

  /** The request in either encoding. Undefined: it is to be JSON, and cannot be decoded. */
  encoded(encoding: EventEncoding): Buffer | undefined {
    if (encoding === 'protobuf') return bufferOf(this.bytes);
    const json = this.json();
    return json === undefined ? undefined : Buffer.from(json);
  }

  /** What the template makes of the event. Undefined: it asks for fields, and the event cannot be decoded. */
  rendered(template: Template, clean?: (value: string) => string): string | undefined {
    const { signal } = this.#record;
    if (!template.needsFields) return template.render({ signal }, clean);
    const fields = this.fields();
    return fields && template.render({ signal, event: fields }, clean);
  }

  get #index(): number {
    return this.id - this.#record.id;
  }
}

/**
 * The events of a record, in order. Throws if it does not hold as many as it says: keys are given by counting, and with
 * another count they would name other events.
 */
export function* keyedEvents(record: SinkRecord): Generator<KeyedEvent, void, undefined> {
  const events = new SingleEvents(record.signal, record.bytes);
  if (events.count !== record.events) {
    throw new Error(`record ${record.id} should hold ${record.events} events, has ${events.count}`);
  }
  for (let index = 0; index < events.count; index += 1) yield new KeyedEvent(record, events, index);
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
