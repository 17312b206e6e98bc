// The protobuf wire format, read in place: tags, lengths, and how to step over a field that means nothing to us.
//
// A message is a run of fields, each a tag (number and wire type) and a value. Nothing here allocates or throws: bytes
// come from strangers, so whatever is wrong with them (cut, a length beyond the end, a field number 0, a group, a
// varint that does not end) is a result, `malformed`, for the caller to hand up. Reading never passes `end`.

export const malformed = -1;

export const wireVarint = 0;
export const wireFixed64 = 1;
export const wireLength = 2;
export const wireFixed32 = 5;

const tagBytesMax = 5; // Field numbers have 29 bits, wire types 3.
const varintBytesMax = 10;

export function tagOf(fieldNumber: number, wireType: number): number {
  return fieldNumber * 8 + wireType;
}

export function fieldNumberOf(tag: number): number {
  return tag >>> 3;
}

/** Bytes that a varint takes for a value below 2^53. */
export function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) count += 1;
  return count;
}

/** A place in a message. The caller moves `position` over what it takes. */
export class WireReader {
  readonly bytes: Uint8Array;
  position = 0;
  /** The lower half of what `varint` read. */
  low = 0;
  /** The upper half of what `varint` read. */
  high = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The next tag, or `malformed`. To be called with `position < end`. */
  tag(end: number): number {
    const first = this.bytes[this.position] as number;
    if (first < 0x80) {
      this.position += 1;
      return first < 8 ? malformed : first; // Field number 0 does not exist.
    }
    return this.#longTag(end);
  }

  #longTag(end: number): number {
    const { bytes } = this;
    let tag = 0;
    let scale = 1;
    for (let index = 0; index < tagBytesMax; index += 1) {
      if (this.position >= end) return malformed;
      const byte = bytes[this.position] as number;
      this.position += 1;
      tag += (byte & 0x7f) * scale;
      scale *= 0x80;
      if (byte < 0x80) return tag >= 8 && tag < 2 ** 32 ? tag : malformed;
    }
    return malformed;
  }

  /** Reads a length and gives the offset where that many bytes end: at most `end`, or `malformed`. */
  lengthEnd(end: number): number {
    const { bytes } = this;
    let { position } = this;
    if (position >= end) return malformed;
    let byte = bytes[position] as number;
    position += 1;
    let length = byte & 0x7f;
    for (let scale = 0x80; byte >= 0x80; scale *= 0x80) {
      if (position >= end || position - this.position >= varintBytesMax) return malformed;
      byte = bytes[position] as number;
      position += 1;
      length += (byte & 0x7f) * scale; // Rounded beyond 2^53, and then longer than any input all the same.
    }
    this.position = position;
    return length <= end - position ? position + length : malformed;
  }

  /** Steps over the value that follows `tag`. False: it is malformed. */
  skip(tag: number, end: number): boolean {
    switch (tag & 7) {
      case wireVarint:
        return this.#skipVarint(end);
      case wireFixed64:
        this.position += 8;
        return this.position <= end;
      case wireLength: {
        const next = this.lengthEnd(end);
        this.position = next;
        return next !== malformed;
      }
      case wireFixed32:
        this.position += 4;
        return this.position <= end;
      default:
        return false; // Groups, which proto3 does not have, and two types that nothing has.
    }
  }

  /** Reads 64 bits into `low` and `high`. False: they are malformed. */
  varint(end: number): boolean {
    let low = 0;
    let high = 0;
    for (let index = 0; index < varintBytesMax; index += 1) {
      if (this.position >= end) return false;
      const byte = this.bytes[this.position] as number;
      this.position += 1;
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (7 * index);
      else if (index > 4) high |= bits << (7 * index - 32);
      else {
        low |= bits << 28; // Four bits of the fifth byte stay in, three go up.
        high = bits >>> 4;
      }
      if (byte >= 0x80) continue;
      this.low = low >>> 0;
      this.high = high >>> 0;
      return index < varintBytesMax - 1 || byte <= 1; // The tenth byte holds the last of 64 bits.
    }
    return false;
  }

  #skipVarint(end: number): boolean {
    for (let index = 1; index <= varintBytesMax; index += 1) {
      if (this.position >= end) return false;
      const byte = this.bytes[this.position] as number;
      this.position += 1;
      if (byte < 0x80) return index < varintBytesMax || byte <= 1;
    }
    return false;
  }
}
