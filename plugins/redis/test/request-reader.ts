// The server's side of the protocol: arrays of bulk strings, cut anywhere by the network.

export class RequestReader {
  #bytes: Buffer = Buffer.alloc(0);

  /** Commands that are complete with this chunk. Binary arguments are read as latin1, a character per byte. */
  *read(chunk: Buffer): Generator<string[]> {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      const found = parseCommand(this.#bytes);
      if (found === undefined) return;
      this.#bytes = this.#bytes.subarray(found.end);
      yield found.command;
    }
  }
}

function parseCommand(bytes: Buffer): { readonly command: string[]; readonly end: number } | undefined {
  const count = parseLength(bytes, 0);
  if (count === undefined) return undefined;
  const command: string[] = [];
  let at = count.end;
  for (let index = 0; index < count.value; index += 1) {
    const length = parseLength(bytes, at);
    if (length === undefined || bytes.length < length.end + length.value + 2) return undefined;
    command.push(bytes.toString('latin1', length.end, length.end + length.value));
    at = length.end + length.value + 2;
  }
  return { command, end: at };
}

/** `*3\r\n` or `$5\r\n`. */
function parseLength(bytes: Buffer, from: number): { readonly value: number; readonly end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', from);
  if (lineEnd < 0) return undefined;
  return { value: Number(bytes.toString('latin1', from + 1, lineEnd)), end: lineEnd + 2 };
}
