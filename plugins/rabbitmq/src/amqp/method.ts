// The few methods of AMQP 0-9-1 that a publisher needs, as frames, and a message as frames.
import { frameOverheadBytes, frameType } from './frame.ts';
import { type Table, type WireReader, WireWriter } from './wire.ts';

/** Class and method, as they stand at the beginning of a method frame. */
export const method = {
  connectionStart: 0x000a_000a,
  connectionStartOk: 0x000a_000b,
  connectionTune: 0x000a_001e,
  connectionTuneOk: 0x000a_001f,
  connectionOpen: 0x000a_0028,
  connectionOpenOk: 0x000a_0029,
  connectionClose: 0x000a_0032,
  connectionCloseOk: 0x000a_0033,
  connectionBlocked: 0x000a_003c,
  connectionUnblocked: 0x000a_003d,
  channelOpen: 0x0014_000a,
  channelOpenOk: 0x0014_000b,
  channelClose: 0x0014_0028,
  channelCloseOk: 0x0014_0029,
  exchangeDeclare: 0x0028_000a,
  exchangeDeclareOk: 0x0028_000b,
  queueDeclare: 0x0032_000a,
  queueDeclareOk: 0x0032_000b,
  queueBind: 0x0032_0014,
  queueBindOk: 0x0032_0015,
  basicPublish: 0x003c_0028,
  basicReturn: 0x003c_0032,
  basicAck: 0x003c_0050,
  basicNack: 0x003c_0078,
  confirmSelect: 0x0055_000a,
  confirmSelectOk: 0x0055_000b,
} as const;

const basicClass = 60;

/** The one channel of a connection. */
export const channelNumber = 1;

export function methodFrame(
  channel: number,
  id: number,
  fields: (writer: WireWriter) => void = () => undefined,
): Buffer {
  const writer = new WireWriter();
  writer.frame(frameType.method, channel, () => fields(writer.uint32(id)));
  return writer.bytes();
}

export interface ExchangeDeclaration {
  readonly exchange: string;
  readonly type: string;
  /** Only asks whether it is there. */
  readonly isPassive: boolean;
}

/** Durable. */
export function exchangeDeclare({ exchange, type, isPassive }: ExchangeDeclaration): Buffer {
  return methodFrame(channelNumber, method.exchangeDeclare, (writer) =>
    writer.uint16(0).shortText(exchange).shortText(type).uint8(flags(isPassive, true)).table({}),
  );
}

export interface QueueDeclaration {
  readonly queue: string;
  readonly arguments: Table;
  readonly isPassive: boolean;
}

/** Durable, for everybody, and it stays when nobody uses it. */
export function queueDeclare({ queue, arguments: given, isPassive }: QueueDeclaration): Buffer {
  return methodFrame(channelNumber, method.queueDeclare, (writer) =>
    writer.uint16(0).shortText(queue).uint8(flags(isPassive, true)).table(given),
  );
}

export function queueBind(queue: string, exchange: string, bindingKey: string): Buffer {
  return methodFrame(channelNumber, method.queueBind, (writer) =>
    writer.uint16(0).shortText(queue).shortText(exchange).shortText(bindingKey).uint8(0).table({}),
  );
}

/** Bits in the order in which the fields stand, the first one lowest. */
function flags(...bits: readonly boolean[]): number {
  return bits.reduce((byte, bit, index) => byte | (bit ? 1 << index : 0), 0);
}

export interface Properties {
  readonly contentType: string;
  readonly contentEncoding?: string | undefined;
  readonly priority?: number | undefined;
  readonly expirationMs?: number | undefined;
  readonly messageId: string;
  readonly type: string;
}

export interface Publication {
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: Properties;
  readonly body: Buffer;
}

/** Bodies up to this are copied, so that a message is one piece; larger ones are sent from where they are. */
const copiedBytesMax = 16 * 1024;
const mandatory = 1;
const persistent = 2;

