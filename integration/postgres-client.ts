// The other side of the tests of the PostgreSQL sink: the owner of the server, who makes tables, looks into them, and
// does what operators and other users do.
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

export const superuser = 'postgres';
export const superuserPassword = 'owner-password';

/** Text of each column of each row. */
type Rows = readonly (readonly string[])[];

/** A client answers within two seconds, or not at all. */
const patienceMs = 2_000;

export class PostgresClient {
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  /** Runs statements, one after the other, each on its own; gives the rows of the last one. */
  async run(...statements: readonly string[]): Promise<Rows> {
    return await this.with(async (run) => {
      let rows: Rows = [];
      for (const statement of statements) rows = await run(statement);
      return rows;
    });
  }

  /** Runs statements on one connection, which is closed afterwards. */
  async with<Value>(work: (run: (statement: string) => Promise<Rows>) => Promise<Value>): Promise<Value> {
    const client = new Client({
      host: '127.0.0.1',
      port: this.#port,
      user: superuser,
      password: superuserPassword,
      database: 'postgres',
      ssl: false,
      connectionTimeoutMillis: patienceMs,
      types: { getTypeParser: () => (text: string) => text },
    });
    // Whoever waits for an answer is told; a connection that breaks between two statements is noticed by the next one.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await work(async (text) => (await client.query<string[]>({ text, rowMode: 'array' })).rows ?? []);
    } finally {
      await Promise.race([client.end(), sleep(patienceMs, undefined, { ref: false })]);
    }
  }

  /** Whether a new client gets an answer now. */
  async answers(): Promise<boolean> {
    const late = sleep(patienceMs, false, { ref: false });
    const asked = this.run('SELECT 1').then(
      () => true,
      () => false,
    );
    return await Promise.race([asked, late]);
  }

  /** Waits until a query gives what is wanted. */
  async until(statement: string, wanted: string): Promise<void> {
    const deadlineMs = performance.now() + 10_000;
    for (;;) {
      const [row] = await this.run(statement);
      if (row?.[0] === wanted) return;
      if (performance.now() > deadlineMs) throw new Error(`${statement} gives ${row?.[0]}, not ${wanted}`);
      await sleep(20);
    }
  }
}
