// The promises of README.md against a server in this process, with a fault at every point where one can strike. The
// real server plays its part in integration/sinks/postgres.test.ts.
import { markersOf, sampleBatch, sampleBatchOf, sampleRecord } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Fault, StatementKind } from '../test/postgres-double.ts';
import { deliver, deliverAll, keyColumns, never, Rig, uuid } from '../test/rig.ts';

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.start();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

const delivered = { kind: 'delivered' };
const batches = [sampleBatch('logs', 1, [2]), sampleBatch('logs', 3, [3]), sampleBatch('logs', 6, [1])];
const range = (from: number, count: number, epoch = 1): string[] =>
  Array.from({ length: count }, (_, index) => `${epoch}-${from + index}`);

describe('rows', () => {
  it('hold one event each under its key', async () => {
    const sink = rig.sink();
    expect(await deliver(sink, sampleBatch('logs', 1, [3, 2]))).toEqual(delivered);
    expect(await deliver(sink, sampleBatch('logs', 6, [1]))).toEqual(delivered);
    expect(rig.keys()).toEqual(range(1, 6));
    expect(rig.markers()).toEqual(markersOf(1, 6));
    const expected = { key: `${uuid}/1-1`, epoch: '1', id: '1', signal: 'logs', time: '2025-06-15T15:06:40.001000Z' };
    expect(rig.rows()[0]).toMatchObject(expected);
  });

  it('of each signal have a table of their own where its name says so, in a schema that is quoted', async () => {
    for (const signal of ['logs', 'traces', 'metrics']) {
      rig.server.createTable(`tele metry.of ${signal}`, keyColumns, ['key']);
    }
    const sink = rig.sink({ options: { table: '"tele metry".of {signal}' } });
    for (const signal of ['logs', 'traces', 'metrics'] as const) {
      expect(await deliver(sink, sampleBatch(signal, 1, [2]))).toEqual(delivered);
      expect(rig.markers(`tele metry.of ${signal}`)).toEqual(markersOf(1, 2));
    }
    expect(rig.server.statements.some((text) => text.includes('INSERT INTO "tele metry"."of logs" ('))).toBe(true);
  });

  it('are one statement a batch, which says what it means to be committed', async () => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [2, 2]));
    await deliver(rig.sink({ options: { synchronous_commit: 'remote_apply' } }), sampleBatch('logs', 5, [1]));
    const inserts = rig.server.statements.filter((text) => text.includes('INSERT INTO'));
    expect(inserts).toHaveLength(2);
    expect(inserts[0]).toContain("set_config('synchronous_commit', 'on', true)");
    expect(inserts[1]).toContain("set_config('synchronous_commit', 'remote_apply', true)");
    // A role may have others, and then nobody would hear that the wait for a standby was ended.
    for (const insert of inserts) expect(insert).toContain("set_config('client_min_messages', 'warning', true)");
  });

  it('come into a table that is made if that is wanted, with its schema', async () => {
    const options = { table: 'app.telemetry', create_table: true };
    expect(await deliverAll(rig.sink({ options }), batches)).toEqual(['delivered', 'delivered', 'delivered']);
    expect(rig.keys('app.telemetry')).toEqual(range(1, 6));
    expect(rig.server.statements).toContain('CREATE SCHEMA IF NOT EXISTS "app"');
  });

  it('come into a schema that is there, whoever may make one', async () => {
    rig.server.failOnce('create', { error: { state: '42501', message: 'permission denied for database' } });
    const sink = rig.sink({ options: { table: 'app.telemetry', create_table: true } });
    expect(await deliver(sink, batches[0] as never)).toEqual(delivered);
    rig.server.tables.delete('events');
    rig.server.failOnce('create', { error: { state: '42501', message: 'permission denied for schema' } });
    const denied = rig.sink({ options: { create_table: true } });
    expect(await deliver(denied, batches[0] as never)).toMatchObject({ kind: 'blocked', reason: /42501/ });
  });

  it('come into a table that somebody else makes in the same moment', async () => {
    rig.server.failOnce('create', { error: { state: '23505', message: 'pg_type_typname_nsp_index' } });
    rig.server.tables.delete('events');
    const sink = rig.sink({ options: { create_table: true } });
    expect(await deliver(sink, batches[0] as never)).toMatchObject({ kind: 'blocked' });
    expect(await deliver(sink, batches[0] as never)).toEqual(delivered);
  });

  it('are not made of a record that holds another number of events than it says', async () => {
    const batch = sampleBatchOf('logs', [{ ...sampleRecord('logs', 1, 2), events: 3 }]);
    await expect(deliver(rig.sink(), batch)).rejects.toThrow('should hold 3 events, has 2');
  });

  it('are not made of an event that cannot be decoded', async () => {
    // A log record with a body that says it is longer than it is: counted like any other, for its own length is right.
    const bytes = Uint8Array.from([0x0a, 8, 0x12, 6, 0x12, 4, 0x2a, 2, 0x0a, 5]);
    const batch = sampleBatchOf('logs', [{ signal: 'logs', bytes, events: 1, id: 1, origin: `${uuid}/1` }]);
    expect(await deliver(rig.sink(), batch)).toMatchObject({ kind: 'rejected' });
    const columns = { key: 'key', event: 'json' };
    expect(await deliver(rig.sink({ options: { columns } }), batch)).toMatchObject({ kind: 'rejected' });
    expect(rig.rows()).toEqual([]);
  });

  it('have a sign for what the server cannot hold, and the log counts them', async () => {
    expect(await deliver(rig.sink(), sampleBatch('logs', 1, [2], ' a\u0000b'))).toEqual(delivered);
    expect(rig.rows()[0]?.['event']).toContain('event-000001 a\ufffdb');
    expect(rig.logged).toContain('"message":"replaced characters that PostgreSQL cannot hold","fields":{"events":2}');
  });
});

