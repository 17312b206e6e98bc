// What an event looks like as a message.
//
//   body             the event with its resource and scope, as an OTLP request of its own
//   message_id       the event's key: the same whenever it comes again, so that a consumer can tell repeats
//   type             logs, traces or metrics
//   delivery_mode 2  kept on disk in a durable queue
import { keyedEvents, type SinkBatch } from 'spillway/plugin';
import type { Publication } from './amqp/method.ts';
import { shortTextBytesMax } from './amqp/wire.ts';
import type { RabbitmqOptions } from './options.ts';

/** Bytes of all messages of a batch, at most. Events repeat their resource, so these can be many times the batch. */
const messagesBytesMax = 64 * 1024 * 1024;
/** What a message takes beside its body until it was confirmed: its frames and what is known of it. */
const messageOverheadBytes = 1024;

const contentTypes = { json: 'application/json', protobuf: 'application/x-protobuf' } as const;

export type Messages =
  | { readonly kind: 'messages'; readonly messages: readonly Publication[] }
  | { readonly kind: 'too_large' | 'rejected'; readonly reason: string };

/** The events of a batch as messages, in order. */
export function messagesOf(batch: SinkBatch, options: RabbitmqOptions): Messages {
  const { payload, properties, exchange = '', routing_key: routingKey } = options;
  const shared = {
    contentType: properties.content_type ?? contentTypes[payload],
    contentEncoding: properties.content_encoding,
    priority: properties.priority,
    expirationMs: properties.expiration_ms,
    type: batch.signal,
  };
  const messages: Publication[] = [];
  let bytes = 0;
  for (const record of batch.records) {
    for (const event of keyedEvents(record)) {
      const body = event.encoded(payload);
      const route = options.queue ?? (routingKey === undefined ? '' : event.rendered(routingKey, withoutDots));
      if (body === undefined || route === undefined) return { kind: 'rejected', reason: 'an event cannot be decoded' };
      if (Buffer.byteLength(route) > shortTextBytesMax) {
        return { kind: 'rejected', reason: `its routing key is longer than ${shortTextBytesMax} bytes` };
      }
      messages.push({ exchange, routingKey: route, properties: { ...shared, messageId: event.key }, body });
      bytes += body.length + messageOverheadBytes;
      if (bytes <= messagesBytesMax || batch.events === 1) continue;
      return {
        kind: 'too_large',
        reason: `its events, each with its resource, are more than ${messagesBytesMax} bytes`,
      };
    }
  }
  return { kind: 'messages', messages };
}

/** A dot begins a new word of a routing key: a value is one word, whatever it says. */
function withoutDots(value: string): string {
  return value.replaceAll('.', '_');
}
