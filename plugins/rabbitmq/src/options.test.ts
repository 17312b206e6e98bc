import { describe, expect, it } from 'vitest';
import { parseConnectionString } from './connection-string.ts';
import { addressOf, schema } from './options.ts';

const url = 'amqp://localhost';
const secure = 'amqps://localhost';
const longArgument = `declare.arguments.${'x'.repeat(256)}`;
const certificate = { crt_file: '/c', key_file: '/k' };

describe('a connection string', () => {
  it.each([
    ['amqp://h', { isSecure: false, host: 'h', port: 5672, user: '', password: '', virtualHost: '/' }],
    ['amqps://h', { isSecure: true, host: 'h', port: 5671, user: '', password: '', virtualHost: '/' }],
    ['amqp://u:p@h:1/v', { isSecure: false, host: 'h', port: 1, user: 'u', password: 'p', virtualHost: 'v' }],
    ['amqp://h/%2f', { isSecure: false, host: 'h', port: 5672, user: '', password: '', virtualHost: '/' }],
    ['amqp://h/', { isSecure: false, host: 'h', port: 5672, user: '', password: '', virtualHost: '' }],
    [
      'amqp://%40:%3a@[::1]/a%20b',
      { isSecure: false, host: '::1', port: 5672, user: '@', password: ':', virtualHost: 'a b' },
    ],
  ])('%s is taken apart', (text, expected) => {
    expect(parseConnectionString(text)).toEqual(expected);
  });

  it.each(['', 'h', 'http://h', 'amqp:', 'amqp:///v', 'amqp://h/a/b', 'amqp://h?x=1', 'amqp://h#x', 'amqp://h/%zz'])(
    'is not "%s"',
    (text) => {
      expect(parseConnectionString(text)).toBeUndefined();
    },
  );
});

describe('options', () => {
  it('have their defaults', () => {
    expect(schema.parse({ connection_string: url, queue: 'q', declare: {} })).toEqual({
      connection_string: url,
      queue: 'q',
      auth: 'plain',
      declare: { queue_type: 'quorum', arguments: {} },
      payload: 'json',
      properties: {},
      heartbeat_secs: 10_000,
      connect_timeout_secs: 5_000,
    });
  });

  it.each([
    [{ connection_string: url }, 'exchange'],
    [{ connection_string: url, queue: 'q', exchange: 'e' }, 'exchange'],
    [{ connection_string: url, queue: 'q', routing_key: 'r' }, 'routing_key'],
    [{ connection_string: url, queue: 'q', declare: { queue: 'r' } }, 'declare.queue'],
    [{ connection_string: url, queue: 'q', declare: { exchange_type: 'topic' } }, 'declare.exchange_type'],
    [{ connection_string: url, queue: 'q', declare: { binding_key: '#' } }, 'declare.binding_key'],
    [{ connection_string: url, exchange: 'e', declare: { binding_key: '#' } }, 'declare.binding_key'],
    [{ connection_string: url, queue: 'ä'.repeat(128) }, 'queue'],
    [{ connection_string: `${url}/${'v'.repeat(256)}`, queue: 'q' }, 'connection_string'],
    [{ connection_string: url, queue: 'q', declare: { arguments: { ['x'.repeat(256)]: 1 } } }, longArgument],
    [{ connection_string: url, queue: 'q', tls: {} }, 'tls'],
    [{ connection_string: secure, queue: 'q', auth: 'external' }, 'auth'],
    [{ connection_string: url, queue: 'q', auth: 'external' }, 'auth'],
    [{ connection_string: secure, queue: 'q', auth: 'external', tls: { crt_file: '/c' } }, 'tls.key_file'],
    [{ connection_string: 'amqp://u@localhost', queue: 'q' }, 'password'],
    [{ connection_string: url, queue: 'q', username: 'u' }, 'password'],
    [{ connection_string: 'http://localhost', queue: 'q' }, 'connection_string'],
    [{ connection_string: url, exchange: 'e', routing_key: '{host}' }, 'routing_key'],
    [{ connection_string: url, queue: 'q', properties: { priority: 256 } }, 'properties.priority'],
    [{ connection_string: url, queue: 'q', colour: 'red' }, ''],
  ])('%j are refused at %s', (given, path) => {
    const { success, error } = schema.safeParse(given);
    expect(success).toBe(false);
    expect(error?.issues.map((issue) => issue.path.join('.'))).toContain(path);
  });

  it.each([
    [{ connection_string: secure, queue: 'q', auth: 'external', tls: certificate }],
    [{ connection_string: url, exchange: 'e' }],
    [{ connection_string: 'amqp://u@localhost', queue: 'q', password: 'p' }],
    [{ connection_string: 'amqp://guest@localhost', queue: 'q' }],
    [{ connection_string: 'amqps://u@localhost', queue: 'q', auth: 'external', tls: certificate }],
    [{ connection_string: url, exchange: 'e', routing_key: '{signal}', declare: { queue: 'q', binding_key: 'logs' } }],
  ])('%j are taken', (given) => {
    expect(schema.safeParse(given).error).toBeUndefined();
  });
});

it('who logs in stands in the connection string, in keys, or is guest', () => {
  const login = (given: object): readonly string[] => {
    const { user, password } = addressOf(schema.parse({ connection_string: url, queue: 'q', ...given }));
    return [user, password];
  };
  expect(login({})).toEqual(['guest', 'guest']);
  expect(login({ connection_string: 'amqp://a:b@h' })).toEqual(['a', 'b']);
  expect(login({ connection_string: 'amqp://a:b@h', password: 'c' })).toEqual(['a', 'c']);
});
