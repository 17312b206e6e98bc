// What only a real PostgreSQL shows: locks, deadlocks, a commit that fails, a standby that does not confirm, types.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import definition from '../../plugins/postgres/src/index.ts';
import type { Sink, SinkAnswer, SinkBatch } from '../../src/pipeline/contract/sink.ts';
import {
  markerOf,
  markersIn,
  markersOf,
  realWorld,
  type SinkHarness,
  sampleBatch,
  sampleOriginUuid,
  sinkCases,
  testSinkContext,
} from '../../src/testing/index.ts';
import { superuser, superuserPassword } from '../postgres-client.ts';
import { needs } from '../requirements.ts';
import { createTable, postgres, type StartedPostgres, start, table } from './postgres.ts';
import { SinkRig } from './sink-rig.ts';

const some = 500;
const timeout = 60_000;
const never = new AbortController().signal;
const delivered = { kind: 'delivered' };
const reason = needs('linux', 'docker', 'postgres-image');
let server: StartedPostgres;
const sinks: Sink[] = [];
let tables = 0;

beforeAll(async () => {
  if (reason === undefined) server = await start();
}, timeout);

afterAll(async () => {
  await Promise.all(sinks.map((sink) => sink.close?.()));
  await server?.[Symbol.asyncDispose]();
});

function check(name: string, run: () => Promise<void>): void {
  test(name, { timeout }, async (context) => {
    if (reason !== undefined) return context.skip(reason);
    await run();
  });
}

function newTable(): string {
  tables += 1;
  return `table_${tables}`;
}

function options(given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const endpoint = `postgres://${superuser}@127.0.0.1:${server.server.port}/postgres`;
  return { endpoint, password: superuserPassword, ...given };
}

function sinkOf(given: Readonly<Record<string, unknown>>, timeoutMs = 10_000): Sink {
  const context = testSinkContext({ world: realWorld(), id: 'proof', timeoutMs });
  const sink = definition.create(definition.schema.parse(options(given)) as never, context) as Sink;
  sinks.push(sink);
  return sink;
}

async function deliver(sink: Sink, batch: SinkBatch): Promise<SinkAnswer> {
  return await sink.deliver(batch, { signal: never });
}

const count = async (name: string): Promise<string | undefined> =>
  (await server.client.run(`SELECT count(*) FROM ${name}`))[0]?.[0];

const keyOf = (id: number): string => `${sampleOriginUuid}/1-${id}`;
const waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'spillway proof' AND state = 'active'";

describe('what every sink does', () => {
  for (const { name, run } of sinkCases(() => harness())) check(name, run);

  async function harness(): Promise<SinkHarness> {
    const own = newTable();
    return {
      definition,
      options: options({ table: own, create_table: true }),
      world: realWorld(),
      dropsRepeats: true,
      async received() {
        const rows = await server.client.run(`SELECT event FROM ${own} ORDER BY epoch, id`);
        return rows.flatMap(([event]) => markersIn(event ?? ''));
      },
      close: async () => undefined,
    };
  }
});

