// Writes protobuf from the end to the start: when a message is done, its length is known and goes in front of it.
// Forwards, every message would have to be measured before it is written, or moved when its length is known.
//
// So callers write what comes last first: the value, then its length, then its tag.
import { highWord, lowWord } from '../base/words.ts';
import { varintBytes } from './wire.ts';

const startBytes = 2048;
/** Up to this length a loop is faster than the call of the encoder. */
const shortString = 48;
const two32 = 2 ** 32;

export class WireWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(startBytes);
  #view: DataView = viewOf(this.#bytes);
  #at = startBytes;

  /** Bytes written so far. */
  get length(): number {
    return this.#bytes.length - this.#at;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    const result = new Uint8Array(this.length);
    result.set(this.#bytes.subarray(this.#at));
    return result;
  }

  /** Forgets what was written since `length` was this. */
  takeBack(length: number): void {
    this.#at = this.#bytes.length - length;
  }

  byte(value: number): void {
    if (this.#at === 0) this.#grow(1);
    this.#at -= 1;
    this.#bytes[this.#at] = value;
  }

  /** An unsigned integer below 2^53. */
  varint(value: number): void {
    if (value < 0x80) {
      this.byte(value);
      return;
    }
    const count = varintBytes(value);
    this.#reserve(count);
    let rest = value;
    for (let index = 0; index < count - 1; index += 1) {
      this.#bytes[this.#at + index] = (rest % 0x80) + 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#at + count - 1] = rest;
  }

  /** 64 bits as a varint: ten bytes if the highest is set, as in every negative number. */
  varintWords(low: number, high: number): void {
    if (high < 2 ** 21) {
      this.varint(high * two32 + low);
      return;
    }
    // Bits 0 to 27, 28 to 55, and the rest.
    const last = high >>> 24;
    const middle = ((high & 0x00ff_ffff) << 4) | (low >>> 28);
    if (last === 0) this.varint(middle);
    else {
      this.varint(last);
      this.#sevens(middle);
    }
    this.#sevens(low & 0x0fff_ffff);
  }

  /** 28 bits as four bytes with more to come. */
  #sevens(value: number): void {
    this.#reserve(4);
    for (let index = 0; index < 4; index += 1) {
      this.#bytes[this.#at + index] = ((value >>> (7 * index)) & 0x7f) | 0x80;
    }
  }

  fixed32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#at, value, true);
  }

  words(low: number, high: number): void {
    this.#reserve(8);
    this.#view.setUint32(this.#at, low, true);
    this.#view.setUint32(this.#at + 4, high, true);
  }

  /** An integer of -2^53 to 2^53 as two's complement. */
  fixed64(value: number): void {
    this.words(lowWord(value), highWord(value) >>> 0);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#at, value, true);
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
  }

  /** UTF-8. What is no Unicode in the string becomes U+FFFD. */
  string(value: string): void {
    if (value.length <= shortString && this.#shortAscii(value)) return;
    const length = Buffer.byteLength(value);
    this.#reserve(length);
    this.#bytes.write(value, this.#at, length, length === value.length ? 'latin1' : 'utf8');
  }

  #shortAscii(value: string): boolean {
    const { length } = value;
    this.#reserve(length);
    const bytes = this.#bytes;
    const at = this.#at;
    for (let index = 0; index < length; index += 1) {
      const code = value.charCodeAt(index);
      if (code >= 0x80) {
        this.#at += length;
        return false;
      }
      bytes[at + index] = code;
    }
    return true;
  }

  #reserve(count: number): void {
    if (this.#at < count) this.#grow(count);
    this.#at -= count;
  }

  #grow(count: number): void {
    const { length } = this;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, length + count));
    const at = grown.length - length;
    grown.set(this.#bytes.subarray(this.#at), at);
    this.#bytes = grown;
    this.#view = viewOf(grown);
    this.#at = at;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The number as sint32 is written: small absolute values become small. */
export function zigzag(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2;
}

export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