/** A mandatory, persistent message as pieces to send one after the other. */
export function publicationFrames(publication: Publication, frameBytesMax: number): Buffer[] {
  const { exchange, routingKey, properties, body } = publication;
  const writer = new WireWriter();
  writer.frame(frameType.method, channelNumber, () =>
    writer.uint32(method.basicPublish).uint16(0).shortText(exchange).shortText(routingKey).uint8(mandatory),
  );
  writer.frame(frameType.header, channelNumber, () => {
    writer.uint16(basicClass).uint16(0).uint64(body.length);
    writeProperties(writer, properties);
  });
  const payloadBytesMax = frameBytesMax - frameOverheadBytes;
  if (body.length <= Math.min(copiedBytesMax, payloadBytesMax)) {
    if (body.length > 0) writer.frame(frameType.body, channelNumber, () => writer.raw(body));
    return [writer.bytes()];
  }
  return [writer.bytes(), ...bodyFrames(body, payloadBytesMax)];
}

function* bodyFrames(body: Buffer, payloadBytesMax: number): Generator<Buffer> {
  for (let at = 0; at < body.length; at += payloadBytesMax) {
    const payload = body.subarray(at, at + payloadBytesMax);
    const [head, end] = splitFrame(payload.length);
    yield head;
    yield payload;
    yield end;
  }
}

/** What stands before and behind the payload of a body frame. */
function splitFrame(payloadBytes: number): [Buffer, Buffer] {
  const empty = new WireWriter().frame(frameType.body, channelNumber, () => undefined).bytes();
  empty.writeUInt32BE(payloadBytes, frameOverheadBytes - 5);
  return [empty.subarray(0, frameOverheadBytes - 1), empty.subarray(frameOverheadBytes - 1)];
}

/** Which properties stand in a header, by their bit; they come in this order. */
const propertyBit = {
  contentType: 1 << 15,
  contentEncoding: 1 << 14,
  headers: 1 << 13,
  deliveryMode: 1 << 12,
  priority: 1 << 11,
  correlationId: 1 << 10,
  replyTo: 1 << 9,
  expiration: 1 << 8,
  messageId: 1 << 7,
  type: 1 << 5,
} as const;

function writeProperties(writer: WireWriter, properties: Properties): void {
  const { contentType, contentEncoding, priority, expirationMs, messageId, type } = properties;
  let present = propertyBit.contentType | propertyBit.deliveryMode | propertyBit.messageId | propertyBit.type;
  if (contentEncoding !== undefined) present |= propertyBit.contentEncoding;
  if (priority !== undefined) present |= propertyBit.priority;
  if (expirationMs !== undefined) present |= propertyBit.expiration;
  writer.uint16(present).shortText(contentType);
  if (contentEncoding !== undefined) writer.shortText(contentEncoding);
  writer.uint8(persistent);
  if (priority !== undefined) writer.uint8(priority);
  if (expirationMs !== undefined) writer.shortText(String(expirationMs));
  writer.shortText(messageId).shortText(type);
}

/** Size of the body and message_id of a header that comes back. */
export function readHeader(reader: WireReader): { readonly bodyBytes: number; readonly messageId: string } {
  const bodyBytes = reader.skip(4).uint64();
  const present = reader.uint16();
  const has = (bit: number): boolean => (present & bit) !== 0;
  if (has(propertyBit.contentType)) reader.shortText();
  if (has(propertyBit.contentEncoding)) reader.shortText();
  if (has(propertyBit.headers)) reader.skip(reader.uint32());
  if (has(propertyBit.deliveryMode)) reader.skip(1);
  if (has(propertyBit.priority)) reader.skip(1);
  if (has(propertyBit.correlationId)) reader.shortText();
  if (has(propertyBit.replyTo)) reader.shortText();
  if (has(propertyBit.expiration)) reader.shortText();
  return { bodyBytes, messageId: has(propertyBit.messageId) ? reader.shortText() : '' };
}
