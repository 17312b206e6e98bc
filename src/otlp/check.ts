// Whether foreign bytes are a request through and through, as a receiver will find when it decodes them.
//
// For the door: batches of many peers are merged on their way, and one that no receiver can decode would have all of
// them refused. So what a decoder stumbles over is refused here, with a 400 for the peer that sent it: malformed bytes
// at any depth, a known field of a wrong wire type (spans posted as logs), ids of a wrong length, more than
// `nestingMax` levels. So is what would take too much memory to decode, more than `messagesMax` messages: behind the
// door it would end the process, and the next one that reads the same bytes from disk. Unknown fields are fine, and
// text is not asked to be UTF-8: receivers differ there. Allocates nothing per field.
import { countEvents } from './count.ts';
import { type Field, type Message, messagesMax, nestingMax, requestOf } from './schema.ts';
import type { Signal } from './signal.ts';
import { fieldNumberOf, malformed, WireReader, wireFixed64, wireLength, wireVarint } from './wire.ts';

/** What countEvents says of requests that are sound down to the last field; undefined for all others. */
export function checkRequest(signal: Signal, bytes: Uint8Array): number | 'too_many_messages' | undefined {
  const events = countEvents(signal, bytes);
  if (events === undefined) return undefined;
  const reader = new CountingReader(bytes);
  if (isSound(reader, requestOf[signal], bytes.length, 0)) return events;
  return reader.messageCount > messagesMax ? 'too_many_messages' : undefined;
}

class CountingReader extends WireReader {
  messageCount = 0;
}

function isSound(reader: CountingReader, message: Message, end: number, depth: number): boolean {
  reader.messageCount += 1;
  if (depth > nestingMax || reader.messageCount > messagesMax) return false;
  const { byNumber } = message;
  while (reader.position < end) {
    const tag = reader.tag(end);
    if (tag === malformed) return false;
    const number = fieldNumberOf(tag);
    const field = number < byNumber.length ? byNumber[number] : undefined;
    if (field === undefined || (tag & 7) !== wireLength) {
      const isExpected = field === undefined || (tag & 7) === field.wireType;
      if (!isExpected || !reader.skip(tag, end)) return false;
      continue;
    }
    const next = reader.lengthEnd(end);
    if (next === malformed || !isSoundValue(reader, field, next, depth)) return false;
    reader.position = next;
  }
  return true;
}

/** The value between the reader's position and `end`, which came with a length. */
function isSoundValue(reader: CountingReader, field: Field, end: number, depth: number): boolean {
  if (field.message !== undefined) return isSound(reader, field.message, end, depth + 1);
  const length = end - reader.position;
  switch (field.kind) {
    case 'string':
    case 'bytes':
      return true;
    case 'traceId':
      return length === 16 || length === 0;
    case 'spanId':
      return length === 8 || length === 0;
    default:
      return field.packed && isSoundPack(reader, field, end);
  }
}

function isSoundPack(reader: WireReader, field: Field, end: number): boolean {
  if (field.wireType === wireFixed64) return (end - reader.position) % 8 === 0;
  while (reader.position < end) {
    if (!reader.skip(wireVarint, end)) return false;
  }
  return true;
}