describe('a table', () => {
  check('is made with its schema, once, by all who come at the same time', async () => {
    const given = { table: 'made.by_{signal}', create_table: true };
    const together = [1, 2, 3, 4].map((id) => deliver(sinkOf(given), sampleBatch('logs', id, [1])));
    for (const answer of await Promise.all(together)) expect(answer).toEqual(delivered);
    expect(await count('made.by_logs')).toBe('4');
  });

  check('is made in a schema in which that is allowed, by a role that may not make schemas', async () => {
    await server.client.run('CREATE SCHEMA given', 'GRANT CREATE, USAGE ON SCHEMA given TO writer');
    const { endpoint, password } = server.sink;
    const sink = sinkOf({ endpoint, password, table: 'given.events', create_table: true });
    expect(await deliver(sink, sampleBatch('logs', 1, [1]))).toEqual(delivered);
    const elsewhere = sinkOf({ endpoint, password, table: 'denied.events', create_table: true });
    expect(await deliver(elsewhere, sampleBatch('logs', 1, [1]))).toMatchObject({ kind: 'blocked', reason: /3F000/ });
  });

  check('may have columns of many types, a key of three columns, and what JSON and text cannot hold', async () => {
    const own = newTable();
    const columns = {
      buffer: { from: 'buffer', type: 'uuid' },
      epoch: 'epoch',
      id: 'id',
      time: 'time',
      'the text': { from: 'body', type: 'varchar(40)' },
      nanoseconds: { from: 'event.timeUnixNano', type: 'numeric(20)' },
      level: { from: 'event.severityNumber', type: 'smallint' },
      service: 'resource.service.name',
      resource: 'resource',
      all: { from: 'json', type: 'json' },
    };
    const sink = sinkOf({ table: own, columns, create_table: true });
    expect(await deliver(sink, sampleBatch('logs', 7, [1], ' \u0000\\u0000"\'\u{1f701}'))).toEqual(delivered);
    expect(await deliver(sink, sampleBatch('logs', 7, [2], ' \u0000\\u0000"\'\u{1f701}'))).toEqual(delivered);
    const [row] = await server.client.run(
      `SELECT buffer, "the text", time AT TIME ZONE 'UTC', nanoseconds, level, service, resource->>'service.name' ` +
        `FROM ${own} WHERE id = 7`,
    );
    const text = 'event-000007 \ufffd\\u0000"\'\u{1f701}';
    const time = '2025-06-15 15:06:40.007';
    expect(row).toEqual([sampleOriginUuid, text, time, '1750000000007000000', '9', 'sample', 'sample']);
    expect(await count(own)).toBe('2');
  });

  check('whose types have a length keeps values whole, and knows each key from the others', async () => {
    const own = newTable();
    await server.client.run(
      `CREATE TABLE ${own} (key char(70) PRIMARY KEY, body char(12), level bit(4), service varchar(6))`,
    );
    const level = { from: 'resource.service.level' };
    const columns = { key: 'key', body: 'body', service: 'resource.service.name', level };
    const sink = sinkOf({ table: own, columns });
    expect(await deliver(sink, sampleBatch('logs', 1, [3]))).toEqual(delivered);
    const rows = await server.client.run(`SELECT body, service FROM ${own} ORDER BY key`);
    expect(rows).toEqual([1, 2, 3].map((id) => [markerOf(id), 'sample']));
  });

  check('that refuses a long value, and quotes it, rejects the event', async () => {
    const own = newTable();
    await server.client.run(`CREATE TABLE ${own} (key text PRIMARY KEY, body integer)`);
    const sink = sinkOf({ table: own, columns: { key: 'key', body: 'body' } });
    const answer = await deliver(sink, sampleBatch('logs', 1, [1], 'x'.repeat(6 * 1024 * 1024)));
    expect(answer).toMatchObject({ kind: 'rejected', reason: /22P02|syntax/ });
  });

  check('that is partitioned has its time in the key; without a partition the event is rejected', async () => {
    const own = newTable();
    const columns = 'key text, epoch bigint, id bigint, signal text, time timestamptz, event jsonb';
    const range = "FROM ('2025-06-15 15:06:40.001Z') TO ('2025-06-15 15:06:40.003Z')";
    await server.client.run(
      `CREATE TABLE ${own} (${columns}, PRIMARY KEY (key, time)) PARTITION BY RANGE (time)`,
      `CREATE TABLE ${own}_1 PARTITION OF ${own} FOR VALUES ${range}`,
    );
    const sink = sinkOf({ table: own });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(delivered);
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(delivered);
    expect(await deliver(sink, sampleBatch('logs', 2, [2]))).toMatchObject({ kind: 'rejected', reason: /23514/ });
    expect(await count(own)).toBe('2');
  });

  check('that refuses a value or has a rule against it rejects, on a connection that goes on', async () => {
    const own = newTable();
    await server.client.run(
      `CREATE TABLE ${own} (key text PRIMARY KEY, body integer)`,
      `CREATE TABLE ${own}_short (key text PRIMARY KEY, body varchar(5))`,
      `CREATE TABLE ${own}_unique (key text PRIMARY KEY, body text, service text UNIQUE)`,
    );
    const columns = { key: 'key', body: 'body' };
    const batch = sampleBatch('logs', 1, [2]);
    expect(await deliver(sinkOf({ table: own, columns }), batch)).toMatchObject({ kind: 'rejected', reason: /22P02/ });
    const short = sinkOf({ table: `${own}_short`, columns });
    expect(await deliver(short, batch)).toMatchObject({ kind: 'rejected', reason: /22001/ });
    const unique = sinkOf({ table: `${own}_unique`, columns: { ...columns, service: 'resource.service.name' } });
    expect(await deliver(unique, batch)).toMatchObject({ kind: 'rejected', reason: /23505/ });
    expect(await deliver(unique, sampleBatch('logs', 1, [1]))).toEqual(delivered);
    expect(await count(`${own}_unique`)).toBe('1');
  });

  check('whose rule is looked at only when the transaction ends rejects, too', async () => {
    const own = newTable();
    await server.client.run(
      createTable(own),
      `CREATE FUNCTION ${own}_refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$`,
      `CREATE CONSTRAINT TRIGGER late AFTER INSERT ON ${own} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        EXECUTE FUNCTION ${own}_refuse()`,
    );
    const answer = await deliver(sinkOf({ table: own }), sampleBatch('logs', 1, [1]));
    expect(answer).toMatchObject({ kind: 'rejected', reason: expect.stringContaining('not today (P0001)') });
    expect(await count(own)).toBe('0');
  });

  check('of somebody else is blocked, and says what to grant', async () => {
    const own = newTable();
    await server.client.run(createTable(own));
    const { endpoint, password } = server.sink;
    const answer = await deliver(sinkOf({ endpoint, password, table: own }), sampleBatch('logs', 1, [1]));
    expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('GRANT INSERT') });
    const none = await deliver(sinkOf({ endpoint, password, table: 'pg_class' }), sampleBatch('logs', 1, [1]));
    expect(none).toMatchObject({ kind: 'blocked' });
  });
});

