// What this side says: CONNECT, PUBLISH at QoS 1, PINGREQ and DISCONNECT as bytes. packet-reader.ts reads the answers.
//
// Why no client library: the usual one for Node (mqtt 5.16) keeps a store of everything that is not acknowledged and
// resends it on its own, sends without regard to the server's Receive Maximum, Maximum Packet Size and Maximum QoS, and
// leaves whoever waits for an acknowledgement waiting when the connection is lost. None of that can be turned off, and
// all of it is what a sink in front of a buffer must decide itself. The codec below that client (mqtt-packet) puts no
// bound on what a server may make it collect. A publisher needs four packets in each direction; the tests hold them
// against that codec, which the server of the tests speaks.
//
// Sources: MQTT Version 5.0 and MQTT Version 3.1.1, OASIS Standards, chapters 2 and 3.

export type ProtocolVersion = '5' | '3.1.1';

/** The most that the length in front of a packet can say. */
const remainingBytesMax = 268_435_455;
/** The longest packet there is: its type and its length come on top. */
export const packetBytesMax: number = 1 + 4 + remainingBytesMax;
/** The most that a text or other field of a packet can have. */
export const fieldBytesMax = 65_535;

/** Properties that this side sends, by their numbers in the standard. */
export const property = {
  payloadFormat: 1,
  messageExpiry: 2,
  contentType: 3,
  sessionExpiry: 17,
  user: 38,
  maximumPacketBytes: 39,
} as const;

export interface Connect {
  readonly version: ProtocolVersion;
  readonly clientId: string;
  /** Whether the server forgets what it has of a session of this client. */
  readonly isClean: boolean;
  readonly keepAliveSecs: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** MQTT 5: how long the server keeps the session without a connection. */
  readonly sessionExpirySecs: number;
  /** MQTT 5: the longest packet that the server may send. */
  readonly answerBytesMax: number;
}

/** Everything of a PUBLISH that is the same when it is sent again. */
export interface Message {
  readonly topic: Buffer;
  /** With their length in front; empty for 3.1.1, which knows none. */
  readonly properties: Buffer;
  readonly payload: Buffer;
}

export interface Publish {
  readonly packetId: number;
  /** Sent before, in the same session, under the same packet id (DUP). */
  readonly isRepeat: boolean;
  readonly isRetained: boolean;
}

export function encodeConnect(connect: Connect): Buffer {
  const { version, clientId, isClean, keepAliveSecs, user, password, sessionExpirySecs, answerBytesMax } = connect;
  const flags = (isClean ? 0x02 : 0) | (password === undefined ? 0 : 0x40) | (user === undefined ? 0 : 0x80);
  const parts = [field('MQTT'), Buffer.from([version === '5' ? 5 : 4, flags]), uint16(keepAliveSecs)];
  if (version === '5') {
    const expiry = sessionExpirySecs === 0 ? [] : [uint32Property(property.sessionExpiry, sessionExpirySecs)];
    parts.push(encodeProperties([...expiry, uint32Property(property.maximumPacketBytes, answerBytesMax)]));
  }
  parts.push(field(clientId));
  if (user !== undefined) parts.push(field(user));
  if (password !== undefined) parts.push(field(password));
  return packet(0x10, parts);
}

/** How long the PUBLISH of a message is, with everything. */
export function publishBytes(message: Message): number {
  const remaining = remainingBytes(message);
  return 1 + varintBytes(remaining) + remaining;
}

/** The message must be one that fits: see {@link packetBytesMax}. */
export function encodePublish(message: Message, { packetId, isRepeat, isRetained }: Publish): Buffer {
  const { topic, properties, payload } = message;
  const type = 0x30 | (isRepeat ? 0x08 : 0) | 0x02 | (isRetained ? 0x01 : 0);
  const remaining = remainingBytes(message);
  const header = Buffer.concat([Buffer.from([type]), varint(remaining), uint16(topic.length)]);
  return Buffer.concat([header, topic, uint16(packetId), properties, payload], header.length + remaining - 2);
}

export function encodePing(): Buffer {
  return Buffer.from([0xc0, 0]);
}

/** The end of a connection that nothing is wrong with. In MQTT 5 it can end the session as well. */
export function encodeDisconnect(version: ProtocolVersion, endsSession: boolean): Buffer {
  if (version === '3.1.1' || !endsSession) return Buffer.from([0xe0, 0]);
  return packet(0xe0, [Buffer.from([0]), encodeProperties([uint32Property(property.sessionExpiry, 0)])]);
}

export function encodeProperties(properties: readonly Buffer[]): Buffer {
  const all = Buffer.concat(properties);
  return Buffer.concat([varint(all.length), all]);
}

export function byteProperty(id: number, value: number): Buffer {
  return Buffer.from([id, value]);
}

export function uint32Property(id: number, value: number): Buffer {
  const bytes = Buffer.from([id, 0, 0, 0, 0]);
  bytes.writeUInt32BE(value, 1);
  return bytes;
}

/** One text, or two for a user property. */
export function textProperty(id: number, ...texts: readonly string[]): Buffer {
  return Buffer.concat([Buffer.from([id]), ...texts.map(field)]);
}

function remainingBytes({ topic, properties, payload }: Message): number {
  return 2 + topic.length + 2 + properties.length + payload.length;
}

function packet(type: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([type]), varint(body.length), body]);
}

function field(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > fieldBytesMax) throw new RangeError(`a text of ${bytes.length} bytes fits no field of MQTT`);
  return Buffer.concat([uint16(bytes.length), bytes]);
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

/** Seven bits each, the lowest first; all but the last have their high bit set. */
function varint(value: number): Buffer {
  if (value > remainingBytesMax) throw new RangeError(`a packet of ${value} bytes is more than MQTT can say`);
  const digits: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) digits.push((rest & 0x7f) | 0x80);
  return Buffer.from([...digits, rest]);
}
