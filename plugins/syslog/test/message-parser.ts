// RFC 5424 and octet counting read by the letter of the grammar, for tests: whatever is not exactly as it says throws.
// Knows nothing of the code under test. Works on bytes, because lengths are in bytes.

export interface ParsedMessage {
  readonly facility: number;
  readonly severity: number;
  readonly timestamp: string | undefined;
  readonly hostname: string | undefined;
  readonly appName: string | undefined;
  readonly processId: string | undefined;
  readonly messageId: string | undefined;
  readonly elements: readonly ParsedElement[];
  /** Undefined: there is none. */
  readonly text: string | undefined;
  readonly hasMark: boolean;
  readonly bytes: Buffer;
}

export interface ParsedElement {
  readonly id: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** Messages of a stream, and what is left of one that is not whole. */
export function readFrames(stream: Buffer): { readonly messages: readonly Buffer[]; readonly rest: Buffer } {
  const messages: Buffer[] = [];
  let at = 0;
  while (at < stream.length) {
    const space = stream.indexOf(0x20, at);
    const count = space < 0 ? stream.subarray(at) : stream.subarray(at, space);
    if (!/^(?:[1-9]\d*)?$/.test(count.toString('latin1'))) throw new Error(`no MSG-LEN: ${count.toString('latin1')}`);
    const end = space + 1 + Number(count);
    if (space < 0 || end > stream.length) break;
    if (space === at) throw new Error('a frame without a length');
    messages.push(stream.subarray(space + 1, end));
    at = end;
  }
  return { messages, rest: stream.subarray(at) };
}

export function parseMessages(stream: Buffer): ParsedMessage[] {
  const { messages, rest } = readFrames(stream);
  if (rest.length > 0) throw new Error(`${rest.length} bytes are no whole frame`);
  return messages.map(parseMessage);
}

export function parseMessage(bytes: Buffer): ParsedMessage {
  const reader = new Reader(bytes);
  reader.expect('<');
  const priority = Number(reader.until('>', /^(?:0|[1-9]\d{0,2})$/));
  if (priority > 191) throw new Error(`PRI ${priority}`);
  reader.until(' ', /^1$/);
  const timestamp = reader.until(' ', timestampPattern);
  const hostname = reader.until(' ', /^[!-~]{1,255}$/);
  const appName = reader.until(' ', /^[!-~]{1,48}$/);
  const processId = reader.until(' ', /^[!-~]{1,128}$/);
  const messageId = reader.until(' ', /^[!-~]{1,32}$/);
  const elements = parseElements(reader);
  const { text, hasMark } = parseText(reader);
  const orNothing = (field: string): string | undefined => (field === '-' ? undefined : field);
  return {
    facility: priority >> 3,
    severity: priority & 7,
    timestamp: orNothing(timestamp),
    hostname: orNothing(hostname),
    appName: orNothing(appName),
    processId: orNothing(processId),
    messageId: orNothing(messageId),
    elements,
    text,
    hasMark,
    bytes,
  };
}

const date = String.raw`\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])`;
const time = String.raw`(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)`;
const timestampPattern = new RegExp(`^(?:-|${date}T${time})$`);
const namePattern = /^[!#-<>-\\^-~]{1,32}$/;

function parseElements(reader: Reader): ParsedElement[] {
  if (reader.take('-')) return [];
  const elements: ParsedElement[] = [];
  while (reader.take('[')) {
    const id = reader.whileNot(' ]');
    if (!namePattern.test(id) || !/^[^@]+(?:@\d+(?:\.\d+)*)?$/.test(id)) throw new Error(`SD-ID ${id}`);
    if (elements.some((element) => element.id === id)) throw new Error(`SD-ID ${id} twice`);
    const parameters: [string, string][] = [];
    while (!reader.take(']')) {
      reader.expect(' ');
      const name = reader.until('=', namePattern);
      reader.expect('"');
      parameters.push([name, parseValue(reader)]);
    }
    elements.push({ id, parameters });
  }
  if (elements.length === 0) throw new Error('STRUCTURED-DATA is neither - nor an element');
  return elements;
}

function parseValue(reader: Reader): string {
  const bytes: number[] = [];
  for (;;) {
    const byte = reader.next();
    if (byte === 0x22) return utf8(Buffer.from(bytes));
    if (byte === 0x5d) throw new Error('a ] that is not escaped');
    const escapedByte = byte === 0x5c ? reader.next() : byte;
    if (byte === 0x5c && ![0x22, 0x5c, 0x5d].includes(escapedByte)) throw new Error('a \\ that escapes nothing');
    bytes.push(escapedByte);
  }
}

function parseText(reader: Reader): { readonly text: string | undefined; readonly hasMark: boolean } {
  if (reader.isAtEnd) return { text: undefined, hasMark: false };
  reader.expect(' ');
  const rest = reader.rest();
  const hasMark = rest.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
  return { text: utf8(hasMark ? rest.subarray(3) : rest), hasMark };
}

function utf8(bytes: Buffer): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  next(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new Error('the message ends too early');
    this.#at += 1;
    return byte;
  }

  take(character: string): boolean {
    const isThere = this.#bytes[this.#at] === character.charCodeAt(0);
    if (isThere) this.#at += 1;
    return isThere;
  }

  expect(character: string): void {
    if (!this.take(character)) throw new Error(`no ${character} at byte ${this.#at} of ${this.#bytes.toString()}`);
  }

  whileNot(characters: string): string {
    const start = this.#at;
    while (!this.isAtEnd && !characters.includes(String.fromCharCode(this.#bytes[this.#at] as number))) this.#at += 1;
    return this.#bytes.toString('latin1', start, this.#at);
  }

  /** What stands before a character, which is taken, too. */
  until(character: string, pattern: RegExp): string {
    const field = this.whileNot(character);
    this.expect(character);
    if (!pattern.test(field)) throw new Error(`${field} does not match ${pattern}`);
    return field;
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }
}