describe('another transaction', () => {
  check('that holds the table is waited for until the time is over; then nothing of ours is left waiting', async () => {
    const own = newTable();
    await server.client.run(createTable(own));
    const sink = sinkOf({ table: own }, 500);
    await server.client.with(async (run) => {
      await run('BEGIN');
      await run(`LOCK TABLE ${own} IN ACCESS EXCLUSIVE MODE`);
      for (let tries = 0; tries < 3; tries += 1) {
        expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toMatchObject({
          kind: 'retryable',
          reason: /in time/,
        });
      }
      await server.client.until(waiting, '0');
      await run('COMMIT');
    });
    // On a busy machine the time-out can be short for any statement.
    await expect.poll(() => deliver(sink, sampleBatch('logs', 1, [2])), { timeout: 20_000 }).toEqual(delivered);
    expect(await count(own)).toBe('2');
  });

  check('that waits for us while we wait for it is a deadlock, and the batch comes again', async () => {
    const own = newTable();
    await server.client.run(createTable(own));
    const sink = sinkOf({ table: own });
    await server.client.with(async (run) => {
      await run("SET deadlock_timeout = '20s'");
      await run('BEGIN');
      await run(`INSERT INTO ${own} (key) VALUES ('${keyOf(2)}')`);
      const answer = deliver(sink, sampleBatch('logs', 1, [2]));
      await server.client.until(`${waiting} AND wait_event_type = 'Lock'`, '1');
      const theirs = run(`INSERT INTO ${own} (key) VALUES ('${keyOf(1)}')`);
      expect(await answer).toMatchObject({ kind: 'retryable', reason: /40P01/ });
      await theirs;
      await run('ROLLBACK');
    });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(delivered);
    expect(await count(own)).toBe('2');
  });

  check('makes a serializable one fail, and the batch comes again', async () => {
    const own = newTable();
    await server.client.run(createTable(own));
    await server.client.run("ALTER ROLE postgres SET default_transaction_isolation = 'repeatable read'");
    try {
      const sink = sinkOf({ table: own });
      await server.client.with(async (run) => {
        await run('BEGIN');
        await run(`INSERT INTO ${own} (key) VALUES ('${keyOf(1)}')`);
        const answer = deliver(sink, sampleBatch('logs', 1, [2]));
        await server.client.until(`${waiting} AND wait_event_type = 'Lock'`, '1');
        await run('COMMIT');
        expect(await answer).toMatchObject({ kind: 'retryable', reason: /40001/ });
      });
      expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(delivered);
      expect(await count(own)).toBe('2');
    } finally {
      await server.client.run('ALTER ROLE postgres RESET default_transaction_isolation');
    }
  });
});

