// A PostgreSQL for tests: the protocol over a real socket, tables in memory, and faults where and when a test wants
// them. It knows the statements of this sink by what they begin with, and nothing else of SQL. What it keeps outlives
// its connections. Types, constraints and locks are those of the real server, whose part the container test takes.
import { createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { ServerDouble } from '../../../test/server-double.ts';
import { type ClientMessage, MessageReader, parametersOf, textAt, textsOf } from './message-reader.ts';

export type Row = Readonly<Record<string, string | null>>;

export interface DoubleTable {
  readonly kind: string;
  readonly columns: readonly ({ readonly name: string } & Readonly<Record<string, unknown>>)[];
  readonly uniqueIndexes: readonly (readonly string[])[];
  readonly rows: Row[];
}

/** What a statement does, by its text; `startup` stands for logging in. */
export type StatementKind = 'startup' | 'inspect' | 'insert' | 'mark' | 'create';

export interface ErrorFields {
  readonly state: string;
  readonly message?: string;
}

/**
 * What happens to a statement. `lose`: executed, but the connection breaks before the answer. `late`: an error after
 * CommandComplete, as when the commit fails; nothing is kept.
 */
export type Fault =
  | 'drop'
  | 'lose'
  | 'hang'
  | { readonly error: ErrorFields }
  | { readonly late: ErrorFields }
  | { readonly notice: Readonly<Record<string, string>> }
  | { readonly raw: Buffer };

interface Session {
  readonly id: number;
  socket: Socket;
  reader: MessageReader;
  text: string;
  parameters: readonly (Buffer | undefined)[];
}

export class PostgresDouble extends ServerDouble {
  /** Ids of connections that are there. */
  readonly #open = new Set<number>();
  readonly tables: Map<string, DoubleTable> = new Map();
  /** Texts of all statements, in order. */
  readonly statements: string[] = [];
  /** Rows of all inserts, in order, whatever became of them. */
  readonly insertedRows: number[] = [];
  /** Ids of connections whose statement somebody wanted to be cancelled. */
  readonly cancelled: number[] = [];
  readonly startups: Readonly<Record<string, string>>[] = [];
  password: string | undefined;
  /** With them it offers TLS. */
  tls: { readonly key: string; readonly cert: string } | undefined;
  /** What it answers instead of yes or no to the wish for TLS. */
  tlsAnswer: Buffer | undefined;
  /** Asked for every statement with the rows that it inserts, and for logging in. */
  fault: (kind: StatementKind, text: string, rows: number) => Fault | undefined = () => undefined;

  static async start(): Promise<PostgresDouble> {
    return await new PostgresDouble(createServer({ noDelay: true })).listen();
  }

  get endpoint(): string {
    return `postgres://writer@127.0.0.1:${this.port}/telemetry`;
  }

  rows(table: string): readonly Row[] {
    return this.tables.get(table)?.rows ?? [];
  }

  /** Makes a table as `create_table` would. */
  createTable(name: string, columns: Readonly<Record<string, string>>, ...uniqueIndexes: readonly string[][]): void {
    const facts = Object.entries(columns).map(([column, type]) => ({
      name: column,
      type,
      isNotNull: uniqueIndexes.flat().includes(column),
      hasDefault: false,
      mayInsert: true,
      maySelect: true,
    }));
    this.tables.set(name, { kind: 'r', columns: facts, uniqueIndexes, rows: [] });
  }

  /** The next statement of this kind meets this fault, once. */
  failOnce(kind: StatementKind, fault: Fault): void {
    let isDone = false;
    this.fault = (found) => {
      if (isDone || found !== kind) return undefined;
      isDone = true;
      return fault;
    };
  }

  protected override serve(socket: Socket): void {
    const id = this.connections;
    this.#open.add(id);
    socket.on('close', () => this.#open.delete(id));
    const session = { id, socket, reader: new MessageReader(), text: '', parameters: [] };
    this.#listen(session);
  }

  #listen(session: Session): void {
    const { socket } = session;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      for (const message of session.reader.read(chunk)) if (!socket.destroyed) this.#take(session, message);
    });
  }

  #take(session: Session, { letter, body }: ClientMessage): void {
    switch (letter) {
      case '!':
        this.#secure(session);
        break;
      case '^':
        // As poolers do, for whom a connection that is gone has no statement.
        if (this.#open.has(body.readInt32BE(4))) this.cancelled.push(body.readInt32BE(4));
        session.socket.destroy();
        break;
      case '=':
        this.#start(session, body);
        break;
      case 'p':
        this.#logIn(session, textAt(body, 0).text);
        break;
      case 'P':
        session.text = textAt(body, textAt(body, 0).end).text;
        break;
      case 'B':
        session.parameters = parametersOf(body);
        break;
      case 'Q':
        session.text = textAt(body, 0).text;
        session.parameters = [];
        this.#execute(session);
        break;
      case 'S':
        this.#execute(session);
        break;
      case 'X':
        session.socket.destroy();
        break;
      default: // Describe and Execute: everything is done at Sync.
    }
  }

  #secure(session: Session): void {
    if (this.tls === undefined || this.tlsAnswer !== undefined) {
      session.socket.write(this.tlsAnswer ?? 'N');
      return;
    }
    const plain = session.socket;
    plain.write('S');
    plain.removeAllListeners('data');
    session.socket = new TLSSocket(plain, { isServer: true, secureContext: createSecureContext(this.tls) });
    this.#listen(session);
  }

  #start(session: Session, body: Buffer): void {
    const words = body.toString('utf8', 4).split('\0');
    const pairs = words.flatMap((word, at) => (at % 2 === 0 && word !== '' ? [[word, words[at + 1] ?? '']] : []));
    this.startups.push(Object.fromEntries(pairs));
    if (this.password !== undefined) session.socket.write(message('R', int32(3)));
    else this.#logIn(session, undefined);
  }

  #logIn({ id, socket }: Session, password: string | undefined): void {
    const fault = this.fault('startup', '', 0);
    if (fault === 'drop' || fault === 'lose') socket.destroy();
    else if (fault === 'hang') return;
    else if (fault !== undefined && 'error' in fault) socket.end(errorMessage(fault.error, 'FATAL'));
    else if (fault !== undefined && 'raw' in fault) socket.write(fault.raw);
    else if (password !== this.password) {
      socket.end(
        errorMessage({ state: '28P01', message: 'password authentication failed for user "writer"' }, 'FATAL'),
      );
    } else socket.write(Buffer.concat([message('R', int32(0)), message('K', int32(id), int32(4711)), ready]));
  }

  #execute({ text, parameters, socket }: Session): void {
    this.statements.push(text);
    const kind = kindOf(text);
    const [first] = kind === 'insert' ? parameters : [];
    const rows = first === undefined ? 0 : textsOf(first).length;
    if (kind === 'insert') this.insertedRows.push(rows);
    const fault = this.fault(kind, text, rows);
    if (fault === 'drop') socket.destroy();
    else if (fault === 'lose') {
      this.#answerTo(kind, text, parameters);
      socket.destroy();
    } else if (fault === 'hang') return;
    else if (fault === undefined) socket.write(Buffer.concat([...this.#answerTo(kind, text, parameters), ready]));
    else if ('error' in fault) socket.write(Buffer.concat([errorMessage(fault.error), ready]));
    else if ('raw' in fault) socket.write(fault.raw);
    else if ('late' in fault) {
      socket.write(Buffer.concat([message('C', cstring('INSERT 0 1')), errorMessage(fault.late), ready]));
    } else {
      const answers = this.#answerTo(kind, text, parameters);
      const noticed = message('N', fieldsOf({ S: 'WARNING', C: '01000', ...fault.notice }));
      socket.write(Buffer.concat([...answers, noticed, ready]));
    }
  }

  #answerTo(kind: StatementKind, text: string, parameters: readonly (Buffer | undefined)[]): readonly Buffer[] {
    switch (kind) {
      case 'inspect':
        return this.#inspect(parameters[0]?.toString() ?? '');
      case 'insert':
        return [
          this.#insert(
            text,
            parameters.flatMap((parameter) => parameter ?? []),
          ),
        ];
      case 'create':
        return [this.#create(text)];
      default:
        return [message('C', cstring('SELECT 1'))];
    }
  }

  #inspect(name: string): readonly Buffer[] {
    const table = this.tables.get(name.replaceAll('"', ''));
    const fields = [table?.kind, table && JSON.stringify(table.columns), table && JSON.stringify(table.uniqueIndexes)];
    const values = fields.map((field) => (field === undefined ? int32(-1) : sized(Buffer.from(field))));
    const described = fields.map(() =>
      Buffer.concat([cstring(''), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)]),
    );
    return [
      message('T', int16(fields.length), ...described),
      message('D', int16(fields.length), ...values),
      message('C', cstring('SELECT 1')),
    ];
  }

  #create(text: string): Buffer {
    const [, name = '', inner = ''] = /^CREATE TABLE IF NOT EXISTS (.+?) \((.*), PRIMARY KEY/.exec(text) ?? [];
    if (name === '') return message('C', cstring('CREATE SCHEMA'));
    const columns = inner.split(', ').map((line) => [...line.matchAll(/^"(.*)" (.*)$/g)][0]?.slice(1) ?? []);
    const [, key = ''] = /PRIMARY KEY \((.*)\)\)$/.exec(text) ?? [];
    this.createTable(name.replaceAll('"', ''), Object.fromEntries(columns), namesIn(key));
    return message('C', cstring('CREATE TABLE'));
  }

  #insert(text: string, parameters: readonly Buffer[]): Buffer {
    const [, name = '', columns = '', target = ''] =
      /INSERT INTO (.+?) \((.*?)\) SELECT .* ON CONFLICT \((.*)\) DO NOTHING$/.exec(text) ?? [];
    const table = this.tables.get(name.replaceAll('"', ''));
    if (table === undefined) return errorMessage({ state: '42P01', message: `relation ${name} does not exist` });
    const lists = parameters.map(textsOf);
    const key = namesIn(target);
    const nameOf = (row: Row): string => JSON.stringify(key.map((column) => row[column]));
    const known = new Set(table.rows.map(nameOf));
    const found = (lists[0] ?? []).map((_, at) =>
      Object.fromEntries(namesIn(columns).map((column, place) => [column, lists[place]?.[at] ?? null])),
    );
    const added = found.filter((row) => !known.has(nameOf(row)));
    table.rows.push(...added);
    return message('C', cstring(`INSERT 0 ${added.length}`));
  }
}

function kindOf(text: string): StatementKind {
  if (text.includes('INSERT INTO')) return 'insert';
  if (text.includes('to_regclass')) return 'inspect';
  return text.startsWith('CREATE') ? 'create' : 'mark';
}

function namesIn(list: string): string[] {
  return list.split(', ').map((name) => name.replaceAll('"', ''));
}

export function message(letter: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(letter, 'latin1'), int32(body.length + 4), body]);
}

const ready = message('Z', Buffer.from('I'));

function errorMessage({ state, message: text = 'no' }: ErrorFields, severity: string = 'ERROR'): Buffer {
  return message('E', fieldsOf({ S: severity, V: severity, C: state, M: text }));
}

function fieldsOf(fields: Readonly<Record<string, string>>): Buffer {
  const all = Object.entries(fields).map(([letter, text]) => Buffer.concat([Buffer.from(letter), cstring(text)]));
  return Buffer.concat([...all, Buffer.alloc(1)]);
}

function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

function sized(bytes: Buffer): Buffer {
  return Buffer.concat([int32(bytes.length), bytes]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
