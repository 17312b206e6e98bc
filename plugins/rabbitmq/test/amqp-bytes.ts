// AMQP as bytes, the server's side, written for the tests alone: what both sides say of a frame has to agree.

/** Class, method and the fields behind them. */
export function methodBytes(channel: number, classId: number, methodId: number, ...fields: readonly Buffer[]): Buffer {
  return frameBytes(1, channel, Buffer.concat([short(classId), short(methodId), ...fields]));
}

export function frameBytes(type: number, channel: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type]), short(channel), long(payload.length), payload, Buffer.from([0xce])]);
}

export function short(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

export function long(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function longLong(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function shortString(text: string): Buffer {
  return Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);
}

export function longString(text: string): Buffer {
  return Buffer.concat([long(Buffer.byteLength(text)), Buffer.from(text)]);
}

/** Walks through the fields of a payload. */
export class Fields {
  readonly bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  octet(): number {
    this.#at += 1;
    return this.bytes.readUInt8(this.#at - 1);
  }

  short(): number {
    this.#at += 2;
    return this.bytes.readUInt16BE(this.#at - 2);
  }

  long(): number {
    this.#at += 4;
    return this.bytes.readUInt32BE(this.#at - 4);
  }

  longLong(): number {
    this.#at += 8;
    return Number(this.bytes.readBigUInt64BE(this.#at - 8));
  }

  shortString(): string {
    return this.#text(this.octet());
  }

  longString(): string {
    return this.#text(this.long());
  }

  /** Of the few kinds of values that the client sends. */
  table(): Record<string, unknown> {
    const end = this.long() + this.#at;
    const table: Record<string, unknown> = {};
    while (this.#at < end) table[this.shortString()] = this.#value();
    return table;
  }

  #value(): unknown {
    const tag = String.fromCharCode(this.octet());
    switch (tag) {
      case 'S':
        return this.longString();
      case 't':
        return this.octet() === 1;
      case 'l':
        this.#at += 8;
        return Number(this.bytes.readBigInt64BE(this.#at - 8));
      case 'F':
        return this.table();
      case 'd':
        this.#at += 8;
        return this.bytes.readDoubleBE(this.#at - 8);
      default:
        throw new Error(`unexpected value of kind ${tag}`);
    }
  }

  #text(length: number): string {
    this.#at += length;
    return this.bytes.toString('utf8', this.#at - length, this.#at);
  }
}

export interface ReceivedFrame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

/** Frames that are complete in these bytes, and what is left. */
export function framesIn(bytes: Buffer): { readonly frames: ReceivedFrame[]; readonly rest: Buffer } {
  const frames: ReceivedFrame[] = [];
  let at = 0;
  while (bytes.length >= at + 7) {
    const size = bytes.readUInt32BE(at + 3);
    if (bytes.length < at + size + 8) break;
    if (bytes[at + size + 7] !== 0xce) throw new Error('a frame has no end');
    frames.push({
      type: bytes.readUInt8(at),
      channel: bytes.readUInt16BE(at + 1),
      payload: bytes.subarray(at + 7, at + 7 + size),
    });
    at += size + 8;
  }
  return { frames, rest: bytes.subarray(at) };
}

export interface ReceivedProperties {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly deliveryMode: number | undefined;
  readonly priority: number | undefined;
  readonly expiration: string | undefined;
  readonly messageId: string | undefined;
  readonly type: string | undefined;
}

/** Of a header frame. */
export function headerIn(payload: Buffer): { readonly size: number; readonly properties: ReceivedProperties } {
  const fields = new Fields(payload);
  fields.short();
  fields.short();
  const size = fields.longLong();
  const flags = fields.short();
  const text = (bit: number): string | undefined => ((flags >> bit) & 1 ? fields.shortString() : undefined);
  const octet = (bit: number): number | undefined => ((flags >> bit) & 1 ? fields.octet() : undefined);
  const properties = {
    contentType: text(15),
    contentEncoding: text(14),
    deliveryMode: octet(12),
    priority: octet(11),
    expiration: text(8),
    messageId: text(7),
    type: text(5),
  };
  return { size, properties };
}
