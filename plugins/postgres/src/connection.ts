// One connection to a server, for one life: when it is lost it is never restored, another one is opened.
//
// The client is made to do as it is told. The socket and TLS are ours (server-socket.ts), so that both obey a deadline;
// it has one statement at a time, so that its queue is always empty; no time-out of its own runs; and nothing is left
// for it to look up in the environment or in ~/.pgpass.
//
// - A statement counts as done at ReadyForQuery. CommandComplete comes before the commit, which can still fail.
// - After an error the server says when it is ready again; until then nothing is sent.
// - A statement whose answer does not come in time is cancelled, as far as that is possible, and the connection given
//   up. Without that the server would go on with it, and each repetition would queue behind it for the same lock.
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Client, DatabaseError } from 'pg';
import { type Clock, type Deadline, networkFailure, Overdue } from 'spillway/plugin';
import type { CancelRequests } from './cancel-request.ts';
import { ConnectionLost, isUsableAfter, NeedsSomebody, ServerError } from './failure.ts';
import { GuardedStream } from './guarded-stream.ts';
import { ServerSocket } from './server-socket.ts';
import type { Target } from './target.ts';

export interface Statement {
  readonly text: string;
  /** A Buffer is sent in binary form, a string as text. */
  readonly values?: readonly (Buffer | string)[];
}

export interface Outcome {
  readonly rows: readonly (readonly (string | null)[])[];
  /** Rows that were inserted, or read. */
  readonly count: number;
  /** Committed here, but somebody ended the wait for a standby that should have it, too. */
  readonly isUnreplicated: boolean;
}

interface ConnectionOptions {
  readonly target: Target;
  readonly clock: Clock;
  readonly cancels: CancelRequests;
}

/** What the client has and its types do not say. */
interface ClientInside {
  readonly processID: number | null;
  readonly secretKey: number | null;
  readonly connectionParameters: { options: string | undefined; replication: string | undefined };
}

const terminate = Buffer.from([0x58, 0, 0, 0, 4]);
/** A message can quote the value that was refused, however long that is. */
const messageLengthMax = 500;
/** What is shorter stands in many a message by chance. */
const secretLengthMin = 4;

export class PostgresConnection {
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #target: Target;
  readonly #cancels: CancelRequests;
  #isOpen = true;
  #isUnreplicated = false;
  /** Called when the server is ready for the next statement. */
  #onReady: () => void = () => undefined;

  private constructor(socket: Socket, { target, clock, cancels }: ConnectionOptions) {
    this.#socket = socket;
    this.#target = target;
    this.#cancels = cancels;
    this.#client = clientOn(new GuardedStream(socket, clock), target);
    this.#client.on('error', () => this.#giveUp());
    this.#client.on('drain', () => this.#onReady());
    this.#client.on('notice', ({ routine }) => {
      this.#isUnreplicated ||= routine === 'SyncRepWaitForLSN';
    });
    socket.once('close', () => {
      this.#isOpen = false;
      this.#onReady();
    });
  }

  /** Connects and authenticates. Rejects with what failure.ts knows. */
  static async open(options: ConnectionOptions, deadline: Deadline): Promise<PostgresConnection> {
    const { target } = options;
    const tls = await deadline.within(target.readTls(), 'reading certificates').catch((error: unknown) => {
      throw error instanceof Overdue ? error : new NeedsSomebody(describe(error));
    });
    const connecting = new ServerSocket(target.endpoint, tls);
    try {
      const socket = await deadline.within(connecting.connected, 'connecting');
      const connection = new PostgresConnection(socket, options);
      await connection.#logIn(deadline);
      return connection;
    } catch (error) {
      connecting.destroy();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Runs one statement, which is a transaction of its own. One at a time. */
  async run({ text, values = [] }: Statement, deadline: Deadline, doing: string): Promise<Outcome> {
    if (!this.#isOpen) throw new ConnectionLost('the connection is closed');
    this.#isUnreplicated = false;
    const ready = new Promise<void>((resolve) => {
      this.#onReady = resolve;
    });
    try {
      const work = this.#client.query<(string | null)[]>({ text, values: [...values], rowMode: 'array' });
      const { rows, rowCount } = await deadline.within(work, doing);
      return { rows, count: rowCount ?? 0, isUnreplicated: this.#isUnreplicated };
    } catch (error) {
      const failure = this.#failureOf(error, doing);
      if (failure instanceof Overdue) this.#cancel();
      else if (isUsableAfter(failure)) await deadline.within(ready, doing).catch(() => this.#giveUp());
      else this.#giveUp();
      throw failure;
    }
  }

  /** Says good-bye and hangs up. */
  async close(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise<void>((resolve) => {
      this.#socket.once('close', () => resolve());
    });
    this.#isOpen = false;
    if (this.#socket.writable) this.#socket.write(terminate);
    this.#socket.destroy();
    await closed;
  }

  async #logIn(deadline: Deadline): Promise<void> {
    try {
      await deadline.within(this.#client.connect(), 'logging in');
    } catch (error) {
      throw this.#failureOf(error, 'logging in');
    }
  }

  #giveUp(): void {
    this.#isOpen = false;
    this.#socket.destroy();
  }

  #cancel(): void {
    this.#isOpen = false;
    const { processID: processId, secretKey: secret } = insideOf(this.#client);
    if (processId === null || secret === null) this.#giveUp();
    else this.#cancels.send({ processId, secret }, () => this.#giveUp());
  }

  #failureOf(error: unknown, doing: string): unknown {
    if (error instanceof Overdue || error instanceof NeedsSomebody) return error;
    const message = this.#clean(describe(error));
    if (error instanceof DatabaseError && error.code !== undefined) return new ServerError(error.code, message);
    // What the client says of a server that does not know the password either, or asks in a way it does not know.
    if (message.startsWith('SASL')) return new NeedsSomebody(message);
    if (networkFailure(error, '') !== undefined) return error;
    return new ConnectionLost(`connection lost while ${doing}: ${message}`, { cause: error });
  }

  /** No longer than anybody reads, and without the password, should a server repeat it. */
  #clean(message: string): string {
    const { password } = this.#target;
    const isLong = password !== undefined && password.length >= secretLengthMin;
    const shown = isLong ? message.replaceAll(password, '***') : message;
    return shown.length <= messageLengthMax ? shown : `${shown.slice(0, messageLengthMax)}...`;
  }
}

function clientOn(stream: GuardedStream, { endpoint, user, password, database, applicationName }: Target): Client {
  const client = new Client({
    stream: () => stream as unknown as Duplex,
    host: endpoint.host,
    port: endpoint.port,
    user,
    database,
    // A function, or a missing password would be looked for elsewhere.
    password: () => {
      if (password !== undefined) return password;
      throw new NeedsSomebody('the server asks for a password, and there is none in the config');
    },
    application_name: applicationName,
    ssl: false,
    sslnegotiation: 'postgres',
    types: { getTypeParser: () => (text: string) => text },
  });
  Object.assign(insideOf(client).connectionParameters, { options: undefined, replication: undefined });
  return client;
}

function insideOf(client: Client): ClientInside {
  return client as unknown as ClientInside;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
