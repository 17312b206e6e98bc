import { describe, expect, it } from 'vitest';
import { type RedisOptions, schema } from './options.ts';
import { checkRedisOptions } from './surroundings.ts';

const parsed = (given: object): RedisOptions => schema.parse({ url: 'redis://a', key: 'k', ...given });
const signals = ['logs', 'traces'] as const;
const disk = { id: 'one', isDurable: true };

function problems(given: object, other?: object, buffer = disk): string[] {
  const earlier = other === undefined ? [] : [{ id: 'first', options: parsed(other), signals, buffer: disk }];
  const found = checkRedisOptions(parsed(given), { buffer, signals, earlier });
  return found.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('ids: key', () => {
  it('needs a buffer whose keys outlive the process', () => {
    const memory = { id: 'one', isDurable: false };
    expect(problems({}, undefined, memory)).toEqual([expect.stringContaining('ids: keys as ids need a buffer')]);
    expect(problems({ ids: 'auto' }, undefined, memory)).toEqual([]);
    expect(problems({ data_type: 'list' }, undefined, memory)).toEqual([]);
  });

  it.each([
    [{}, {}, 'key'],
    [{ url: 'redis://a:6379/0' }, {}, 'key'],
    [{ key: undefined, stream: 'k' }, {}, 'stream'],
    [{ key: '{signal}' }, { key: 'traces' }, 'key'],
    [{}, { ids: 'auto' }, 'key'],
    [{ ids: 'auto' }, {}, 'key'],
    [{ data_type: 'list' }, {}, 'key'],
  ])('needs a stream of its own: %j after %j', (given, other, key) => {
    expect(problems(given, other)).toEqual([
      `${key}: "first" writes to it, too: with ids: key a stream is for one sink alone`,
    ]);
  });

  it.each([
    [{ key: 'other' }, {}],
    [{ url: 'redis://b' }, {}],
    [{ url: 'redis://a/1' }, {}],
    [{ key: '{signal}' }, { key: 'metrics' }],
    [{ ids: 'auto' }, { ids: 'auto' }],
  ])('has one in %j after %j', (given, other) => {
    expect(problems(given, other)).toEqual([]);
  });
});
