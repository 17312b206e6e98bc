// The primitive types of AMQP 0-9-1, written and read: big-endian numbers, short and long strings, tables.
//
// A reader trusts no length: what points behind the end is Malformed, and nothing is allocated by what a peer says.

/** Bytes that are no AMQP, or not what belongs here. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

export type TableValue = string | number | boolean | Table;
export interface Table {
  readonly [name: string]: TableValue;
}

/** A short string has one byte for its length. */
export const shortTextBytesMax = 255;

export class WireWriter {
  #bytes: Buffer = Buffer.allocUnsafe(512);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written; the writer is not used any more then. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  uint8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }

  uint16(value: number): this {
    const at = this.#grow(2);
    this.#bytes.writeUInt16BE(value, at);
    return this;
  }

  uint32(value: number): this {
    const at = this.#grow(4);
    this.#bytes.writeUInt32BE(value, at);
    return this;
  }

  uint64(value: number): this {
    return this.uint32(Math.floor(value / 2 ** 32)).uint32(value % 2 ** 32);
  }

  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  shortText(text: string): this {
    const bytes = Buffer.from(text);
    if (bytes.length > shortTextBytesMax) throw new RangeError(`${bytes.length} bytes are too long for a short string`);
    return this.uint8(bytes.length).raw(bytes);
  }

  longText(text: string): this {
    const bytes = Buffer.from(text);
    return this.uint32(bytes.length).raw(bytes);
  }

  table(table: Table): this {
    return this.#measured(() => {
      for (const [name, value] of Object.entries(table)) this.shortText(name).#value(value);
    });
  }

  /** A frame around what `content` writes. */
  frame(type: number, channel: number, content: () => void): this {
    this.uint8(type).uint16(channel);
    return this.#measured(content).uint8(frameEnd);
  }

  #value(value: TableValue): void {
    if (typeof value === 'string') this.#tag('S').longText(value);
    else if (typeof value === 'boolean') this.#tag('t').uint8(value ? 1 : 0);
    else if (typeof value === 'object') this.#tag('F').table(value);
    else this.#tag(Number.isSafeInteger(value) ? 'l' : 'd').#number(value);
  }

  #number(value: number): void {
    const at = this.#grow(8);
    if (Number.isSafeInteger(value)) this.#bytes.writeBigInt64BE(BigInt(value), at);
    else this.#bytes.writeDoubleBE(value, at);
  }

  #tag(letter: string): this {
    return this.uint8(letter.charCodeAt(0));
  }

  #measured(content: () => void): this {
    const at = this.#grow(4);
    content();
    this.#bytes.writeUInt32BE(this.#length - at - 4, at);
    return this;
  }

  /** Makes room for so many bytes, and says where. The bytes may be others afterwards. */
  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}

/** Stands at the end of every frame. */
export const frameEnd = 0xce;

export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  uint8(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  /** Beyond 2^53 it is rounded, which is no number that a server counts to. */
  uint64(): number {
    return this.uint32() * 2 ** 32 + this.uint32();
  }

  shortText(): string {
    return this.#text(this.uint8());
  }

  longText(): string {
    return this.#text(this.uint32());
  }

  skip(count: number): this {
    this.#take(count);
    return this;
  }

  #text(length: number): string {
    const start = this.#take(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw new Malformed('a field reaches behind the end of its frame');
    this.#at = at + count;
    return at;
  }
}
