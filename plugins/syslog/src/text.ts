// What texts become on their way into a message: fields of the header, parameters, values, the message itself.
//
// Octet counting allows every byte, so line breaks and other controls can stay. U+0000 cannot: receivers written in C
// take it for the end of the text, and what follows would be lost. It becomes U+FFFD where it is not escaped.

export type ControlCharacters = 'keep' | 'escape';

const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** `escape` writes controls as JSON does, and the backslash twice, so that it can be undone. */
export function withoutControls(text: string, controls: ControlCharacters): string {
  if (controls === 'keep') return text.includes('\0') ? text.replaceAll('\0', '\u{fffd}') : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\\]/g, escaped);
}

function escaped(character: string): string {
  return shortEscapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A field of the header: printable ASCII without spaces, cut to its limit, `-` where nothing is left. */
export function headerField(text: string | undefined, charactersMax: number): string {
  return printable(text ?? '', charactersMax) || '-';
}

/** The name of a parameter: as a field of the header, and without what ends a name. */
export function parameterName(text: string): string {
  return printable(text, 32).replace(/[="\]]/g, '_') || '_';
}

function printable(text: string, charactersMax: number): string {
  return text.slice(0, charactersMax).replace(/[^!-~]/g, '_');
}

/** Begins with as many whole characters of the text as fit into so many bytes of UTF-8. */
export function cutToBytes(text: string, bytesMax: number): string {
  // A character takes one byte at least, so that no more than these have to be looked at.
  const bytes = Buffer.from(text.slice(0, Math.max(0, bytesMax) + 1));
  if (bytes.length <= bytesMax) return bytes.toString();
  let end = Math.max(0, bytesMax);
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