check('a server that takes longer for a batch than there is time gets it in portions, each event once', async () => {
  const own = newTable();
  const events = 20;
  await server.client.run(
    createTable(own),
    `CREATE FUNCTION ${own}_wait() RETURNS trigger LANGUAGE plpgsql
      AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$`,
    // For rows that are inserted, not for those that are left out.
    `CREATE TRIGGER slow AFTER INSERT ON ${own} FOR EACH ROW EXECUTE FUNCTION ${own}_wait()`,
  );
  const sink = sinkOf({ table: own }, 500);
  const batch = sampleBatch('logs', 1, [7, 13]);
  const answers: SinkAnswer[] = [];
  while (answers.at(-1)?.kind !== 'delivered') {
    answers.push(await deliver(sink, batch));
    expect(answers.length, JSON.stringify(answers.slice(-2))).toBeLessThan(3 * events);
  }
  expect(answers[0]).toMatchObject({ kind: 'retryable', reason: /no answer in time while inserting$/ });
  expect(new Set(answers.slice(1, -1).map(({ kind }) => kind))).toEqual(new Set(['retryable']));
  const found = await server.client.run(`SELECT event FROM ${own} ORDER BY epoch, id`);
  expect(found.flatMap(([event]) => markersIn(event ?? ''))).toEqual(markersOf(1, events));
});

describe('a standby that should confirm', () => {
  check('and does not keeps a batch undelivered, also when its rows are there already', async () => {
    const own = newTable();
    await server.client.run(createTable(own));
    const sink = sinkOf({ table: own }, 500);
    const patient = sinkOf({ table: own });
    // It still hears what it has to.
    await server.client.run('ALTER ROLE postgres SET client_min_messages = error');
    const batch = sampleBatch('logs', 1, [2]);
    expect(await deliver(sink, sampleBatch('logs', 3, [1]))).toEqual(delivered);
    await server.client.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", 'SELECT pg_reload_conf()');
    try {
      await server.client.until('SHOW synchronous_standby_names', 'nobody');
      expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable' });
      // The wait was cancelled with the batch, so that its rows can be seen; they are no safer for that.
      await server.client.until(`SELECT count(*) FROM ${own}`, '3');
      expect(await deliver(sink, batch)).toMatchObject({ kind: 'retryable', reason: /confirming earlier rows/ });
      const answer = deliver(patient, batch);
      await server.client.until(`${waiting} AND wait_event = 'SyncRep'`, '1');
      await server.client.run(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND state = 'active'",
      );
      expect(await answer).toMatchObject({ kind: 'retryable', reason: /standby/ });
    } finally {
      await server.client.run('ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()');
      await server.client.run('ALTER ROLE postgres RESET client_min_messages');
    }
    await server.client.until('SHOW synchronous_standby_names', '');
    await expect.poll(() => deliver(sink, batch), { timeout: 20_000 }).toEqual(delivered);
    expect(await count(own)).toBe('3');
  });
});

describe('a pipeline', () => {
  async function rigAfter(...statements: readonly string[]): Promise<SinkRig> {
    const started = (await postgres.start()) as StartedPostgres;
    await started.client.run(...statements);
    return await SinkRig.start(started);
  }

  check('whose table is missing waits, says so, and goes on once it is there', async () => {
    await using rig = await rigAfter(`DROP TABLE ${table}`);
    await rig.accepts(some);
    const blocked = await rig.reaches('blocked');
    expect(blocked.reason).toContain('CREATE TABLE IF NOT EXISTS "numbers"');
    expect(blocked.delivered.events).toBe(0);
    const { client } = rig.subject as StartedPostgres;
    await client.run(createTable(), `GRANT INSERT, SELECT (key) ON ${table} TO writer`);
    await rig.delivers();
    expect(await rig.finishes(), rig.pipeline.log).toBe(0);
    expect(await rig.verdict()).toEqual({ missing: [], disorder: [], repeats: 0, invented: [] });
  });

  check('loses one event to the dead letters that a rule of the table refuses, and no other', async () => {
    await using rig = await rigAfter();
    await rig.accepts(some);
    await rig.delivers();
    // One that was not sent yet, and will be soon.
    const refused = rig.load.sent + some;
    const rule = `CHECK (event::text NOT LIKE '%${markerOf(refused)}%')`;
    const { client } = rig.subject as StartedPostgres;
    await client.run(`ALTER TABLE ${table} ADD CONSTRAINT not_that_one ${rule}`);
    await rig.accepts(3 * some);
    await rig.delivers();
    expect((await rig.sink()).rejectedEvents).toBe(1);
    expect(await rig.finishes(), rig.pipeline.log).toBe(0);
    expect(await rig.verdict()).toEqual({ missing: [refused], disorder: [], repeats: 0, invented: [] });
  });
});
