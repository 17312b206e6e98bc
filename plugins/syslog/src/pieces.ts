// A batch taken apart into pieces: as many messages as are sent and confirmed together. Each is made when the one
// before is confirmed, so that memory stays small whatever the batch, and a receiver that is slow still gets on.

import { keyedEvents, type SinkBatch, type SinkRecord } from 'spillway/plugin';
import { framedMessage, type MessageFormat } from './message.ts';

export interface Piece {
  readonly frames: Buffer;
  readonly keys: readonly string[];
}

/** Ends the pieces: an event that cannot be sent. All before it were given. */
export interface Unsendable {
  readonly unsendable: string;
}

export interface PiecesOptions {
  readonly format: MessageFormat;
  /** Whether keys mean something beyond this process. */
  readonly hasKeys: boolean;
  /** Whether an event is with the receiver already. */
  isConfirmed(key: string): boolean;
  /** A piece is closed when it has so many bytes. Asked anew for each. */
  bytesMax(): number;
}

export function* piecesOf(batch: SinkBatch, options: PiecesOptions): Generator<Piece | Unsendable> {
  let frames: string[] = [];
  let keys: string[] = [];
  let bytes = 0;
  const piece = (): Piece => {
    const made = { frames: Buffer.from(frames.join('')), keys };
    frames = [];
    keys = [];
    bytes = 0;
    return made;
  };
  for (const message of messagesOf(batch, options)) {
    if ('unsendable' in message) {
      if (keys.length > 0) yield piece();
      return yield message;
    }
    frames.push(message.frame);
    keys.push(message.key);
    bytes += Buffer.byteLength(message.frame);
    if (bytes >= options.bytesMax()) yield piece();
  }
  if (keys.length > 0) yield piece();
}

/** Of every event of a batch, in order. */
export function* keysOf({ records }: SinkBatch): Generator<string> {
  for (const { origin, id, events } of records) for (let at = 0; at < events; at += 1) yield `${origin}-${id + at}`;
}

type Message = { readonly frame: string; readonly key: string };

function* messagesOf({ records }: SinkBatch, options: PiecesOptions): Generator<Message | Unsendable> {
  for (const record of records) yield* messagesOfRecord(record, options);
}

function* messagesOfRecord(
  record: SinkRecord,
  { format, hasKeys, isConfirmed }: PiecesOptions,
): Generator<Message | Unsendable> {
  for (const event of keyedEvents(record)) {
    const { key } = event;
    if (isConfirmed(key)) continue;
    const fields = event.fields();
    if (fields === undefined) return yield { unsendable: 'an event cannot be decoded' };
    const framed = framedMessage(fields, hasKeys ? key : undefined, format);
    if ('tooLongBytes' in framed) {
      const { messageBytesMax } = format;
      return yield { unsendable: `its message has ${framed.tooLongBytes} bytes, and ${messageBytesMax} are allowed` };
    }
    yield { frame: framed.frame, key };
  }
}
