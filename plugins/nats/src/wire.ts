// The protocol of NATS as bytes: what a server says, cut anywhere by the network, and what we say to it.
//
//   INFO {json}␍␊   PING␍␊   PONG␍␊   +OK␍␊   -ERR 'text'␍␊
//   MSG subject sid [reply] bytes␍␊payload␍␊
//   HMSG subject sid [reply] header-bytes total-bytes␍␊headers payload␍␊
//
// A server that says anything else, or more than the limits, is not read any further: no length that it names makes us
// keep more than that.

export interface ServerInfo {
  readonly version: string;
  readonly maxPayload: number;
  readonly hasHeaders: boolean;
  readonly nonce: string | undefined;
  readonly tls: 'required' | 'available' | 'none';
}

export type ServerWord =
  | { readonly kind: 'info'; readonly info: ServerInfo }
  | { readonly kind: 'ping' | 'pong' | 'ok' }
  | { readonly kind: 'error'; readonly text: string }
  | { readonly kind: 'message'; readonly subject: string; readonly answer: WireAnswer };

export interface WireAnswer {
  /** Of a message without sense of its own: 503 means that nobody listens there. */
  readonly status: number | undefined;
  readonly payload: Buffer;
}

/** The bytes are none of the protocol. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

const lineBytesMax = 1024 * 1024;
/** The largest message a server can be set up for is 64 MiB; what JetStream tells of one is a third larger. */
const messageBytesMax = 96 * 1024 * 1024;
const crlf = '\r\n';

export class WireReader {
  #chunks: Buffer[] = [];
  #heldBytes = 0;
  /** Nothing can be read before there are so many. */
  #neededBytes = 1;

  /** Bytes that were given and not read yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** What is complete with this chunk. Throws WireError. */
  *read(chunk: Buffer): Generator<ServerWord, void, undefined> {
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < this.#neededBytes) return;
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    for (;;) {
      const found = parseWord(bytes);
      const rest = typeof found === 'number' ? bytes : bytes.subarray(found.endOffset);
      this.#chunks = rest.length === 0 ? [] : [rest];
      this.#heldBytes = rest.length;
      this.#neededBytes = typeof found === 'number' ? found : 1;
      if (typeof found === 'number') return;
      bytes = rest;
      yield found.word;
    }
  }
}

/** A number says how many bytes it takes to go on. */
function parseWord(bytes: Buffer): { readonly word: ServerWord; readonly endOffset: number } | number {
  const lineEnd = bytes.subarray(0, lineBytesMax).indexOf(crlf);
  if (lineEnd < 0) {
    if (bytes.length >= lineBytesMax) throw new WireError(`a line has more than ${lineBytesMax} bytes`);
    return bytes.length + 1;
  }
  const line = bytes.toString('utf8', 0, lineEnd);
  const endOffset = lineEnd + crlf.length;
  const [verb = ''] = /^[^\s]*/.exec(line) ?? [];
  switch (verb.toUpperCase()) {
    case 'MSG':
    case 'HMSG':
      return parseMessage(bytes, line, endOffset);
    case 'INFO':
      return { word: { kind: 'info', info: parseInfo(line.slice(verb.length)) }, endOffset };
    case 'PING':
      return { word: { kind: 'ping' }, endOffset };
    case 'PONG':
      return { word: { kind: 'pong' }, endOffset };
    case '+OK':
      return { word: { kind: 'ok' }, endOffset };
    case '-ERR':
      return { word: { kind: 'error', text: line.slice(verb.length).trim().replace(/^'|'$/g, '') }, endOffset };
    default:
      throw new WireError('the server does not speak NATS');
  }
}

function parseMessage(
  bytes: Buffer,
  line: string,
  payloadOffset: number,
): { readonly word: ServerWord; readonly endOffset: number } | number {
  const parts = /^(H?)MSG\s+(\S+)\s+\d+(?:\s+\S+)??(?:\s+(\d{1,9}))?\s+(\d{1,9})\s*$/i.exec(line);
  const isHeadered = parts?.[1] !== '';
  const headerBytes = isHeadered ? Number(parts?.[3]) : 0;
  const totalBytes = Number(parts?.[4]);
  if (parts === null || !(headerBytes <= totalBytes)) throw new WireError('a message without lengths');
  if (totalBytes > messageBytesMax) throw new WireError(`a message has more than ${messageBytesMax} bytes`);
  const endOffset = payloadOffset + totalBytes + crlf.length;
  if (bytes.length < endOffset) return endOffset;
  if (bytes.toString('latin1', endOffset - crlf.length, endOffset) !== crlf) {
    throw new WireError('a message is longer than it says');
  }
  const headers = bytes.toString('latin1', payloadOffset, payloadOffset + headerBytes);
  const [, status] = /^NATS\/1\.0\s+(\d{3})/.exec(headers) ?? [];
  const payload = bytes.subarray(payloadOffset + headerBytes, endOffset - crlf.length);
  const answer: WireAnswer = { status: status === undefined ? undefined : Number(status), payload };
  return { word: { kind: 'message', subject: parts[2] as string, answer }, endOffset };
}

function parseInfo(text: string): ServerInfo {
  const info = parseObject(text);
  if (info === undefined) throw new WireError('the server does not say who it is');
  const { version, max_payload: maxPayload, headers, nonce, tls_required: required, tls_available: available } = info;
  return {
    version: typeof version === 'string' ? version : 'unknown',
    maxPayload: typeof maxPayload === 'number' && maxPayload > 0 ? maxPayload : Number.POSITIVE_INFINITY,
    hasHeaders: headers === true,
    nonce: typeof nonce === 'string' ? nonce : undefined,
    tls: required === true ? 'required' : available === true ? 'available' : 'none',
  };
}

/** Undefined: no JSON, or no object. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

export interface Publication {
  readonly subject: string;
  /** Names and values, without line breaks. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly payload: Uint8Array;
}

/** Bytes of headers and payload together, which is what servers limit. */
export function publishedBytes({ headers, payload }: Publication): number {
  return Buffer.byteLength(headerBlock(headers)) + payload.length;
}

/** What stands before the payload, which is followed by a line end. */
export function publishCommand({ subject, headers, payload }: Publication, reply: string): string {
  const block = headerBlock(headers);
  if (block === '') return `PUB ${subject} ${reply} ${payload.length}${crlf}`;
  const blockBytes = Buffer.byteLength(block);
  return `HPUB ${subject} ${reply} ${blockBytes} ${blockBytes + payload.length}${crlf}${block}`;
}

function headerBlock(headers: Publication['headers']): string {
  if (headers.length === 0) return '';
  return `NATS/1.0${crlf}${headers.map(([name, value]) => `${name}: ${value}${crlf}`).join('')}${crlf}`;
}
