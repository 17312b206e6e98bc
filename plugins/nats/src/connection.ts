// One connection to a server, for one life: when it is lost it is never restored, another one is opened.
//
// It speaks the protocol itself. The usual client, @nats-io/transport-node 3.4.0, was looked at and left: a connect
// that it gives up leaves its socket open (a paused server gathers one for every try), it cannot be told to give up
// earlier, and on damaged bytes it prints to the console and goes on as if connected. What is needed of the protocol is
// little: publish with an answer awaited, and nothing else.
//
// An answer belongs to its question by the last part of the subject it comes to. A refusal that has no such subject, a
// permission for example, cannot be told to belong to one of several questions: the connection ends with it, and
// everybody who waits is told the reason.
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Deadline, Overdue, readTls, type TlsOptions, type World } from 'spillway/plugin';
import { CredentialsError, connectFields } from './credentials.ts';
import type { AuthOptions } from './options.ts';
import {
  type Publication,
  publishCommand,
  type ServerInfo,
  type ServerWord,
  type WireAnswer,
  WireReader,
} from './wire.ts';

/** The connection was lost, could not be made, or was given up. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** What the server gave as its reason, `-ERR`, before it hung up or because of which we did. */
export class ServerRefusal extends Error {
  override readonly name = 'ServerRefusal';
}

export interface ConnectOptions {
  readonly url: URL;
  readonly name: string;
  readonly auth: AuthOptions | undefined;
  readonly tls: TlsOptions | undefined;
  readonly inboxPrefix: string;
  readonly world: World;
}

export type OnAnswer = (answer: WireAnswer | Error) => void;

const defaultPort = 4222;

export class NatsConnection {
  readonly #options: ConnectOptions;
  readonly #inbox: string;
  readonly #reader = new WireReader();
  readonly #waiting = new Map<string, OnAnswer>();
  #socket: Socket | undefined;
  #info: ServerInfo | undefined;
  #onInfo: ((info: ServerInfo) => void) | undefined;
  #onPong: (() => void) | undefined;
  #onLost: ((cause: Error) => void) | undefined;
  #lostBy: Error | undefined;
  #questions = 0;
  #isCorked = false;

  private constructor(options: ConnectOptions) {
    this.#options = options;
    const unique = Buffer.from(options.world.random.bytes(16)).toString('hex');
    this.#inbox = `${options.inboxPrefix}.${unique}.`;
  }

