// A Redis for tests: the few commands that the sink uses, in memory, over a real socket, and with faults where and when
// a test wants them. What it keeps outlives its connections. Transactions, WATCH and the rule that ids ascend are those
// of the real server, whose part the container test takes.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { RequestReader } from './request-reader.ts';

export interface StoredEntry {
  readonly id: string;
  readonly fields: Readonly<Record<string, string>>;
}

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

interface Stream {
  readonly entries: StoredEntry[];
  lastId: string;
}

type Answer = string | number | null | readonly Answer[] | { readonly error: string } | { readonly status: string };

const ok: Answer = { status: 'OK' };

function isAbove(a: string, b: string): boolean {
  const [a1 = 0, a2 = 0] = a.split('-').map(Number);
  const [b1 = 0, b2 = 0] = b.split('-').map(Number);
  return a1 > b1 || (a1 === b1 && a2 > b2);
}

export class RedisDouble {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #streams = new Map<string, Stream>();
  readonly #hashes = new Map<string, Map<string, string>>();
  readonly #versions = new Map<string, number>();
  readonly #held: (() => void)[] = [];
  /** All commands that have arrived, in order. */
  readonly commands: string[][] = [];
  connections: number = 0;
  password: string | undefined;
  bulkBytesMax: number = 512 * 1024 * 1024;
  /** Asked for every command. */
  fault: (command: readonly string[]) => Fault | undefined = () => undefined;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#serve(socket));
  }

  static async start(): Promise<RedisDouble> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new RedisDouble(server);
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return `redis://127.0.0.1:${address.port}`;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  entries(stream: string): readonly StoredEntry[] {
    return this.#streams.get(stream)?.entries ?? [];
  }

  hash(key: string): Readonly<Record<string, string>> | undefined {
    const hash = this.#hashes.get(key);
    return hash === undefined ? undefined : Object.fromEntries(hash);
  }

  /** As if another client had sent it. */
  run(...command: string[]): Answer {
    return this.#execute(command);
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

  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.breakConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
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
    if (session.queue !== undefined) {
      session.queue.push(command);
      return { status: 'QUEUED' };
    }
    if (name === 'WATCH') {
      for (const key of args) session.watched.set(key, this.#versions.get(key) ?? 0);
      return ok;
    }
    return this.#execute(command);
  }

  #exec(session: Session): Answer {
    const queue = session.queue ?? [];
    const isStale = [...session.watched].some(([key, version]) => (this.#versions.get(key) ?? 0) !== version);
    session.queue = undefined;
    session.watched.clear();
    if (session.isAborted) return { error: 'EXECABORT Transaction discarded because of previous errors.' };
    return isStale ? null : queue.map((command) => this.#execute(command));
  }

  #execute(command: readonly string[]): Answer {
    const [name, key = '', ...args] = command;
    switch (name) {
      case 'PING':
        return { status: 'PONG' };
      case 'CONFIG':
        return ['proto-max-bulk-len', String(this.bulkBytesMax)];
      case 'XADD':
        return this.#add(key, args);
      case 'XTRIM': {
        const entries = this.#streams.get(key)?.entries ?? [];
        return entries.splice(0, Math.max(0, entries.length - Number(args.at(-1)))).length;
      }
      case 'XINFO':
        return this.#info(args[0] ?? '');
      case 'HSET':
        return this.#set(key, args);
      case 'HMGET':
        return args.map((field) => this.#hashes.get(key)?.get(field) ?? null);
      case 'DEL':
        for (const gone of [key, ...args]) {
          this.#streams.delete(gone);
          this.#hashes.delete(gone);
          this.#touch(gone);
        }
        return 1;
      default:
        return { error: `ERR unknown command '${name}'` };
    }
  }

  #add(key: string, [given = '', ...fields]: readonly string[]): Answer {
    if (this.#hashes.has(key)) return { error: 'WRONGTYPE Operation against a key holding the wrong kind of value' };
    const stream = this.#streams.get(key) ?? { entries: [], lastId: '0-0' };
    const id = given === '*' ? `1700000000000-${stream.entries.length}` : given;
    if (!isAbove(id, stream.lastId)) {
      return { error: 'ERR The ID specified in XADD is equal or smaller than the target stream top item' };
    }
    const pairs = fields.flatMap((field, index) => (index % 2 === 0 ? [[field, fields[index + 1] ?? '']] : []));
    stream.entries.push({ id, fields: Object.fromEntries(pairs) });
    stream.lastId = id;
    this.#streams.set(key, stream);
    this.#touch(key);
    return id;
  }

  #info(key: string): Answer {
    const stream = this.#streams.get(key);
    if (stream === undefined) return { error: 'ERR no such key' };
    return ['length', stream.entries.length, 'last-generated-id', stream.lastId];
  }

  #set(key: string, fields: readonly string[]): Answer {
    const hash = this.#hashes.get(key) ?? new Map<string, string>();
    fields.forEach((field, index) => {
      if (index % 2 === 0) hash.set(field, fields[index + 1] ?? '');
    });
    this.#hashes.set(key, hash);
    this.#touch(key);
    return fields.length / 2;
  }

  #touch(key: string): void {
    this.#versions.set(key, (this.#versions.get(key) ?? 0) + 1);
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
