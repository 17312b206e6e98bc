import { expect, it } from 'vitest';
import { type PostgresOptions, schema } from './options.ts';
import { checkPostgresOptions } from './surroundings.ts';

const parsed = (given: object): PostgresOptions => schema.parse({ endpoint: 'postgres://u@h/d', table: 't', ...given });
const signals = ['logs', 'traces'] as const;

function problems(given: object, other: object, buffer = 'shared'): string[] {
  const shared = { id: 'shared', isDurable: true };
  const earlier = [{ id: 'first', options: parsed(other), signals, buffer: shared }];
  const found = checkPostgresOptions(parsed(given), { buffer: { ...shared, id: buffer }, signals, earlier });
  return found.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

it.each([
  [{}, {}],
  [{ endpoint: 'postgres://u:secret@h:5432/d' }, {}],
  [{ endpoint: 'postgres://other@h/d', table: 's.t' }, { table: 's.t' }],
  [{ endpoint: 'postgres://d@h', table: 's.t' }, { table: 's.t' }],
  [{ table: 's.{signal}' }, { table: 's.traces' }],
])('two sinks of one buffer need a table each: %j after %j', (given, other) => {
  expect(problems(given, other)).toEqual([
    'table: "first" writes the events of the same buffer to it; expected one that is this sink\'s alone',
  ]);
  expect(problems(given, other, 'own')).toEqual([]);
});

it.each([
  { table: 'other' },
  { endpoint: 'postgres://u@h/e' },
  { endpoint: 'postgres://u@h:5433/d' },
  { endpoint: 'postgres://other@h/d' }, // Without a schema the search path says where, and each role may have its own.
])('%j is one', (given) => expect(problems(given, {})).toEqual([]));

it('knows the database as the connection does: by the username, whatever user the endpoint names', () => {
  const schemaTable = { table: 's.t' };
  expect(problems({ ...schemaTable, endpoint: 'postgres://d@h', username: 'other' }, schemaTable)).toEqual([]);
});