describe('what comes again', () => {
  it('is left out, also in part, counted, and confirmed by a transaction of its own', async () => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [4]));
    expect(rig.server.statements.filter((text) => text.includes('emit_message'))).toEqual([]);
    expect(await deliver(sink, sampleBatch('logs', 2, [2, 4]))).toEqual(delivered);
    expect(rig.keys()).toEqual(range(1, 7));
    expect(rig.logged).toContain('"fields":{"events":3}');
    expect(rig.server.statements.filter((text) => text.includes('emit_message'))).toHaveLength(1);
  });

  it('is known to a new process, and by its epoch', async () => {
    await deliver(rig.sink(), sampleBatch('logs', 1, [4]));
    await deliver(rig.sink(), sampleBatch('logs', 3, [4]));
    const later = sampleBatchOf('logs', [{ ...sampleRecord('logs', 7, 1), origin: `${uuid}/2` }]);
    expect(await deliver(rig.sink(), later)).toEqual(delivered);
    expect(rig.keys()).toEqual([...range(1, 6), '2-7']);
  });

  it.each(['42883', '42501'])('is delivered where the server has no mark to set (%s)', async (state) => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [2]));
    rig.server.failOnce('mark', { error: { state } });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(delivered);
  });

  it.each(['insert', 'mark'] as const)('comes once more if the wait for a standby was ended (%s)', async (kind) => {
    const sink = rig.sink();
    await deliver(sink, sampleBatch('logs', 1, [1]));
    rig.server.failOnce(kind, { notice: { R: 'SyncRepWaitForLSN', M: 'canceling the wait' } });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toMatchObject({ kind: 'retryable', reason: /standby/ });
    expect(await deliver(sink, sampleBatch('logs', 1, [2]))).toEqual(delivered);
    expect(rig.keys()).toEqual(range(1, 2));
  });

  it('comes for no other notice', async () => {
    rig.server.failOnce('insert', { notice: { R: 'exec_stmt_raise', M: 'a trigger says hello' } });
    expect(await deliver(rig.sink(), sampleBatch('logs', 1, [2]))).toEqual(delivered);
  });
});

