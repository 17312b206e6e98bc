// One connection to a server, for one life: when it is lost it is never restored, another one is opened. The client's
// queue for times without a connection and its own reconnecting are off, so nothing is ever sent twice or late.
//
// An answer belongs to what was sent on the same connection, in the same order. When one does not come in time the
// connection is therefore given up: an answer that came later would be taken for that of another command.
import { createClient, ErrorReply } from '@redis/client';
import type { Clock } from 'spillway/plugin';
import { ConnectionLost } from './failure.ts';

export type Command = readonly (string | Buffer)[];
/** What the server said: text, a number, nothing, a list of these, or an error. */
export type Reply = string | number | null | ErrorReply | readonly Reply[];

export interface Server {
  readonly url: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** How long to wait, whatever the number of questions. */
export interface Patience {
  /** On the clock's monotonic time. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

type Client = ReturnType<typeof createUnconnected>;

// No annotation can name what the client's generics make of these options.
function createUnconnected({ url, username, password }: Server, connectTimeoutMs: number) {
  return createClient({
    url,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    socket: { reconnectStrategy: false, connectTimeout: connectTimeoutMs },
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    RESP: 2,
  });
}

export class RedisConnection {
  readonly #client: Client;
  readonly #clock: Clock;
  #isOpen = true;

  private constructor(client: Client, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Connects and authenticates. Rejects with ConnectionLost or the server's ErrorReply. */
  static async open(server: Server, clock: Clock, patience: Patience): Promise<RedisConnection> {
    const client = createUnconnected(server, Math.max(1, Math.ceil(patience.deadlineMs - clock.monotonic())));
    const connection = new RedisConnection(client, clock);
    // The client tells those who wait for an answer, right after this; without a listener it would throw. Closing gives
    // back what it holds beside the socket, and must come after they were told.
    client.on('error', () => {
      connection.#isOpen = false;
      clock.defer(() => connection.close());
    });
    const connected = client.connect();
    // A socket that is connected only after it was given up must not stay behind.
    const settled = connected.finally(() => connection.#isOpen || client.destroy());
    await connection.#within(settled, patience, 'connecting');
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
  async send(commands: readonly Command[], patience: Patience): Promise<readonly Reply[]> {
    if (!this.#isOpen) throw new ConnectionLost('the connection is closed');
    const sent = commands.map((command) => this.#client.sendCommand<Reply>(command).catch(errorReply));
    return await this.#within(Promise.all(sent), patience, `waiting for ${commands[0]?.[0]}`);
  }

  /** Gives the connection up. Whoever waits for an answer is told that it is lost. */
  close(): void {
    this.#isOpen = false;
    this.#client.destroy();
  }

  async #within<Value>(work: Promise<Value>, { deadlineMs, signal }: Patience, what: string): Promise<Value> {
    let giveUp: (reason: Error) => void = () => undefined;
    const givenUp = new Promise<never>((_, reject) => {
      giveUp = reject;
    });
    const onAbort = (): void => giveUp(new ConnectionLost(`given up while ${what}`));
    const timeoutMs = Math.max(0, deadlineMs - this.#clock.monotonic());
    const late = new ConnectionLost(`no answer in time while ${what}`);
    const timer = this.#clock.setTimer(timeoutMs, () => giveUp(late));
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([work, givenUp]);
    } catch (error) {
      this.close();
      // What the server refused is its answer; everything else means that there is none.
      if (error instanceof ErrorReply || error instanceof ConnectionLost) throw error;
      throw new ConnectionLost(`connection lost while ${what}: ${describe(error)}`, { cause: error });
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
    }
  }
}

function errorReply(error: unknown): ErrorReply {
  if (error instanceof ErrorReply && !error.message.includes('Protocol error')) return error;
  throw error;
}

/** Without the url: it may hold a password. An AggregateError, of several addresses, has no message of its own. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ');
  return error instanceof Error ? error.message : String(error);
}