  /** Connects and authenticates. Rejects with ConnectionLost, ServerRefusal, CredentialsError or Overdue. */
  static async open(options: ConnectOptions, deadline: Deadline): Promise<NatsConnection> {
    const connection = new NatsConnection(options);
    const lost = new Promise<never>((_, reject) => {
      connection.#onLost = reject;
    });
    lost.catch(() => undefined);
    try {
      await deadline.within(Promise.race([connection.#greet(), lost]), `connecting to ${connection.peer}`);
      return connection;
    } catch (error) {
      const cause = known(error) ? error : new ConnectionLost('connecting failed', { cause: error });
      connection.#lose(cause);
      throw cause;
    } finally {
      connection.#onLost = undefined;
    }
  }

  /** Host and port, and nothing secret. */
  get peer(): string {
    return this.#options.url.host;
  }

  get isOpen(): boolean {
    return this.#lostBy === undefined;
  }

  /** As the server said it when we connected. */
  get info(): ServerInfo {
    if (this.#info === undefined) throw new Error('a connection is used before it is open');
    return this.#info;
  }

  /** Sends a message. The answer is given to `onAnswer`, never at once; an error means that there will be none. */
  publish(publication: Publication, onAnswer: OnAnswer): void {
    const token = (this.#questions++).toString(36);
    this.#waiting.set(token, onAnswer);
    const lostBy = this.#lostBy;
    if (lostBy !== undefined) {
      this.#options.world.clock.defer(() => this.#answer(token, lostBy));
      return;
    }
    this.#cork();
    this.#socket?.write(publishCommand(publication, this.#inbox + token));
    this.#socket?.write(publication.payload);
    this.#socket?.write('\r\n');
  }

  /** Gives the connection up. Whoever waits for an answer is told that it is lost. */
  close(): void {
    this.#lose(new ConnectionLost('the connection was closed'));
  }

  async #greet(): Promise<void> {
    const { url, name, auth, tls, world } = this.#options;
    const offered = new Promise<ServerInfo>((resolve) => {
      this.#onInfo = resolve;
    });
    const raw = connectTcp({ host: hostOf(url), port: Number(url.port || defaultPort), noDelay: true });
    this.#listen(raw);
    const info = await offered;
    this.#info = info;
    const isTlsWanted = url.protocol === 'tls:' || tls !== undefined;
    if (isTlsWanted && info.tls === 'none') throw new ServerRefusal('TLS is asked for, and the server has none');
    if (isTlsWanted || info.tls === 'required') await this.#secure(raw);
    if (!info.hasHeaders) throw new ServerRefusal(`the server, ${info.version}, is too old: it knows no headers`);
    const fields = await connectFields(auth, url, info.nonce, world.files);
    const ready = new Promise<void>((resolve) => {
      this.#onPong = resolve;
    });
    const hello = {
      ...{ verbose: false, pedantic: false, tls_required: isTlsWanted, protocol: 1, echo: false },
      ...{ headers: true, no_responders: true, name, lang: 'spillway', version: '1', ...fields },
    };
    this.#socket?.write(`CONNECT ${JSON.stringify(hello)}\r\nSUB ${this.#inbox}* 1\r\nPING\r\n`);
    await ready;
  }

  /** The same connection under TLS. What the server may have said unprotected before is not believed. */
  async #secure(raw: Socket): Promise<void> {
    const { tls, url, world } = this.#options;
    const settings = tls === undefined ? {} : await readTls(tls, world.files).catch(unreadable);
    if (this.#lostBy !== undefined) throw this.#lostBy;
    if (this.#reader.heldBytes > 0) throw new ConnectionLost('the server spoke on before TLS began');
    raw.removeAllListeners('data');
    const host = hostOf(url);
    const secured = connectTls({ socket: raw, host, ...(isAddress(host) ? {} : { servername: host }), ...settings });
    const ready = new Promise<void>((resolve) => {
      secured.once('secureConnect', resolve);
    });
    this.#listen(secured);
    await ready;
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (cause) => this.#lose(new ConnectionLost('the connection was lost', { cause })));
    socket.on('close', () => this.#lose(new ConnectionLost('the connection was closed by the server')));
    // A connection lost meanwhile, such as by an abort, must not come alive behind our back.
    if (this.#lostBy !== undefined) socket.destroy();
  }

  #take(chunk: Buffer): void {
    try {
      for (const word of this.#reader.read(chunk)) {
        if (this.#lostBy !== undefined) return;
        this.#hear(word);
      }
    } catch (cause) {
      this.#lose(new ConnectionLost(`what came is damaged: ${(cause as Error).message}`));
    }
  }

  #hear(word: ServerWord): void {
    switch (word.kind) {
      case 'info':
        this.#onInfo?.(word.info);
        this.#onInfo = undefined;
        return;
      case 'ping':
        this.#socket?.write('PONG\r\n');
        return;
      case 'pong':
        this.#onPong?.();
        return;
      case 'ok':
        return;
      case 'error':
        this.#lose(new ServerRefusal(word.text));
        return;
      case 'message':
        if (word.subject.startsWith(this.#inbox)) this.#answer(word.subject.slice(this.#inbox.length), word.answer);
        return;
    }
  }

  #answer(token: string, answer: WireAnswer | Error): void {
    const onAnswer = this.#waiting.get(token);
    this.#waiting.delete(token);
    onAnswer?.(answer);
  }

  /** Ends it, for the first reason that comes. */
  #lose(cause: Error): void {
    if (this.#lostBy !== undefined) return;
    this.#lostBy = cause;
    this.#socket?.destroy();
    this.#onLost?.(cause);
    for (const token of [...this.#waiting.keys()]) this.#answer(token, cause);
  }

  /** Messages of the same moment go out together. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    const socket = this.#socket;
    socket?.cork();
    this.#options.world.clock.defer(() => {
      this.#isCorked = false;
      socket?.uncork();
    });
  }
}

function known(error: unknown): error is Error {
  const classes = [ConnectionLost, ServerRefusal, CredentialsError, Overdue];
  return classes.some((known) => error instanceof known);
}

function unreadable(cause: unknown): never {
  throw new CredentialsError(cause instanceof Error ? cause.message : String(cause));
}

/** Without the brackets of an IPv6 address. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function isAddress(host: string): boolean {
  return /^[\d.]+$|:/.test(host);
}
