// A connection, and what its server has said about the tables: asked once for each connection, for the next one may
// reach another server.
import type { Deadline, Signal } from 'spillway/plugin';
import type { Outcome, PostgresConnection, Statement } from './connection.ts';
import { ServerError } from './failure.ts';
import type { PostgresOptions } from './options.ts';
import {
  createStatements,
  type Insert,
  insertFor,
  inspection,
  markStatement,
  readFacts,
  type TableFacts,
} from './table.ts';
import { parseTableName, type TableName, tableOf } from './table-name.ts';

/** Two that make the same thing at once: one of them is told so, and it is there. */
const madeMeanwhile: readonly string[] = ['23505', '42P06', '42P07', '42710'];
/** Whoever may not make a schema is told so even if it is there. If it is not, that of the table tells. */
const mayBeThere: readonly string[] = ['42501'];
/** A server that is not quite PostgreSQL, or a privilege taken away: then a mark cannot be set. */
const noMarks: readonly string[] = ['42883', '42501', '0A000'];
/** A value, or a constraint. */
const dataClasses = /^2[23]/;

export class Session {
  readonly #connection: PostgresConnection;
  readonly #options: PostgresOptions;
  readonly #table: TableName;
  readonly #inserts = new Map<Signal, Insert>();

  constructor(connection: PostgresConnection, options: PostgresOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#table = parseTableName(options.table) as TableName;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  /** The statement that takes events of this signal. Makes the table if that is wanted; throws if it does not fit. */
  async insertOf(signal: Signal, deadline: Deadline): Promise<Insert> {
    const known = this.#inserts.get(signal);
    if (known !== undefined) return known;
    const table = tableOf(this.#table, signal);
    const facts = (await this.#inspect(table, deadline)) ?? (await this.#create(table, deadline));
    const insert = insertFor(table, facts, this.#options);
    this.#inserts.set(signal, insert);
    return insert;
  }

  async insert({ text }: Insert, values: readonly Buffer[], deadline: Deadline): Promise<Outcome> {
    return await this.#run({ text, values }, deadline, 'inserting');
  }

  /** Waits until everything that was committed before is as safe as a row that is committed now. */
  async confirmEarlier(deadline: Deadline): Promise<Pick<Outcome, 'isUnreplicated'>> {
    try {
      return await this.#run(markStatement(this.#options.synchronous_commit), deadline, 'confirming earlier rows');
    } catch (error) {
      if (error instanceof ServerError && noMarks.includes(error.state)) return { isUnreplicated: false };
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  async #inspect(table: TableName, deadline: Deadline): Promise<TableFacts | undefined> {
    return readFacts(await this.#run(inspection(table), deadline, 'asking about the table'));
  }

  async #create(table: TableName, deadline: Deadline): Promise<TableFacts | undefined> {
    if (!this.#options.create_table) return undefined;
    const statements = createStatements(table, this.#options.columns);
    for (const statement of statements) {
      const forgiven = statement === statements.at(-1) ? madeMeanwhile : [...madeMeanwhile, ...mayBeThere];
      try {
        await this.#run(statement, deadline, 'making the table');
      } catch (error) {
        if (!(error instanceof ServerError && forgiven.includes(error.state))) throw error;
      }
    }
    return await this.#inspect(table, deadline);
  }

  async #run(statement: Statement, deadline: Deadline, doing: string): Promise<Outcome> {
    try {
      return await this.#connection.run(statement, deadline, doing);
    } catch (error) {
      // What the table was like may be why, unless it is one event's fault: it is asked again before the next batch.
      if (!(error instanceof ServerError && dataClasses.test(error.state))) this.#inserts.clear();
      throw error;
    }
  }
}
