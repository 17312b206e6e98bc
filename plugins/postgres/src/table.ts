// What the server says about a table, whether events can be inserted into it exactly once, and the SQL for it.
//
// Repeats are dropped by a unique index that names the event. Without one, `ON CONFLICT` would have nothing to go by;
// with an index on anything else it would drop events that are none. So the conflict target is always written out, and
// a table that has no such index is refused until it has one. An index may hold more columns than the key, as that of a
// partitioned table has to: their values come from the event, and are the same when it comes again. They may not be
// NULL: two NULLs are no conflict.

import { z } from 'spillway/plugin';
import { type Column, namesAnEvent } from './column-source.ts';
import type { Outcome, Statement } from './connection.ts';
import { ConnectionLost, NeedsSomebody } from './failure.ts';
import type { PostgresOptions } from './options.ts';
import type { RowColumn } from './rows.ts';
import { quoteName, quoteTable, type TableName } from './table-name.ts';

/** A statement that takes rows, one array of texts for each column. */
export interface Insert {
  readonly text: string;
  readonly columns: readonly RowColumn[];
}

interface ColumnFacts {
  readonly name: string;
  /**
   * As SQL, without a length: a cast to one would cut a text without a word, the assignment refuses it. So it has to be
   * `bpchar` and not `character`, which means one of a length of 1.
   */
  readonly type: string;
  readonly isNotNull: boolean;
  /** The server gives it a value where an insert has none. */
  readonly hasDefault: boolean;
  readonly mayInsert: boolean;
  readonly maySelect: boolean;
}

const columnFacts: z.ZodType<ColumnFacts> = z.object({
  name: z.string(),
  type: z.string(),
  isNotNull: z.boolean(),
  hasDefault: z.boolean(),
  mayInsert: z.boolean(),
  maySelect: z.boolean(),
});

export interface TableFacts {
  readonly kind: string;
  readonly columns: readonly ColumnFacts[];
  /** Columns of each unique index that a conflict can be told by. */
  readonly uniqueIndexes: readonly (readonly string[])[];
}

/** Ordinary tables and partitioned ones. */
const tableKinds: readonly string[] = ['r', 'p'];

/** Asks for the facts of a table. */
export function inspection(table: TableName): Statement {
  return { text: inspectionText, values: [quoteTable(table)] };
}

const inspectionText = `
WITH target AS (
  SELECT oid, relkind FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1::text)
)
SELECT (SELECT relkind::text FROM target),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', attname, 'type', pg_catalog.format_type(atttypid, -1), 'isNotNull', attnotnull,
      'hasDefault', atthasdef OR attidentity <> '',
      'mayInsert', pg_catalog.has_column_privilege(attrelid, attnum, 'INSERT'),
      'maySelect', pg_catalog.has_column_privilege(attrelid, attnum, 'SELECT')))::text
    FROM pg_catalog.pg_attribute JOIN target ON attrelid = oid WHERE attnum > 0 AND NOT attisdropped),
  (SELECT pg_catalog.json_agg((
      SELECT pg_catalog.json_agg(attname ORDER BY place)
      FROM pg_catalog.unnest(indkey) WITH ORDINALITY AS part(number, place)
      JOIN pg_catalog.pg_attribute ON attrelid = indrelid AND attnum = number
      WHERE place <= indnkeyatts))::text
    FROM pg_catalog.pg_index JOIN target ON indrelid = oid
    WHERE indisunique AND indisvalid AND indimmediate AND indpred IS NULL AND indexprs IS NULL)
`;

/** Undefined: there is no such table. */
export function readFacts({ rows }: Outcome): TableFacts | undefined {
  const [kind, columns, uniqueIndexes] = rows[0] ?? [];
  if (typeof kind !== 'string') return undefined;
  try {
    return {
      kind,
      columns: z.array(columnFacts).parse(JSON.parse(columns ?? '[]')),
      uniqueIndexes: z.array(z.array(z.string())).parse(JSON.parse(uniqueIndexes ?? '[]')),
    };
  } catch (cause) {
    throw new ConnectionLost('what the server says of the table makes no sense', { cause });
  }
}

/** The SQL that makes a table that is missing; that of its schema, if it names one, is separate. */
export function createStatements(table: TableName, columns: readonly Column[]): readonly Statement[] {
  const { schema } = table;
  const create = { text: createText(table, columns) };
  return schema === undefined ? [create] : [{ text: `CREATE SCHEMA IF NOT EXISTS ${quoteName(schema)}` }, create];
}

function createText(table: TableName, columns: readonly Column[]): string {
  const key = keyOf(columns);
  const lines = columns.map(({ name, type }) => `${quoteName(name)} ${type}`);
  const primary = `PRIMARY KEY (${key.map(quoteName).join(', ')})`;
  return `CREATE TABLE IF NOT EXISTS ${quoteTable(table)} (${[...lines, primary].join(', ')})`;
}

/** The fewest of our columns that name an event. */
function keyOf(columns: readonly Column[]): readonly string[] {
  const key = columns.filter(({ source }) => source.kind === 'key').slice(0, 1);
  const parts = (['buffer', 'epoch', 'id'] as const).flatMap((kind) => {
    const column = columns.find(({ source }) => source.kind === kind);
    return column === undefined ? [] : [column];
  });
  return (key.length > 0 ? key : parts).map(({ name }) => name);
}

