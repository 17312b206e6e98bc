// What an event looks like as a message: a topic, a payload with the event, its resource and its scope, and in MQTT 5
// properties that say what it is.
//
//   content type     application/json or application/x-protobuf, unless the config says otherwise
//   user property    signal  logs, traces or metrics
//   user property    key     where it outlives the process: the event's key, by which a reader can tell repeats
//
// Messages are made one by one, as there is room for them: a batch in this form can be many times its size.
import {
  type EventEncoding,
  type KeyedEvent,
  keyedEvents,
  type Signal,
  type SinkBatch,
  type SinkRecord,
  type Template,
} from 'spillway/plugin';
import {
  byteProperty,
  encodeProperties,
  fieldBytesMax,
  type Message,
  type ProtocolVersion,
  property,
  textProperty,
  uint32Property,
} from './packet.ts';
import type { EventKey } from './session.ts';

export interface MessageOptions {
  readonly version: ProtocolVersion;
  readonly topic: Template;
  readonly payload: EventEncoding;
  readonly contentType: string | undefined;
  readonly expirySecs: number | undefined;
  /** Whether keys mean something beyond this process. */
  readonly hasKeys: boolean;
}

type Made =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'rejected'; readonly reason: string };

export type Found = Made & { readonly event: EventKey };

export interface Skip {
  /** Whole records that need not even be taken apart. */
  record(record: SinkRecord): boolean;
  event(event: EventKey): boolean;
}

/** The events of a batch as messages, in order, without those to skip. */
export function* messagesOf(batch: SinkBatch, options: MessageOptions, skip: Skip): Generator<Found, void, undefined> {
  for (const record of batch.records) {
    if (skip.record(record)) continue;
    for (const event of keyedEvents(record)) {
      const key = { origin: record.origin, id: event.id };
      if (!skip.event(key)) yield { event: key, ...foundIn(event, batch.signal, options) };
    }
  }
}

function foundIn(event: KeyedEvent, signal: Signal, options: MessageOptions): Made {
  const topic = event.rendered(options.topic, cleanLevel);
  const payload = event.encoded(options.payload);
  if (topic === undefined || payload === undefined) {
    return { kind: 'rejected', reason: 'an event cannot be decoded, so its topic or its JSON cannot be made' };
  }
  const bytes = Buffer.from(topic);
  if (bytes.length > fieldBytesMax) {
    return { kind: 'rejected', reason: `its topic would have ${bytes.length} bytes, at most ${fieldBytesMax} fit` };
  }
  const properties = propertiesOf(signal, event.key, options);
  return { kind: 'message', message: { topic: bytes, properties, payload } };
}

/**
 * A value as a part of a topic: without the characters that separate levels or match others, without those that MQTT
 * forbids or lets a server refuse, and not taken for one of the server's own topics.
 */
export function cleanLevel(value: string): string {
  return value.replace(/^\$|[+#/]|\p{Cc}|\p{Cs}|\p{Noncharacter_Code_Point}/gu, '_');
}

function propertiesOf(signal: Signal, key: string, options: MessageOptions): Buffer {
  if (options.version === '3.1.1') return Buffer.alloc(0);
  const { payload, contentType, expirySecs, hasKeys } = options;
  const isText = payload === 'json';
  return encodeProperties([
    byteProperty(property.payloadFormat, isText ? 1 : 0),
    ...(expirySecs === undefined ? [] : [uint32Property(property.messageExpiry, expirySecs)]),
    textProperty(property.contentType, contentType ?? (isText ? 'application/json' : 'application/x-protobuf')),
    textProperty(property.user, 'signal', signal),
    ...(hasKeys ? [textProperty(property.user, 'key', key)] : []),
  ]);
}
