// What the server says, from bytes that the network may cut anywhere: CONNACK, PUBACK, PINGRESP and DISCONNECT. Nothing
// else has a meaning for a client that only publishes at QoS 1.
//
// A server is not trusted to be one. What is longer than it may be, or is no packet of these kinds, is a violation at
// its first bytes: nothing is collected for it. After a violation the connection is of no more use.
import type { ProtocolVersion } from './packet.ts';
import { PropertyReader, type ServerProperties } from './property-reader.ts';
import { ProtocolViolation } from './violation.ts';

/** The longest packet that is taken. MQTT 5 servers are told; in 3.1.1 these packets have four bytes. */
export const answerBytesMax = 65_536;

export type ServerPacket =
  | {
      readonly kind: 'connack';
      readonly isSessionPresent: boolean;
      readonly code: number;
      readonly properties: ServerProperties;
    }
  | {
      readonly kind: 'puback';
      readonly packetId: number;
      readonly code: number;
      readonly properties: ServerProperties;
    }
  | { readonly kind: 'disconnect'; readonly code: number; readonly properties: ServerProperties }
  | { readonly kind: 'pingresp' }
  /** A message to us, who never asked for any. It is not read further. */
  | { readonly kind: 'publish' };

const noProperties: ServerProperties = {};

interface Frame {
  readonly type: number;
  readonly body: Buffer;
  readonly end: number;
}

export class PacketReader {
  readonly #version: ProtocolVersion;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(version: ProtocolVersion) {
    this.#version = version;
  }

  /** Packets that are complete with this chunk. Throws ProtocolViolation. */
  *read(chunk: Buffer): Generator<ServerPacket, void, undefined> {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      if ((this.#bytes[0] ?? 0) >> 4 === 3) {
        this.#bytes = Buffer.alloc(0);
        yield { kind: 'publish' };
        return;
      }
      const frame = frameOf(this.#bytes, this.#version);
      if (frame === undefined) return;
      this.#bytes = this.#bytes.subarray(frame.end);
      yield decode(frame, this.#version);
    }
  }
}

/** Undefined: not complete yet. */
function frameOf(bytes: Buffer, version: ProtocolVersion): Frame | undefined {
  const [first] = bytes;
  if (first === undefined) return undefined;
  checkType(first, version);
  let length = 0;
  for (let at = 1; at <= 4; at += 1) {
    const digit = bytes[at];
    if (digit === undefined) return undefined;
    length += (digit & 0x7f) * 128 ** (at - 1);
    if (length > answerBytesMax) throw new ProtocolViolation(`a packet of at least ${length} bytes`);
    if (digit >= 0x80) continue;
    const end = at + 1 + length;
    return bytes.length < end ? undefined : { type: first >> 4, body: bytes.subarray(at + 1, end), end };
  }
  throw new ProtocolViolation('a length of more than four bytes');
}

function checkType(first: number, version: ProtocolVersion): void {
  const isKnown = [2, 4, 13, ...(version === '5' ? [14] : [])].includes(first >> 4);
  if (!isKnown || (first & 0x0f) !== 0) {
    throw new ProtocolViolation(`a packet that begins with 0x${first.toString(16).padStart(2, '0')}`);
  }
}

function decode({ type, body }: Frame, version: ProtocolVersion): ServerPacket {
  switch (type) {
    case 2:
      return connack(body, version);
    case 4:
      return puback(body, version);
    case 13:
      return { kind: 'pingresp' };
    default:
      return { kind: 'disconnect', code: body[0] ?? 0, properties: propertiesOf(body, 1) };
  }
}

/** A server that knows no MQTT 5 answers in the form of 3.1.1, without properties. */
function connack(body: Buffer, version: ProtocolVersion): ServerPacket {
  const [flags = 0xff, code] = body;
  if (code === undefined || flags > 1) throw new ProtocolViolation('a CONNACK that is none');
  const properties = version === '5' ? propertiesOf(body, 2) : noProperties;
  return { kind: 'connack', isSessionPresent: flags === 1, code, properties };
}

function puback(body: Buffer, version: ProtocolVersion): ServerPacket {
  if (body.length < 2 || (version === '3.1.1' && body.length > 2)) throw new ProtocolViolation('a PUBACK that is none');
  const properties = propertiesOf(body, 3);
  return { kind: 'puback', packetId: body.readUInt16BE(0), code: body[2] ?? 0, properties };
}

/** What stands at the end of a body, if anything does. */
function propertiesOf(body: Buffer, from: number): ServerProperties {
  return body.length <= from ? noProperties : new PropertyReader(body.subarray(from)).read();
}