/** Throws NeedsSomebody, with the SQL that would help, if events cannot be inserted exactly once. */
export function insertFor(table: TableName, facts: TableFacts | undefined, options: PostgresOptions): Insert {
  const { columns } = options;
  const name = quoteTable(table);
  if (facts === undefined) {
    const sql = createStatements(table, columns).map(({ text }) => text);
    throw new NeedsSomebody(`table ${name} is missing: ${sql.join('; ')}; or set create_table: true`);
  }
  if (!tableKinds.includes(facts.kind)) {
    throw new NeedsSomebody(`${name} is no table: expected an ordinary or a partitioned one`);
  }
  const known = new Map(facts.columns.map((column) => [column.name, column]));
  const ours = new Set(columns.map((column) => column.name));
  const missing = columns.filter((column) => !known.has(column.name));
  if (missing.length > 0) {
    const added = missing.map((column) => `ADD COLUMN ${quoteName(column.name)} ${column.type}`);
    throw new NeedsSomebody(`table ${name} has no such columns: ALTER TABLE ${name} ${added.join(', ')}`);
  }
  const left = facts.columns.filter((fact) => fact.isNotNull && !fact.hasDefault && !ours.has(fact.name));
  if (left.length > 0) {
    const dropped = left.map((fact) => `ALTER COLUMN ${quoteName(fact.name)} DROP NOT NULL`);
    throw new NeedsSomebody(
      `table ${name} needs values that the config has no columns for: add them to columns, or ` +
        `ALTER TABLE ${name} ${dropped.join(', ')}`,
    );
  }
  const target = conflictTarget(columns, facts);
  if (target === undefined) {
    const key = keyOf(columns).map(quoteName).join(', ');
    throw new NeedsSomebody(
      `table ${name} has no unique index to know repeats by: CREATE UNIQUE INDEX ON ${name} (${key}), ` +
        'with further columns of ours if need be, but none that may be null, nothing deferrable and no WHERE',
    );
  }
  checkPrivileges(name, columns, target, known);
  return insertText(name, columns, target, known, options.synchronous_commit);
}

/** The columns of the shortest index that names an event. */
function conflictTarget(columns: readonly Column[], facts: TableFacts): readonly string[] | undefined {
  const ours = new Map(columns.map(({ name, source }) => [name, source]));
  const notNull = new Set(facts.columns.filter(({ isNotNull }) => isNotNull).map(({ name }) => name));
  const fitting = facts.uniqueIndexes.filter((names) => {
    const sources = names.flatMap((name) => ours.get(name) ?? []);
    if (sources.length < names.length || !namesAnEvent(sources)) return false;
    return names.every((name) => notNull.has(name) || neverNull.includes(ours.get(name)?.kind ?? ''));
  });
  return fitting.sort((a, b) => a.length - b.length)[0];
}

const neverNull: readonly string[] = ['key', 'buffer', 'epoch', 'id', 'signal', 'json'];

function checkPrivileges(
  table: string,
  columns: readonly Column[],
  target: readonly string[],
  known: ReadonlyMap<string, ColumnFacts>,
): void {
  const mayInsert = columns.every(({ name }) => known.get(name)?.mayInsert);
  const maySelect = target.every((name) => known.get(name)?.maySelect);
  if (mayInsert && maySelect) return;
  throw new NeedsSomebody(
    `no privilege to insert into ${table} and to look repeats up: ` +
      `GRANT INSERT, SELECT (${target.map(quoteName).join(', ')}) ON ${table} TO <this role>`,
  );
}

/**
 * One statement, which is one transaction. The settings last as long as that, so that they reach no other user of a
 * connection that a pooler shares.
 */
function insertText(
  table: string,
  columns: readonly Column[],
  target: readonly string[],
  known: ReadonlyMap<string, ColumnFacts>,
  synchronousCommit: string,
): Insert {
  const types = columns.map(({ name }) => known.get(name)?.type ?? 'text');
  const names = columns.map(({ name }) => quoteName(name)).join(', ');
  const casts = types.map((type, at) => `event.c${at}::${type}`).join(', ');
  const arrays = types.map((_, at) => `$${at + 1}::text[]`).join(', ');
  const parts = types.map((_, at) => `c${at}`).join(', ');
  return {
    text:
      `WITH setting AS (${settingText(synchronousCommit)}) INSERT INTO ${table} (${names}) SELECT ${casts} ` +
      `FROM setting, unnest(${arrays}) AS event(${parts}) ON CONFLICT (${target.map(quoteName).join(', ')}) DO NOTHING`,
    columns: columns.map(({ source }, at) => ({ source, isJson: types[at] === 'json' || types[at] === 'jsonb' })),
  };
}

/** That the wait for a standby was ended is said in a warning, which must come; what is said of each row need not. */
function settingText(synchronousCommit: string): string {
  const settings = { synchronous_commit: synchronousCommit, client_min_messages: 'warning' };
  const calls = Object.entries(settings).map(([name, to]) => `pg_catalog.set_config('${name}', '${to}', true)`);
  return `SELECT ${calls.join(', ')}`;
}

/**
 * Writes something that means nothing and is committed like any insert. Rows that were found in the table already may
 * have been committed by a server that nobody answered for: written here, but not by the standby that should confirm.
 * What is committed after them is confirmed after them.
 */
export function markStatement(synchronousCommit: string): Statement {
  return {
    text: `${settingText(synchronousCommit)}, pg_catalog.pg_logical_emit_message(true, 'spillway', '')`,
  };
}
