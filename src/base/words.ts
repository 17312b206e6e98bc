// Unsigned 64-bit fields as two 32-bit words, little-endian, held in plain numbers.
//
// BigInt costs an allocation per field; ids, offsets and sizes stay below 2^53, where a number is exact.

const two32 = 2 ** 32;

/** The lower 32 bits of an integer below 2^53. */
export function lowWord(value: number): number {
  return value >>> 0;
}

/** The bits above the lower 32 of an integer below 2^53. */
export function highWord(value: number): number {
  return Math.floor(value / two32);
}

/** Stores an integer below 2^53 as u64. */
export function writeWords(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, lowWord(value), true);
  view.setUint32(offset + 4, highWord(value), true);
}

/** Reads a u64. Below 2^53 the result is exact; from there on it is rounded, but never to less than 2^53. */
export function readWords(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * two32 + view.getUint32(offset, true);
}
