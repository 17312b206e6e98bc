import { z } from 'spillway/plugin';
import { describe, expect, it } from 'vitest';
import { clusterOf, keyOf, type RedisOptions, schema, serverOf } from './options.ts';

const url = 'redis://localhost';
const parse = (given: Readonly<Record<string, unknown>>) => schema.safeParse({ stream: 's', ...given });
const parsed = (given: Readonly<Record<string, unknown>>): RedisOptions => schema.parse({ key: 'k', url, ...given });

describe('options', () => {
  it('have their defaults', () => {
    expect(parse({ url }).data).toEqual({
      url,
      stream: 's',
      data_type: 'stream',
      payload: 'json',
      ids: 'key',
      cluster: false,
      connect_timeout_secs: 5000,
    });
  });

  it.each([
    [{}],
    [{ url, endpoint: 'redis://b' }],
    [{ url: 'http://a' }],
    [{ url: 'redis://a/db' }],
    [{ url: 'redis://%zz@a' }],
    [{ url, max_length: 0 }],
    [{ url, ids: 'none' }],
    [{ url, colour: 'red' }],
    [{ url, key: 'both' }],
    [{ url, stream: undefined }],
    [{ url, data_type: 'channel' }],
    [{ url, data_type: 'list' }],
    [{ url, list: { method: 'lpush' } }],
    [{ url, stream: undefined, key: 'k', data_type: 'list', list: { method: 'push' } }],
    [{ url, stream: undefined, key: 'k', data_type: 'list', payload: 'protobuf' }],
    [{ url, tls: {} }],
    [{ url, nodes: ['a:1'] }],
    [{ url, cluster: true, nodes: [] }],
    [{ url, cluster: true, nodes: ['a'] }],
    [{ url, node_address_map: { 'a:1': 'b:1' } }],
    [{ url, cluster: true, node_address_map: { a: 'b:1' } }],
    [{ url: 'redis://a/1', cluster: true }],
    [{ url: 'unix:///redis.sock', cluster: true }],
    [{ url, wait_replicas: 0 }],
  ])('%j are refused', (given) => {
    expect(parse(given).success).toBe(false);
  });

  it('say all that is wrong at once', () => {
    const issues = parse({ key: 'k', nodes: ['a:1'], list: {} }).error?.issues ?? [];
    expect(issues.map(({ path }) => path.join('.'))).toEqual(['url', 'key', 'list', 'nodes']);
  });

  it.each([
    [{ url: 'rediss://a', tls: { ca_file: '/ca.pem' } }],
    [{ endpoint: 'unix:///run/redis.sock?db=2' }],
    [
      {
        url,
        cluster: true,
        nodes: ['a:1', '[::1]:2'],
        node_address_map: { '10.0.0.5:6379': 'b:1', '[::1]:6379': 'c:1' },
      },
    ],
    [{ url, stream: undefined, key: 'k', data_type: 'list', payload: 'protobuf', list: { element: 'request' } }],
    [{ url, wait_replicas: 2 }],
  ])('%j are taken', (given) => {
    expect(parse(given).success).toBe(true);
  });

  it('can be described by a JSON Schema', () => {
    expect(z.toJSONSchema(schema, { io: 'input' })).toMatchObject({
      additionalProperties: false,
      properties: { key: { type: 'string' }, data_type: { default: 'stream' } },
    });
  });
});

describe('a key', () => {
  it.each(['syslog:{{ app }}', 'x-{resource.service.name}', '{attribute.a}', '{severity}'])(
    'is no template: %s',
    (key) => {
      const { error } = parse({ url, key, stream: undefined });
      expect(error?.issues).toMatchObject([{ path: ['key'], message: /{signal} is the only placeholder/ }]);
      expect(parse({ url, stream: key }).success).toBe(false);
    },
  );

  it.each([
    ['a{b', true],
    ['{a}b{}', true],
    ['{{signal}}:a', true],
    ['a}b', false],
    ['{}a', false],
    ['a{}{b}', false],
  ])('%s of a cluster has a slot with its companion: %s', (stream, isTaken) => {
    expect(parse({ url, stream, cluster: true }).success).toBe(isTaken);
    expect(parse({ url, stream }).success).toBe(true);
    expect(parse({ url, stream, cluster: true, ids: 'auto' }).success).toBe(true);
  });
});

describe('the server', () => {
  it.each(['redis://h?db=3', 'redis://h/1#x', 'unix:///run/redis.sock?database=3', 'unix://run/redis.sock'])(
    '%s says something that would be left out',
    (text) => {
      expect(parse({ url: text, stream: 's' }).success).toBe(false);
    },
  );

  it.each([
    ['redis://h', { address: { host: 'h', port: 6379 }, database: 0, tls: undefined }],
    [
      'redis://u%40x:p%2Fw@h:7000/3',
      { address: { host: 'h', port: 7000 }, database: 3, username: 'u@x', password: 'p/w' },
    ],
    ['redis://[::1]:7000', { address: { host: '::1', port: 7000 } }],
    ['unix:///run/my%20redis.sock?db=2', { address: { path: '/run/my redis.sock' }, database: 2 }],
    ['rediss://h', { address: { host: 'h', port: 6379 }, tls: { verify_certificate: true, verify_hostname: true } }],
  ])('%s is taken apart', (text, found) => {
    expect(serverOf(parsed({ url: text }))).toMatchObject(found);
  });

  it('has a user and a password from wherever they stand', () => {
    expect(serverOf(parsed({ url: 'redis://me@h', password: 'pw' }))).toMatchObject({ username: 'me', password: 'pw' });
    expect(serverOf(parsed({ username: 'me', password: 'pw' }))).toMatchObject({ username: 'me', password: 'pw' });
  });
});

it('gives the nodes to begin with, and where announced ones are', () => {
  expect(clusterOf(parsed({}))).toBeUndefined();
  const map = { '10.0.0.5:6379': 'b:1', '[::1]:6379': 'c:2' };
  expect(clusterOf(parsed({ cluster: true, nodes: ['a:1'], node_address_map: map }))).toEqual({
    seeds: [
      { host: 'localhost', port: 6379 },
      { host: 'a', port: 1 },
    ],
    addressMap: new Map([
      ['10.0.0.5:6379', { host: 'b', port: 1 }],
      ['[::1]:6379', { host: 'c', port: 2 }],
    ]),
  });
});

it('gives a key for each signal', () => {
  expect(keyOf(parsed({ key: '{app}:{signal}' }), 'traces')).toBe('{app}:traces');
  expect(keyOf(schema.parse({ url, stream: 'one' }), 'logs')).toBe('one');
});
