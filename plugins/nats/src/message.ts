// What an event looks like as a message: one OTLP request with its resource and scope, under a subject and headers.
import { eachEvent, keyedEvents, requestToJson, type Signal, type SinkRecord, type Template } from 'spillway/plugin';
import { type EventPlace, parseOrigin } from './event-key.ts';
import type { ChainedMessage } from './stream-chain.ts';
import { subjectPart } from './subject.ts';

export interface MessageOptions {
  readonly subject: Template;
  readonly payload: 'json' | 'protobuf';
}

export type EventMessage =
  | {
      readonly kind: 'message';
      readonly place: EventPlace;
      readonly subject: string;
      make(): ChainedMessage | undefined;
    }
  /** Its fields are asked for, and it cannot be decoded. */
  | { readonly kind: 'undecodable' };

const contentTypes = { json: 'application/json', protobuf: 'application/x-protobuf' } as const;

/** Place of the last event of a record. Throws if its origin is none. */
export function placeOf({ origin, id }: SinkRecord, index: number): EventPlace {
  const epoch = parseOrigin(origin)?.epoch;
  if (epoch === undefined) throw new Error(`a record's origin should be <uuid>/<epoch> and is ${origin}`);
  return { epoch, event: id + index };
}

/** The events of a record in order, made as they are asked for; payloads only of those that are wanted. */
export function* messagesOf(record: SinkRecord, options: MessageOptions): Generator<EventMessage, void, undefined> {
  const { signal } = record;
  const { subject: template } = options;
  const fields = template.needsFields ? eachEvent(signal, record.bytes) : undefined;
  if (template.needsFields && fields === undefined) return yield { kind: 'undecodable' };
  const events = fields?.[Symbol.iterator]();
  const { epoch } = placeOf(record, 0);
  for (const { key, id, bytes } of keyedEvents(record)) {
    const event = events?.next().value;
    const subject = template.render({ signal, event }, subjectPart);
    const place: EventPlace = { epoch, event: id };
    yield { kind: 'message', place, subject, make: () => messageOf({ place, key, subject }, signal, bytes, options) };
  }
}

function messageOf(
  known: Pick<ChainedMessage, 'place' | 'key' | 'subject'>,
  signal: Signal,
  bytes: Uint8Array,
  { payload: form }: MessageOptions,
): ChainedMessage | undefined {
  const payload = form === 'protobuf' ? bytes : jsonOf(signal, bytes);
  const headers = [
    ['Content-Type', contentTypes[form]],
    ['Spillway-Signal', signal],
  ] as const;
  return payload && { ...known, headers, payload };
}

function jsonOf(signal: Signal, bytes: Uint8Array): Uint8Array | undefined {
  const json = requestToJson(signal, bytes);
  return json === undefined ? undefined : Buffer.from(json);
}
