// What tests of HTTP sources and sinks share: a client that says exactly what it is told, byte by byte, and waiting for
// something that real sockets bring about.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawReply {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** Lets the event loop turn until the predicate holds. Real sockets bring it about, so there is no time to advance. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** A connection under the control of a test. */
export class RawClient {
  readonly socket: Socket;
  /** Resolves when the connection is gone, however it ended. */
  readonly closed: Promise<void>;
  /** Why the connection broke; undefined while it has not, and when it was closed in peace. */
  failure: Error | undefined;
  #received: Buffer = Buffer.alloc(0);
  #isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isClosed = true;
        resolve();
      });
    });
    // A reset is an end like any other, unless a test looks.
    socket.on('error', (error) => {
      this.failure ??= error;
    });
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
  }

  static async connect(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname.replace(/[[\]]/g, ''), port: Number(port) });
    const client = new RawClient(socket);
    await once(socket, 'connect');
    return client;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** What arrived and was not yet taken as a reply. */
  get received(): string {
    return this.#received.toString('latin1');
  }

  send(...parts: readonly (string | Uint8Array)[]): this {
    for (const part of parts) this.socket.write(part);
    return this;
  }

  /** The next reply, which says its length. */
  async reply(): Promise<RawReply> {
    const whole = (): RawReply | undefined => this.#takeReply();
    let reply = whole();
    while (reply === undefined) {
      if (this.#isClosed) throw new Error(`The connection was closed before a whole reply: ${this.received}`);
      await Promise.race([once(this.socket, 'data'), this.closed]);
      reply = whole();
    }
    return reply;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #takeReply(): RawReply | undefined {
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd === -1) return undefined;
    const [first = '', ...lines] = this.#received.subarray(0, headEnd).toString('latin1').split('\r\n');
    const headers = new Map(lines.map((line) => [headerName(line), line.slice(line.indexOf(':') + 1).trim()]));
    const end = headEnd + 4 + Number(headers.get('content-length') ?? 0);
    if (this.#received.length < end) return undefined;
    const body = this.#received.subarray(headEnd + 4, end);
    this.#received = this.#received.subarray(end);
    return { status: Number(first.split(' ')[1]), headers, body };
  }
}

function headerName(line: string): string {
  return line.slice(0, line.indexOf(':')).toLowerCase();
}

/** The head of a POST request, its empty line included. */
export function postHead(path: string, headers: Readonly<Record<string, string | number>>): string {
  const lines = Object.entries({ host: 'test', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** One POST on a connection of its own. */
export async function postOnce(
  url: string,
  path: string,
  headers: Readonly<Record<string, string | number>>,
  body: string | Uint8Array,
): Promise<RawReply> {
  const client = await RawClient.connect(url);
  try {
    client.send(postHead(path, { 'content-length': Buffer.byteLength(body), ...headers }), body);
    return await client.reply();
  } finally {
    client.destroy();
  }
}
