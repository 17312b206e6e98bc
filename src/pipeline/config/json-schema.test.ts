import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { load, stubBuiltins, withSink } from '../../../test/config-rig.ts';
import { mismatch } from '../../../test/json-schema-check.ts';
import { z } from '../contract/index.ts';
import { byteSize, seconds } from '../contract/values.ts';
import { configJsonSchema, objectSchema } from './json-schema.ts';

const schema = configJsonSchema(stubBuiltins);
const sink = (lines: string, type = 'store'): string => withSink(lines, type);

describe('what is loaded is accepted', () => {
  it.each([
    ['a minimal config', sink('url: http://store')],
    [
      'variables for any value',
      sink('url: ${URL}\nevery_secs: ${N}\nmode: ${MODE}\nhealthcheck: ${YES}\nbatch: { max_events: "${N}" }'),
    ],
    ['secrets from files', sink('url: http://store\npassword_file: /word\nauth: { token_file: /word }')],
    [
      'every key of a sink',
      sink(
        'url: http://store\nstart_at: newest\nacknowledgements: true\nrequest: { concurrency: none, headers: ' +
          '{ a: b } }\nbatch: { max_bytes: 4MiB }\nhealthcheck: false\non_blocked: dead_letter\ndead_letters: ' +
          '{ path: x, max_size: 8KiB }',
      ),
    ],
    ['no dead letters', sink('url: http://store\ndead_letters: false')],
    ['a buffer without a type', sink('url: http://store\nbuffer: { max_size: 1GiB }')],
    ['a chain', sink('url: http://store\nbuffer: [{ type: memory, when_full: overflow }, { type: disk }]')],
    [
      'a shared buffer',
      `buffers: { shelf: {} }\nhealth: { address: "127.0.0.1:1" }\n${sink('url: http://store\nbuffer: shelf')}`,
    ],
  ])('%s', async (_, text) => {
    const env = { URL: 'http://store', N: '5', MODE: 'replace', YES: 'true' };
    const quoted = text.replace('max_events: "${N}"', 'max_events: 5');
    await load(quoted, { env, disk: { '/word': 'w' } });
    expect(mismatch(schema, parse(text))).toBeUndefined();
  });

  it('the options of a plugin', async () => {
    const text = sink('anything: { at: all }', 'queue');
    await load(text, { plugins: 'skip' });
    expect(mismatch(schema, parse(text))).toBeUndefined();
  });
});

describe('what is refused is marked', () => {
  it.each([
    ['a misspelt key', sink('url: http://store\nmod: append')],
    ['a missing key', sink('mode: append')],
    ['a wrong value', sink('url: http://store\nmode: appendd')],
    ['a wrong type', sink('url: http://store\ntags: a')],
    ['a misspelt key of all sinks', sink('url: http://store\nrequest: { retries: 1 }')],
    ['a key of another buffer', sink('url: http://store\nbuffer: { max_events: 1 }')],
    ['an unknown key at the top', `transforms: {}\n${sink('url: http://store')}`],
    ['a bad id', sink('url: http://store').replace('  out:', '  Out:')],
  ])('%s', (_, text) => {
    expect(mismatch(schema, parse(text))).toBeDefined();
  });
});

it('shows defaults as one writes them', () => {
  const { properties } = objectSchema(
    z.strictObject({
      before: seconds().prefault(5),
      behind: seconds().default(5_000),
      size: byteSize().prefault('4MiB'),
      endless: z.number().default(Number.POSITIVE_INFINITY),
    }),
  );
  expect(properties['before']).toMatchObject({ default: 5 });
  expect(properties['behind']).toMatchObject({ default: 5 });
  expect(properties['size']).toMatchObject({ default: '4MiB' });
  expect(properties['endless']).not.toHaveProperty('default');
});
