// Merges requests of one signal: their one field is repeated, so the bytes of one after the bytes of another are a
// request with the events of both. Nothing is decoded, and equal resources stay apart: joining them would cost more
// than the few bytes are worth.

/** One request with the events of all, in order. One part comes back as the same object. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