describe('a fault', () => {
  const kinds: readonly StatementKind[] = ['startup', 'inspect', 'create', 'insert', 'mark'];
  const cases = kinds.flatMap((kind) =>
    (['drop', 'lose'] as const).flatMap((fault) => [0, 1, 2].map((skipped) => ({ kind, fault, skipped }))),
  );

  it.each(cases)('$fault at $kind after $skipped of them loses and repeats nothing', async (given) => {
    let seen = 0;
    rig.server.fault = (kind) => {
      if (kind !== given.kind) return undefined;
      seen += 1;
      return seen === given.skipped + 1 ? given.fault : undefined;
    };
    rig.server.tables.delete('events');
    const answers = await deliverAll(rig.sink({ options: { create_table: true } }), [...batches, ...batches]);
    expect(rig.keys()).toEqual(range(1, 6));
    expect(rig.markers()).toEqual(markersOf(1, 6));
    expect(answers.filter((kind) => kind !== 'delivered')).toEqual(seen > given.skipped ? ['retryable'] : []);
  });

  it.each([
    ['40001', 'retryable'],
    ['23505', 'rejected'],
  ])('at the commit, after the statement was complete (%s), is none the less %s', async (state, kind) => {
    rig.server.failOnce('insert', { late: { state } });
    const sink = rig.sink();
    expect(await deliver(sink, batches[0] as never)).toMatchObject({ kind });
    await deliverAll(sink, batches);
    expect(rig.keys()).toEqual(range(1, 6));
    expect(rig.server.connections).toBe(1);
  });

  it.each<[string, string, number]>([
    ['08006', 'retryable', 2],
    ['0A000', 'blocked', 1],
    ['22P02', 'rejected', 1],
    ['22P05', 'rejected', 1],
    ['23502', 'rejected', 1],
    ['23514', 'rejected', 1],
    ['25006', 'retryable', 2],
    ['28000', 'blocked', 2],
    ['3D000', 'blocked', 1],
    ['3F000', 'blocked', 1],
    ['40001', 'retryable', 1],
    ['40P01', 'retryable', 1],
    ['42501', 'blocked', 1],
    ['42703', 'blocked', 1],
    ['42P01', 'blocked', 1],
    ['42P10', 'blocked', 1],
    ['44000', 'rejected', 1],
    ['53100', 'retryable', 1],
    ['53200', 'retryable', 1],
    ['53300', 'retryable', 1],
    ['54000', 'rejected', 1],
    ['55P03', 'retryable', 1],
    ['57014', 'retryable', 1],
    ['57P01', 'retryable', 2],
    ['57P02', 'retryable', 2],
    ['57P03', 'retryable', 2],
    ['57P04', 'blocked', 2],
    ['58030', 'retryable', 2],
    ['P0001', 'rejected', 1],
    ['P0002', 'retryable', 1],
    ['XX000', 'retryable', 1],
    ['ZZZZZ', 'retryable', 1],
  ])('%s is %s, and afterwards all goes on', async (state, kind, connections) => {
    rig.server.failOnce('insert', { error: { state, message: 'what it says' } });
    const sink = rig.sink();
    const reason = `127.0.0.1:${rig.server.port}: what it says (${state})`;
    expect(await deliver(sink, batches[0] as never)).toEqual({ kind, reason });
    await deliverAll(sink, batches);
    expect(rig.keys()).toEqual(range(1, 6));
    expect(rig.server.connections).toBe(connections);
  });

  it.each<[string, string]>([
    ['53300', 'retryable'],
    ['57P03', 'retryable'],
    ['28P01', 'blocked'],
    ['28000', 'blocked'],
    ['3D000', 'blocked'],
  ])('of the log-in, %s, is %s', async (state, kind) => {
    rig.server.failOnce('startup', { error: { state } });
    const sink = rig.sink();
    expect(await deliver(sink, batches[0] as never)).toMatchObject({ kind });
    expect(await deliver(sink, batches[0] as never)).toEqual(delivered);
  });

  it('that keeps an answer back ends with the connection, and asks the server to end the statement', async () => {
    rig.server.failOnce('insert', 'hang');
    const sink = rig.sink({ timeoutMs: 200 });
    const answer = await deliver(sink, batches[0] as never);
    expect(answer).toMatchObject({ kind: 'retryable', reason: /no answer in time while inserting/ });
    await expect.poll(() => rig.server.cancelled).toEqual([1]);
    await deliverAll(sink, batches);
    expect(rig.keys()).toEqual(range(1, 6));
  });

  it('that lasts until somebody says stop ends then', async () => {
    const stop = new AbortController();
    rig.server.fault = (kind) => {
      if (kind === 'insert') queueMicrotask(() => stop.abort());
      return kind === 'insert' ? 'hang' : undefined;
    };
    const sink = rig.sink({ timeoutMs: 60_000 });
    const answer = await deliver(sink, batches[0] as never, stop.signal);
    expect(answer).toMatchObject({ kind: 'retryable', reason: /given up while inserting/ });
    await sink.close?.();
    expect(rig.server.cancelled).toEqual([1]);
  });

  it('of the way there is told by its name', async () => {
    const nowhere = rig.sink({ options: { endpoint: 'postgres://writer@127.0.0.1:1/telemetry' } });
    expect(await deliver(nowhere, batches[0] as never)).toMatchObject({ kind: 'retryable', reason: /ECONNREFUSED/ });
    expect(await nowhere.checkHealth?.({ signal: never })).toMatchObject({ kind: 'retryable' });
    const socket = rig.sink({ options: { endpoint: 'postgres://writer@/telemetry?host=/nonexistent' } });
    const reason = expect.stringMatching(/^\/nonexistent\/\.s\.PGSQL\.5432: .* \(ENOENT\)$/);
    expect(await deliver(socket, batches[0] as never)).toEqual({ kind: 'retryable', reason });
  });

  it('of one connection lets go of the idle ones, too', async () => {
    const sink = rig.sink();
    await Promise.all(batches.map((batch) => deliver(sink, batch)));
    expect(rig.server.openConnections).toBe(3);
    rig.server.failOnce('insert', 'drop');
    expect(await deliver(sink, sampleBatch('logs', 7, [1]))).toMatchObject({ kind: 'retryable' });
    await expect.poll(() => rig.server.openConnections).toBe(0);
    expect(await deliver(sink, sampleBatch('logs', 7, [1]))).toEqual(delivered);
  });

  it('that breaks a connection while nobody uses it is noticed before the next batch', async () => {
    const sink = rig.sink();
    await deliver(sink, batches[0] as never);
    rig.server.breakConnections();
    await expect.poll(() => rig.server.openConnections).toBe(0);
    const answers = await deliverAll(sink, batches);
    expect(answers.filter((kind) => kind !== 'delivered').length).toBeLessThanOrEqual(1);
    expect(rig.keys()).toEqual(range(1, 6));
  });
});

