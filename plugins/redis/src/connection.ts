// One connection to a server, for one life: when it is lost it is never restored, another one is opened. The client's
// queue for times without a connection and its own reconnecting are off, so nothing is ever sent twice or late.
//
// An answer belongs to what was sent on the same connection, in the same order. When one does not come in time the
// connection is therefore given up: an answer that came later would be taken for that of another command.
import { ErrorReply, RedisClient } from '@redis/client';
import { type Deadline, Overdue, readTls, type TlsSettings, type World } from 'spillway/plugin';
import { ConnectionLost, connecting, lossOf } from './failure.ts';
import { addressText, type Server } from './server.ts';

export type Command = readonly (string | Buffer)[];
/** What the server said: text, a number, nothing, a list of these, or an error. */
export type Reply = string | number | null | ErrorReply | readonly Reply[];

type Client = ReturnType<typeof createUnconnected>;

// The bare class: it sends what it is told. The usual `createClient` makes a class with all commands of Redis for every
// new set of options, which takes megabytes and a tenth of a second, and here each connection has options of its own.
// No annotation can name what its generics make of these.
//
// The client would give each command five seconds to be written, whatever the deadline of the batch, and make a timer
// for each: that alone is two fifths of what a batch costs.
function createUnconnected(server: Server, tls: TlsSettings | undefined, connectTimeout: number) {
  const { address, database, username, password } = server;
  const once = { reconnectStrategy: false, connectTimeout } as const;
  return new RedisClient({
    socket:
      tls === undefined || 'path' in address ? { ...address, ...once } : { ...address, ...tls, ...once, tls: true },
    ...(database === 0 ? {} : { database }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    disableOfflineQueue: true,
    commandOptions: { timeout: 0 },
    disableClientInfo: true,
    maintNotifications: 'disabled',
    RESP: 2,
  });
}

export class RedisConnection {
  /** For reasons: where it leads. */
  readonly peer: string;
  readonly #client: Client;
  #isOpen = true;
  #argumentBytesMax: number | undefined;
  #hasTransactions = false;

  private constructor(client: Client, peer: string) {
    this.#client = client;
    this.peer = peer;
  }

  /** Connects and authenticates. Rejects with ConnectionLost or the server's ErrorReply. */
  static async open(server: Server, { clock, files }: World, deadline: Deadline): Promise<RedisConnection> {
    const peer = addressText(server.address);
    const tls = server.tls && (await deadline.within(readTls(server.tls, files), 'reading').catch(unreadable));
    const client = createUnconnected(server, tls, Math.max(1, Math.ceil(deadline.leftMs)));
    const connection = new RedisConnection(client, peer);
    // The client tells those who wait for an answer, right after this; without a listener it would throw. Closing gives
    // back what it holds beside the socket, and must come after they were told.
    client.on('error', () => {
      connection.#isOpen = false;
      clock.defer(() => connection.close());
    });
    const connected = client.connect();
    // A socket that is connected only after it was given up must not stay behind.
    const settled = connected.finally(() => connection.#isOpen || client.destroy());
    await connection.#within(settled, deadline, connecting);
    return connection;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Sends commands in one go. Resolves with a reply to each, errors among them, or rejects with ConnectionLost: then
   * nobody knows which of them were executed. A server that cannot read a command says so and hangs up; then it rejects
   * with that ErrorReply.
   */
  async send(commands: readonly Command[], deadline: Deadline): Promise<readonly Reply[]> {
    if (!this.#isOpen) throw new ConnectionLost('the connection is closed');
    const sent = commands.map((command) => this.#client.sendCommand<Reply>(command).catch(errorReply));
    return await this.#within(Promise.all(sent), deadline, `waiting for ${commands[0]?.[0]}`);
  }

  /** The longest argument that the server takes. Unlimited where it does not tell: most users may not ask. */
  async argumentBytesMax(deadline: Deadline): Promise<number> {
    if (this.#argumentBytesMax === undefined) {
      const [reply] = await this.send([['CONFIG', 'GET', 'proto-max-bulk-len']], deadline);
      const limit = Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
      this.#argumentBytesMax = limit > 0 ? limit : Number.POSITIVE_INFINITY;
    }
    return this.#argumentBytesMax;
  }

  /**
   * Rejects with the server's ErrorReply where transactions are not permitted. If MULTI alone were refused, what
   * follows it would be executed one by one, and again each time that it comes again.
   */
  async proveTransactions(deadline: Deadline): Promise<void> {
    if (this.#hasTransactions) return;
    const failed = (await this.send([['MULTI'], ['EXEC']], deadline)).find((reply) => reply instanceof ErrorReply);
    if (failed !== undefined) throw failed;
    this.#hasTransactions = true;
  }

  /** Gives the connection up. Whoever waits for an answer is told that it is lost. */
  close(): void {
    this.#isOpen = false;
    this.#client.destroy();
  }

  async #within<Value>(work: Promise<Value>, deadline: Deadline, doing: string): Promise<Value> {
    try {
      return await deadline.within(work, doing);
    } catch (error) {
      this.close();
      // What the server refused is its answer; everything else means that there is none.
      throw error instanceof ErrorReply ? error : lossOf(error, this.peer, doing);
    }
  }
}

function errorReply(error: unknown): ErrorReply {
  if (error instanceof ErrorReply && !error.message.includes('Protocol error')) return error;
  throw error;
}

/** Somebody has to put the file there; the next connection reads it again. */
function unreadable(cause: unknown): never {
  if (cause instanceof Overdue) throw new ConnectionLost(cause.message);
  throw new ConnectionLost(cause instanceof Error ? cause.message : String(cause), { cause, kind: 'blocked' });
}
