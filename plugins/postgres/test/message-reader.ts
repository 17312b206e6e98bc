// The server's side of the protocol: messages of a client, cut anywhere by the network. The first ones of a connection
// have no letter; they get one here: `!` asks for TLS, `^` cancels a statement, `=` is the startup message.

export interface ClientMessage {
  readonly letter: string;
  readonly body: Buffer;
}

const lettersOfCode: Readonly<Record<number, string>> = { 80877103: '!', 80877102: '^' };

export class MessageReader {
  #chunks: Buffer[] = [];
  #byteLength = 0;
  /** Fewer bytes than these are no message. */
  #needed = 4;
  #isStarted = false;

  /** Messages that are complete with this chunk. */
  *read(chunk: Buffer): Generator<ClientMessage> {
    this.#chunks.push(chunk);
    this.#byteLength += chunk.length;
    while (this.#byteLength >= this.#needed) {
      const bytes = Buffer.concat(this.#chunks);
      this.#chunks = [bytes];
      const lengthAt = this.#isStarted ? 1 : 0;
      this.#needed = lengthAt + 4;
      if (bytes.length < this.#needed) return;
      const end = lengthAt + bytes.readInt32BE(lengthAt);
      if (bytes.length < end) {
        this.#needed = end;
        return;
      }
      const body = bytes.subarray(lengthAt + 4, end);
      const letter = this.#isStarted ? bytes.toString('latin1', 0, 1) : this.#first(body);
      this.#chunks = [bytes.subarray(end)];
      this.#byteLength -= end;
      this.#needed = 5;
      yield { letter, body };
    }
  }

  #first(body: Buffer): string {
    const letter = lettersOfCode[body.readInt32BE(0)] ?? '=';
    this.#isStarted = letter === '=';
    return letter;
  }
}

/** The text up to the zero byte at or after `from`, and where the next one begins. */
export function textAt(bytes: Buffer, from: number): { readonly text: string; readonly end: number } {
  const zero = bytes.indexOf(0, from);
  return { text: bytes.toString('utf8', from, zero), end: zero + 1 };
}

/** The parameters of a Bind message. */
export function parametersOf(body: Buffer): (Buffer | undefined)[] {
  const statementAt = textAt(body, 0).end;
  let at = textAt(body, statementAt).end;
  at += 2 + body.readInt16BE(at) * 2;
  const count = body.readInt16BE(at);
  at += 2;
  return Array.from({ length: count }, () => {
    const byteLength = body.readInt32BE(at);
    at += 4;
    if (byteLength < 0) return undefined;
    at += byteLength;
    return body.subarray(at - byteLength, at);
  });
}

/** The elements of an array of texts in binary form. */
export function textsOf(array: Buffer): (string | null)[] {
  let at = 20;
  return Array.from({ length: array.readInt32BE(12) }, () => {
    const byteLength = array.readInt32BE(at);
    at += 4 + Math.max(0, byteLength);
    return byteLength < 0 ? null : array.toString('utf8', at - byteLength, at);
  });
}
