// A Redis for tests: the few commands that the sink uses, in memory, over a real socket, and with faults where and when
// a test wants them. What it keeps outlives its connections. Transactions, WATCH and the rule that ids ascend are those
// of the real server, whose part the container test takes.
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { ServerDouble } from '../../../test/server-double.ts';
import { type Answer, keyOfCommand, ok, RedisData, type StoredEntry } from './redis-data.ts';
import { RequestReader } from './request-reader.ts';

/** What happens to a command. `lose`: executed, but the connection breaks before the answer. `hold`: see `release`. */
export type Fault = 'drop' | 'lose' | 'hang' | 'hold' | { readonly error: string };

interface Session {
  readonly socket: Socket;
  isAuthenticated: boolean;
  /** Commands between MULTI and EXEC; undefined outside. */
  queue: string[][] | undefined;
  isAborted: boolean;
  isHung: boolean;
  readonly watched: Map<string, number>;
}

export class RedisDouble extends ServerDouble {
  readonly #held: (() => void)[] = [];
  /** All commands that have arrived, in order. */
  readonly commands: string[][] = [];
  password: string | undefined;
  bulkBytesMax: number = 512 * 1024 * 1024;
  /** What it holds. A replica that is promoted has its own. */
  data: RedisData = new RedisData();
  /** Replicas that have confirmed everything, as WAIT says. */
  replicas: number = 0;
  /** What a node of a cluster says of its slots. */
  describeSlots: (question: readonly string[]) => Answer = () => ({
    error: 'ERR This instance has cluster support disabled',
  });
  /** The error for a key that lives elsewhere. */
  redirect: (key: string) => string | undefined = () => undefined;
  /** Asked for every command. */
  fault: (command: readonly string[]) => Fault | undefined = () => undefined;

  static async start({ tls }: { readonly tls?: TlsOptions } = {}): Promise<RedisDouble> {
    const server = tls === undefined ? createServer({ noDelay: true }) : createTlsServer({ ...tls, noDelay: true });
    return await new RedisDouble(server).listen();
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  entries(stream: string): readonly StoredEntry[] {
    return this.data.entries(stream);
  }

  hash(key: string): Readonly<Record<string, string>> | undefined {
    return this.data.hash(key);
  }

  list(key: string): readonly string[] {
    return this.data.list(key);
  }

  /** As if another client had sent it. */
  run(...command: string[]): Answer {
    return this.data.execute(command);
  }

  /** The next command of this name meets this fault, once. */
  failOnce(name: string, fault: Fault): void {
    let isDone = false;
    this.fault = ([found]) => {
      if (isDone || found !== name) return undefined;
      isDone = true;
      return fault;
    };
  }

  /** Executes what was held, whether or not anybody still waits for it. */
  release(): void {
    for (const execute of this.#held.splice(0)) execute();
  }

  protected override serve(socket: Socket): void {
    const session: Session = {
      socket,
      isAuthenticated: this.password === undefined,
      queue: undefined,
      isAborted: false,
      isHung: false,
      watched: new Map(),
    };
    const reader = new RequestReader();
    socket.on('data', (chunk: Buffer) => {
      for (const command of reader.read(chunk)) if (!socket.destroyed && !session.isHung) this.#take(session, command);
    });
  }

  #take(session: Session, command: string[]): void {
    this.commands.push(command);
    const fault = this.fault(command);
    const { socket } = session;
    if (fault === 'drop') socket.destroy();
    else if (fault === 'hang') session.isHung = true;
    else if (fault === 'hold') this.#held.push(() => this.#answer(session, command));
    else if (fault === 'lose') {
      this.#dispatch(session, command);
      socket.destroy();
    } else if (fault !== undefined) {
      if (session.queue !== undefined) session.isAborted = true;
      write(socket, { error: fault.error });
    } else this.#answer(session, command);
  }

  #answer(session: Session, command: string[]): void {
    const answer = this.#dispatch(session, command);
    if (!session.socket.destroyed) write(session.socket, answer);
  }

  #dispatch(session: Session, command: string[]): Answer {
    const [name = '', ...args] = command;
    if (name === 'AUTH') {
      session.isAuthenticated = args.at(-1) === this.password;
      return session.isAuthenticated ? ok : { error: 'WRONGPASS invalid username-password pair or user is disabled.' };
    }
    if (!session.isAuthenticated) return { error: 'NOAUTH Authentication required.' };
    if (name === 'MULTI') {
      session.queue = [];
      session.isAborted = false;
      return ok;
    }
    if (name === 'EXEC') return this.#exec(session);
    const moved = this.#redirection([command]);
    if (moved !== undefined) {
      session.isAborted = true;
      return moved;
    }
    if (session.queue !== undefined) {
      session.queue.push(command);
      return { status: 'QUEUED' };
    }
    if (name === 'WATCH') {
      for (const key of args) session.watched.set(key, this.data.version(key));
      return ok;
    }
    return this.#execute(command);
  }

  #exec(session: Session): Answer {
    const { queue } = session;
    if (queue === undefined) return { error: 'ERR EXEC without MULTI' };
    const isStale = [...session.watched].some(([key, version]) => this.data.version(key) !== version);
    session.queue = undefined;
    session.watched.clear();
    if (session.isAborted) return { error: 'EXECABORT Transaction discarded because of previous errors.' };
    const moved = this.#redirection(queue);
    if (moved !== undefined) return moved;
    return isStale ? null : queue.map((command) => this.data.execute(command));
  }

  #redirection(commands: readonly (readonly string[])[]): Answer | undefined {
    const keys = commands.map(keyOfCommand).filter((key) => key !== undefined);
    const error = keys.map((key) => this.redirect(key)).find((found) => found !== undefined);
    return error === undefined ? undefined : { error };
  }

  #execute(command: readonly string[]): Answer {
    const [name, ...args] = command;
    if (name === 'PING') return { status: 'PONG' };
    if (name === 'CONFIG') return ['proto-max-bulk-len', String(this.bulkBytesMax)];
    if (name === 'CLUSTER') return this.describeSlots(args);
    if (name === 'WAIT') return this.replicas;
    return this.data.execute(command);
  }
}

function write(socket: Socket, answer: Answer): void {
  socket.write(encode(answer));
}

function encode(answer: Answer): string {
  if (answer === null) return '$-1\r\n';
  if (typeof answer === 'number') return `:${answer}\r\n`;
  if (typeof answer === 'string') return `$${Buffer.byteLength(answer)}\r\n${answer}\r\n`;
  if ('error' in answer) return `-${answer.error}\r\n`;
  if ('status' in answer) return `+${answer.status}\r\n`;
  return `*${answer.length}\r\n${answer.map(encode).join('')}`;
}