describe('bytes that are no PostgreSQL', () => {
  const raw: readonly (readonly [string, Buffer])[] = [
    ['a way to log in that nobody knows', Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 99])],
    ['half a message', Buffer.from([0x45, 0, 0, 0, 90, 0x53])],
    ['an error without an end', Buffer.from([0x45, 0, 0, 0, 6, 0x53, 0x41])],
    ['a message of no length', Buffer.from([0x44, 0, 0, 0, 0])],
    ['a message of a gigabyte', Buffer.concat([Buffer.from([0x44, 0x3f, 0, 0, 0]), Buffer.alloc(5 * 1024 * 1024)])],
    ['a row that nobody asked for', Buffer.from([0x44, 0, 0, 0, 6, 0, 0])],
    ['a row of more columns than it has', Buffer.from([0x44, 0, 0, 0, 6, 0x7f, 0xff])],
    ['a letter that means nothing', Buffer.from([0x07, 0, 0, 0, 4])],
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')],
    ['nothing but zeros', Buffer.alloc(1000)],
    ['a wish for data', Buffer.from([0x47, 0, 0, 0, 7, 0, 0, 0])],
    ['a challenge without a mechanism', Buffer.from([0x52, 0, 0, 0, 9, 0, 0, 0, 10, 0])],
    ['a challenge out of turn', Buffer.from([0x52, 0, 0, 0, 9, 0, 0, 0, 11, 0x72])],
  ];
  const cases = raw.flatMap(([what, bytes]) => (['startup', 'insert'] as const).map((kind) => ({ what, bytes, kind })));

  it.each(cases)('$what at $kind: an answer in time, and the next connection goes on', async ({ bytes, kind }) => {
    const fault: Fault = { raw: bytes };
    rig.server.failOnce(kind, fault);
    const sink = rig.sink({ timeoutMs: 300, options: { password: 'correct horse' } });
    const answer = await deliver(sink, batches[0] as never);
    expect(['retryable', 'blocked']).toContain(answer.kind);
    expect(JSON.stringify(answer)).not.toContain('correct horse');
    expect(await deliver(sink, batches[0] as never)).toEqual(delivered);
    expect(rig.keys()).toEqual(range(1, 2));
  });
});

