// Names of tables and columns, on their way into SQL: always quoted, so that they mean what the config says, letter by
// letter, and nothing in them is ever read as SQL.

import type { Signal } from 'spillway/plugin';
import { holdable } from './text.ts';

export interface TableName {
  /** Undefined: wherever the search path finds the table. */
  readonly schema: string | undefined;
  readonly table: string;
}

/** Bytes of a name. The server would cut a longer one without a word. */
const nameBytesMax = 63;

/** `events`, `telemetry.events`, or parts in double quotes, which may then hold dots. */
export function parseTableName(text: string): TableName | undefined {
  const parts = /^(?:("(?:[^"]|"")+"|[^".]+)\.)?("(?:[^"]|"")+"|[^".]+)$/.exec(text);
  if (parts === null) return undefined;
  const [schema, table] = [parts[1], parts[2]].map((part) => part && unquote(part));
  if (table === undefined || !isName(table) || (schema !== undefined && !isName(schema))) return undefined;
  return { schema, table };
}

/** The table for a signal: `{signal}` in its name becomes `logs`, `traces` or `metrics`. */
export function tableOf(name: TableName, signal: Signal): TableName {
  const filled = (text: string): string => text.replaceAll('{signal}', signal);
  return { schema: name.schema === undefined ? undefined : filled(name.schema), table: filled(name.table) };
}

/** As SQL. */
export function quoteTable({ schema, table }: TableName): string {
  return schema === undefined ? quoteName(table) : `${quoteName(schema)}.${quoteName(table)}`;
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function isName(text: string): boolean {
  return text !== '' && holdable(text) === text && Buffer.byteLength(text) <= nameBytesMax;
}

function unquote(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;
}
