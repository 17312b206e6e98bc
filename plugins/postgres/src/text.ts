// Texts that PostgreSQL can hold. Its text and its jsonb know no U+0000, and no half of a surrogate pair; telemetry can
// have both. Each becomes U+FFFD, the sign for a character that could not be kept, and the event arrives.

const replacement = '\ufffd';

/** The same text, or one without what cannot be held. */
export function holdable(text: string): string {
  const wellFormed = text.replace(/\p{Surrogate}/gu, replacement);
  return wellFormed.includes('\u0000') ? wellFormed.replaceAll('\u0000', replacement) : wellFormed;
}

/**
 * The same for JSON as JSON.stringify makes it: there both are escapes, and an escaped surrogate is always half a pair.
 * Escapes are read from the left, so that `\\u0000`, a backslash and five letters, stays what it is.
 */
export function holdableJson(json: string): string {
  if (!/\\u(?:0000|d[89a-f])/.test(json)) return json;
  return json.replace(/\\(?:u0000|ud[89a-f][0-9a-f]{2}|.)/g, (found) => (found.length > 2 ? replacement : found));
}
