import { describe, expect, it } from 'vitest';
import { type NatsOptions, schema } from './options.ts';
import { checkNatsOptions } from './surroundings.ts';

const parsed = (given: object): NatsOptions => schema.parse({ url: 'nats://a', subject: 's', ...given });
const signals = ['logs', 'traces'] as const;
const disk = { id: 'one', isDurable: true };

function problems(given: object, other?: object, buffer = disk): string[] {
  const earlier = other === undefined ? [] : [{ id: 'first', options: parsed(other), signals, buffer: disk }];
  const found = checkNatsOptions(parsed(given), { buffer, signals, earlier });
  return found.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('deduplicate: stream', () => {
  it('needs a buffer whose keys outlive the process', () => {
    const memory = { id: 'one', isDurable: false };
    expect(problems({}, undefined, memory)).toEqual([
      expect.stringContaining('deduplicate: a stream of its own needs a buffer'),
    ]);
    expect(problems({ deduplicate: 'window' }, undefined, memory)).toEqual([]);
  });

  it.each([
    [{}, {}, 'subject'],
    [{ url: 'nats://b,nats://a:4222' }, {}, 'subject'],
    [{ subject: 's.{signal}' }, { subject: 's.traces' }, 'subject'],
    [{ stream: 'S' }, { subject: 'other', stream: 'S' }, 'stream'],
    [{}, { deduplicate: 'window' }, 'subject'],
  ])('needs a stream of its own: %j after %j', (given, other, key) => {
    expect(problems(given, other)).toEqual([expect.stringContaining(`${key}: "first" writes to the same stream`)]);
  });

  it.each([
    [{ subject: 'other' }, {}],
    [{ url: 'nats://b' }, {}],
    [{ domain: 'leaf' }, {}],
    [{ stream: 'S' }, { stream: 'T' }],
    [{ subject: 's.{signal}' }, { subject: 's.metrics' }],
    [{ url: 'nats://tenant:p@a' }, { url: 'nats://other:p@a' }],
    [{ auth: { strategy: 'token', token: { value: 'one' } } }, {}],
    [
      { auth: { strategy: 'credentials_file', credentials_file: { path: '/one.creds' } } },
      { auth: { strategy: 'credentials_file', credentials_file: { path: '/two.creds' } } },
    ],
    [{ tls: { crt_file: '/one.pem', key_file: '/one.key' } }, { tls: { crt_file: '/two.pem', key_file: '/two.key' } }],
  ])('has one in %j after %j', (given, other) => {
    expect(problems(given, other)).toEqual([]);
  });
});

it('with a window may share a stream, but not with a sink of the same buffer', () => {
  const shared = { deduplicate: 'window' };
  expect(problems(shared, shared, { ...disk, id: 'two' })).toEqual([]);
  expect(problems(shared, shared)).toEqual([
    'subject: "first" writes to the same stream; expected one that is this sink\'s alone',
  ]);
});

it('with a window may share it with a sink of the same memory buffer: ids that mean nothing are not sent', () => {
  const shared = { deduplicate: 'window' };
  expect(problems(shared, shared, { ...disk, isDurable: false })).toEqual([]);
});
