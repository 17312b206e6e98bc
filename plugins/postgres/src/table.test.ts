// What a table must be like, and the SQL that an operator is told where it is not.
import { sampleBatch } from 'spillway/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DoubleTable } from '../test/postgres-double.ts';
import { deliver, keyColumns, never, Rig } from '../test/rig.ts';

let rig: Rig;

beforeEach(async () => {
  rig = await Rig.start();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

const batch = sampleBatch('logs', 1, [2]);

function change(changed: (table: DoubleTable) => Partial<DoubleTable>): void {
  const table = rig.server.tables.get('events') as DoubleTable;
  rig.server.tables.set('events', { ...table, ...changed(table) });
}

function changeColumn(name: string, changed: Readonly<Record<string, unknown>>): void {
  change(({ columns }) => ({
    columns: columns.map((column) => (column.name === name ? { ...column, ...changed } : column)),
  }));
}

async function reasonOf(options: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const sink = rig.sink({ options });
  const answer = await deliver(sink, batch);
  expect(answer).toMatchObject({ kind: 'blocked' });
  expect(await sink.checkHealth?.({ signal: never })).toEqual(answer);
  expect(rig.rows()).toEqual([]);
  return 'reason' in answer ? (answer.reason ?? '') : '';
}

describe('a table', () => {
  it('that is missing is made by hand with the SQL that the reason has, and then all goes on', async () => {
    rig.server.tables.delete('events');
    const sink = rig.sink();
    const answer = await deliver(sink, batch);
    const sql = 'CREATE TABLE IF NOT EXISTS "events" ("key" text, "epoch" bigint, "id" bigint, "signal" text, ';
    expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringContaining(sql) });
    rig.server.createTable('events', keyColumns, ['key']);
    expect(await sink.checkHealth?.({ signal: never })).toEqual({ kind: 'healthy' });
    expect(await deliver(sink, batch)).toEqual({ kind: 'delivered' });
  });

  it('that goes away is asked about anew', async () => {
    const sink = rig.sink();
    await deliver(sink, batch);
    rig.server.tables.delete('events');
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('42P01') });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('missing') });
    rig.server.createTable('events', { ...keyColumns, event: 'text' }, ['key']);
    expect(await deliver(sink, batch)).toEqual({ kind: 'delivered' });
    expect(rig.server.statements.at(-1)).toContain('event.c5::text');
  });

  it('of which the server tells nonsense is asked about again', async () => {
    const sink = rig.sink();
    changeColumn('event', { name: 7 });
    const answer = await deliver(sink, batch);
    expect(answer).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('makes no sense') });
    rig.server.createTable('events', keyColumns, ['key']);
    expect(await deliver(sink, batch)).toEqual({ kind: 'delivered' });
  });

  it('is asked about once for each connection, also when single events are refused', async () => {
    const sink = rig.sink();
    const asked = (): number => rig.server.statements.filter((text) => text.includes('to_regclass')).length;
    rig.server.failOnce('insert', { error: { state: '23514' } });
    expect(await deliver(sink, batch)).toMatchObject({ kind: 'rejected' });
    expect(await deliver(sink, batch)).toEqual({ kind: 'delivered' });
    expect(asked()).toBe(1);
  });

  it('that is a view is refused', async () => {
    change(() => ({ kind: 'v' }));
    expect(await reasonOf()).toContain('is no table');
  });

  it('without a column of ours is refused', async () => {
    const reason = await reasonOf({ columns: { key: 'key', who: 'resource.service.name', n: 'epoch' } });
    expect(reason).toContain('ALTER TABLE "events" ADD COLUMN "who" text, ADD COLUMN "n" bigint');
  });

  it('that wants a value which we do not have is refused, rather than every event', async () => {
    changeColumn('signal', { isNotNull: true });
    expect(await reasonOf({ columns: { key: 'key', event: 'json' } })).toContain('ALTER COLUMN "signal" DROP NOT NULL');
    changeColumn('signal', { isNotNull: true, hasDefault: true });
    const sink = rig.sink({ options: { columns: { key: 'key', event: 'json' } } });
    expect(await deliver(sink, batch)).toEqual({ kind: 'delivered' });
  });

  it.each<readonly [string, readonly (readonly string[])[]]>([
    ['no unique index', []],
    ['one on something else', [['signal']]],
    ['one on ids, which another buffer gives, too', [['epoch', 'id']]],
    ['one with a column that may be null', [['key', 'time']]],
    ['one with a column that is not ours', [['key', 'other']]],
  ])('with %s is refused', async (_, uniqueIndexes) => {
    change(() => ({ uniqueIndexes }));
    expect(await reasonOf()).toContain('CREATE UNIQUE INDEX ON "events" ("key")');
  });

  it('that is partitioned by time has it in the key', async () => {
    change(() => ({ kind: 'p', uniqueIndexes: [['time', 'key']] }));
    changeColumn('time', { isNotNull: true });
    expect(await deliver(rig.sink(), batch)).toEqual({ kind: 'delivered' });
    expect(rig.server.statements.at(-1)).toContain('ON CONFLICT ("time", "key") DO NOTHING');
  });

  it('with several such indexes uses the shortest', async () => {
    change(() => ({ uniqueIndexes: [['epoch', 'key'], ['key']] }));
    expect(await deliver(rig.sink(), batch)).toEqual({ kind: 'delivered' });
    expect(rig.server.statements.at(-1)).toContain('ON CONFLICT ("key") DO NOTHING');
  });

  it('may be keyed by buffer, epoch and id', async () => {
    rig.server.tables.delete('events');
    const columns = { buffer: { from: 'buffer', type: 'uuid' }, epoch: 'epoch', number: 'id', what: 'body' };
    expect(await deliver(rig.sink({ options: { columns, create_table: true } }), batch)).toEqual({ kind: 'delivered' });
    expect(rig.server.statements.at(-3)).toContain('"buffer" uuid, ');
    expect(rig.server.statements.at(-1)).toContain('ON CONFLICT ("buffer", "epoch", "number") DO NOTHING');
    expect(await deliver(rig.sink({ options: { columns } }), batch)).toEqual({ kind: 'delivered' });
    expect(rig.rows()).toHaveLength(2);
  });

  it.each([
    ['insert', 'event', { mayInsert: false }],
    ['look repeats up', 'key', { maySelect: false }],
  ])('into which we may not %s names the grant', async (_, column, denied) => {
    changeColumn(column, denied);
    expect(await reasonOf()).toContain('GRANT INSERT, SELECT ("key") ON "events" TO <this role>');
  });

  it('of columns that need not be read is no reason to ask for more', async () => {
    changeColumn('event', { maySelect: false });
    expect(await deliver(rig.sink(), batch)).toEqual({ kind: 'delivered' });
  });

  it('of its own for each signal is looked at once it was used', async () => {
    rig.server.createTable('of_logs', keyColumns, ['key']);
    const sink = rig.sink({ options: { table: 'of_{signal}' } });
    expect(await sink.checkHealth?.({ signal: never })).toEqual({ kind: 'healthy' });
    await deliver(sink, batch);
    rig.server.tables.delete('of_logs');
    rig.server.breakConnections();
    await expect.poll(() => rig.server.openConnections).toBe(0);
    expect(await sink.checkHealth?.({ signal: never })).not.toEqual({ kind: 'healthy' });
  });
});