it('a refusal that quotes a long value in full is one, and no bytes without sense', async () => {
  const text = 'x'.repeat(6 * 1024 * 1024);
  const message = `invalid input syntax for type integer: "${text}"`;
  rig.server.failOnce('insert', { error: { state: '22P02', message } });
  const sink = rig.sink();
  const answer = await deliver(sink, sampleBatch('logs', 1, [1], text));
  expect(answer).toMatchObject({ kind: 'rejected', reason: expect.stringMatching(/^.{400,700}$/) });
  expect(rig.server.connections).toBe(1);
});

describe('connections', () => {
  it('are as many as batches at once, and used again', async () => {
    const sink = rig.sink({ options: { pool_size: 3 } });
    expect(sink.concurrencyMax).toBe(3);
    for (let round = 0; round < 3; round += 1) await Promise.all(batches.map((batch) => deliver(sink, batch)));
    expect(rig.server.connections).toBe(3);
    const names = rig.server.startups.map(({ application_name: name }) => name);
    expect(names).toEqual(['spillway archive', 'spillway archive', 'spillway archive']);
  });

  it('are gone when the sink is closed', async () => {
    const sink = rig.sink();
    await Promise.all(batches.map((batch) => deliver(sink, batch)));
    await sink.close?.();
    await expect.poll(() => rig.server.openConnections).toBe(0);
  });

  it('take nothing from the environment', async () => {
    const given = { PGOPTIONS: '-c role=other', PGREPLICATION: 'true', PGPASSWORD: 'elsewhere', PGSSLMODE: 'require' };
    const before = { ...process.env };
    Object.assign(process.env, given, { PGAPPNAME: 'other', PGDATABASE: 'other', PGSSLNEGOTIATION: 'direct' });
    try {
      expect(await deliver(rig.sink(), batches[0] as never)).toEqual(delivered);
      const [startup] = rig.server.startups;
      const expected = { user: 'writer', database: 'telemetry', application_name: 'spillway archive' };
      expect(startup).toEqual({ ...expected, client_encoding: 'UTF8' });
      rig.server.password = 'elsewhere';
      expect(await deliver(rig.sink(), batches[1] as never)).toMatchObject({ kind: 'blocked', reason: /no.*config/ });
    } finally {
      for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
      Object.assign(process.env, before);
    }
  });
});
