import { z } from 'spillway/plugin';
import { describe, expect, it } from 'vitest';
import { parseEndpoint, peerOf } from './endpoint.ts';
import { schema } from './options.ts';
import { parseTableName, quoteTable } from './table-name.ts';

describe('an endpoint', () => {
  it.each([
    ['postgres://u:p%40ss@db:6543/tele%20metry', ['db', 6543, 'u', 'p@ss', 'tele metry', undefined, 'db:6543']],
    ['postgresql://db', ['db', 5432, undefined, undefined, undefined, undefined, 'db:5432']],
    ['postgres://u@[::1]/d?sslmode=require', ['::1', 5432, 'u', undefined, 'd', true, '[::1]:5432']],
    ['postgres://u@db/d?sslmode=disable', ['db', 5432, 'u', undefined, 'd', false, 'db:5432']],
    ['postgres://u@/d?host=/run/pg', ['/run/pg', 5432, 'u', undefined, 'd', undefined, '/run/pg/.s.PGSQL.5432']],
    ['postgres:///d?host=/run/pg', ['/run/pg', 5432, undefined, undefined, 'd', undefined, '/run/pg/.s.PGSQL.5432']],
    ['postgres://u@%2Frun%2Fpg:1/d', ['/run/pg', 1, 'u', undefined, 'd', undefined, '/run/pg/.s.PGSQL.1']],
    ['postgres://u:100%@db/d', ['db', 5432, 'u', '100%', 'd', undefined, 'db:5432']],
  ])('%s is read', (text, [host, port, user, password, database, usesTls, peer]) => {
    const endpoint = parseEndpoint(text);
    expect(endpoint).toEqual({ host, port, user, password, database, usesTls });
    expect(endpoint && peerOf(endpoint)).toBe(peer);
  });

  it.each([
    'db:5432',
    'mysql://u@db/d',
    'postgres:///d',
    'postgres://u@a,b/d',
    'postgres://u@db:x/d',
    'postgres://u@db/d?sslmode=prefer',
    'postgres://u@db/d?sslmode=no-verify',
    'postgres://u@db/d?sslrootcert=/etc/passwd',
    'postgres://u@db/a/b',
  ])('%s is refused', (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });
});

describe('a table', () => {
  it.each([
    ['events', '"events"'],
    ['App.Events', '"App"."Events"'],
    ['"a.b"."c""d"', '"a.b"."c""d"'],
    ['a"b', undefined],
    ['a.b.c', undefined],
    ['', undefined],
    ['.a', undefined],
    ['x'.repeat(64), undefined],
    ['ä'.repeat(32), undefined],
    ['a\u0000b', undefined],
    ['events"; DROP TABLE x; --', undefined],
    ["events'); DROP TABLE x; --", `"events'); DROP TABLE x; --"`],
  ])('%j is %j', (text, expected) => {
    const name = parseTableName(text);
    expect(name && quoteTable(name)).toBe(expected);
  });
});

describe('options', () => {
  const given = { endpoint: 'postgres://u@db/d', table: 'events' };
  const issuesOf = (options: Readonly<Record<string, unknown>>): string => {
    const result = schema.safeParse({ ...given, ...options });
    return result.success ? '' : z.prettifyError(result.error);
  };

  it('have defaults that need no more than a server and a table', () => {
    expect(schema.parse(given)).toMatchObject({
      create_table: false,
      pool_size: 5,
      synchronous_commit: 'on',
      connect_timeout_secs: 5_000,
      columns: [
        { name: 'key', source: { kind: 'key' }, type: 'text' },
        { name: 'epoch', source: { kind: 'epoch' }, type: 'bigint' },
        { name: 'id', source: { kind: 'id' }, type: 'bigint' },
        { name: 'signal', source: { kind: 'signal' }, type: 'text' },
        { name: 'time', source: { kind: 'time' }, type: 'timestamptz' },
        { name: 'event', source: { kind: 'json' }, type: 'jsonb' },
      ],
    });
  });

  it.each(['redis://u:hunter22@db', 'postgres://u:hunter#22@db/d'])(
    'miss no user in %s, of which none is read',
    (endpoint) => {
      const issues = issuesOf({ endpoint });
      expect(issues).toContain('in the key password');
      expect(issues).not.toContain('expected a user');
    },
  );

  it.each([
    [{ endpoint: 'redis://u:hunter22@db' }, 'expected postgres://user@host:5432/database'],
    [{ endpoint: 'postgres://:hunter22@db/d' }, 'expected a user, here or in the endpoint'],
    [{ endpoint: 'postgres://u:hunter22@db/d?sslmode=disable', tls: {} }, 'expected no tls beside sslmode=disable'],
    [{ table: 'a.b.c' }, 'expected a table such as events'],
    [{ columns: { a: 'nothing' } }, 'expected key, buffer, epoch'],
    [{ columns: { body: 'body' } }, 'expected a column from key, or columns from buffer, epoch and id'],
    [{ columns: { epoch: 'epoch', id: 'id' } }, 'expected a column from key'],
    [{ columns: { ['x'.repeat(64)]: 'key' } }, 'expected a name of 1 to 63 bytes'],
    [{ columns: { key: { from: 'key', type: 'text); DROP TABLE x; --' } } }, 'expected a type such as'],
    [{ columns: { key: { from: 'key', typ: 'text' } } }, 'Unrecognized key'],
    [{ columns: Object.fromEntries(Array.from({ length: 201 }, (_, at) => [`c${at}`, 'key'])) }, 'at most 200 columns'],
    [{ pool_size: 0 }, 'expected number to be >=1'],
    [{ synchronous_commit: 'sometimes' }, 'Invalid option'],
    [{ sql: 'x' }, 'Unrecognized key'],
  ])('%j: %s', (options, issue) => {
    expect(issuesOf(options)).toContain(issue);
    expect(issuesOf(options)).not.toContain('hunter22');
  });

  it.each(['text', 'double precision', 'numeric(12, 3)', 'timestamp(6) with time zone', 'app.severity', 'int8[]'])(
    'take the type %s',
    (type) => {
      expect(issuesOf({ columns: { key: { from: 'key', type } } })).toBe('');
    },
  );
});
