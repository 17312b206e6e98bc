// What an event looks like as a message: a topic, a payload with the event, its resource and its scope, and in MQTT 5
// properties that say what it is.
//
//   content type     application/json or application/x-protobuf, unless the config says otherwise
//   user property    signal  logs, traces or metrics
//   user property    key     where it outlives the process: the event's key, by which a reader can tell repeats
//
// Messages are made one by one, as there is room for them: a batch in this form can be many times its size.
import {
  eachEvent,
  keyedEvents,
  requestToJson,
  type Signal,
  type SinkBatch,
  type SinkRecord,
  type TelemetryEvent,
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
  readonly payload: 'json' | 'protobuf';
  readonly contentType: string | undefined;
  readonly expirySecs: number | undefined;
  /** Whether keys mean something beyond this process. */
  readonly hasKeys: boolean;
}

export type Found =
  | { readonly kind: 'message'; readonly event: EventKey; readonly message: Message }
  | { readonly kind: 'rejected'; readonly event: EventKey; readonly reason: string };

export interface Skip {
  /** Whole records that need not even be taken apart. */
  record(record: SinkRecord): boolean;
  event(event: EventKey): boolean;
}

/** The events of a batch as messages, in order, without those to skip. */
export function* messagesOf(batch: SinkBatch, options: MessageOptions, skip: Skip): Generator<Found, void, undefined> {
  for (const record of batch.records) {
    if (!skip.record(record)) yield* messagesOfRecord(record, options, skip);
  }
}

function* messagesOfRecord(record: SinkRecord, options: MessageOptions, skip: Skip): Generator<Found> {
  const { signal, origin } = record;
  const fields = options.topic.needsFields ? eachEvent(signal, record.bytes)?.[Symbol.iterator]() : undefined;
  for (const { id, key, bytes } of keyedEvents(record)) {
    const event = { origin, id };
    const decoded = fields?.next();
    if (skip.event(event)) continue;
    const topic = topicOf(options.topic, signal, decoded?.done === false ? decoded.value : undefined);
    const payload = options.payload === 'json' ? requestToJson(signal, bytes) : bytes;
    if (topic === undefined || payload === undefined) {
      yield { kind: 'rejected', event, reason: 'an event cannot be decoded, so its topic or its JSON cannot be made' };
    } else if (topic.length > fieldBytesMax) {
      yield {
        kind: 'rejected',
        event,
        reason: `its topic would have ${topic.length} bytes, at most ${fieldBytesMax} fit`,
      };
    } else {
      yield {
        kind: 'message',
        event,
        message: { topic, properties: propertiesOf(signal, key, options), payload: bufferOf(payload) },
      };
    }
  }
}

/** Undefined where the topic needs fields and there are none. */
function topicOf(topic: Template, signal: Signal, event: TelemetryEvent | undefined): Buffer | undefined {
  if (topic.needsFields && event === undefined) return undefined;
  return Buffer.from(topic.render({ signal, event }, cleanLevel));
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

function bufferOf(payload: string | Uint8Array): Buffer {
  if (typeof payload === 'string') return Buffer.from(payload);
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}
