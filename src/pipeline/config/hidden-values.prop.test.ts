// Whatever a secret is and whatever else is wrong: no error says it.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { load, stubBuiltins } from '../../../test/config-rig.ts';
import { ConfigError } from '../../base/errors.ts';
import { defineSink } from '../contract/definition.ts';
import { z } from '../contract/index.ts';
import { byteSize, secret } from '../contract/values.ts';

const talkative = defineSink({
  type: 'store',
  schema: z.strictObject({
    url: z.url(),
    password: secret().refine((value) => value.length > 100, {
      error: ({ input }) => `expected a longer password than ${String(input)}`,
    }),
    count: z.number().refine(() => false, { error: ({ input }) => `cannot count to ${String(input)}` }),
    size: byteSize(),
    mode: z.enum(['append', 'replace']),
    auth: z.strictObject({ token: secret() }),
    tags: z.array(z.string().max(1)),
    port: z.union([z.int().max(1), z.literal('any')]),
  }),
  create: () => Promise.reject(new Error('not made')),
});
const builtins = { ...stubBuiltins, sinks: [talkative] };

/** Letters enough that no sentence of ours has them by chance. */
const word = fc.stringMatching(/^[A-Za-z0-9!#%&*+./:;<=>?@^_|~-]{6,24}$/).map((text) => `q7${text}Zx`);
const digits = fc.integer({ min: 1_000_003, max: 9_999_999 }).map(String);
const hidden = fc.oneof(word, digits);
const keys = ['url', 'password', 'count', 'size', 'mode', 'auth', 'tags', 'port', 'inputs', 'buffer', 'type', 'batch'];
/** How the value stands at a key. */
const shapes = ['$', '"$"', '["$"]', '{ token: "$" }', '{ unknown: "$" }', 'before-$-behind', '{ a: { b: ["$"] } }'];

async function errorOf(lines: readonly string[], given: object): Promise<string> {
  const text = ['data_dir: d', 'sources: { in: { type: stdin } }', 'sinks:', '  out:', ...lines].join('\n');
  try {
    await load(text, { ...given, builtins });
    return '';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return JSON.stringify([error.message, error.issues, String(error.cause), error.stack]);
  }
}

it('never shows what a variable holds, wherever it is put', async () => {
  await fc.assert(
    fc.asyncProperty(hidden, fc.constantFrom(...keys), fc.constantFrom(...shapes), async (value, key, shape) => {
      const others = keys.filter((each) => each !== key && each !== 'type').map((each) => `    ${each}: 5`);
      const type = key === 'type' ? [] : ['    type: store'];
      const lines = [...type, ...others, `    ${key}: ${shape.replace('$', '${WORD}')}`];
      expect(await errorOf(lines, { env: { WORD: value } })).not.toContain(value);
    }),
    { numRuns: 300 },
  );
});

it('never shows a secret that stands in the file, or in a file of its own', async () => {
  const places = [
    '    password: "$"',
    '    auth: { token: "$", x: 1 }',
    '    password: ["$"]',
    '    auth: { token: { a: "$" } }',
    '    password_file: /word',
    '    auth: { token_file: /word }',
    '    request: { headers: { Authorization: ["$"], a: "{{$" } }',
  ];
  await fc.assert(
    fc.asyncProperty(hidden, fc.constantFrom(...places), async (value, place) => {
      const lines = ['    type: store', '    inputs: [nowhere]', '    port: 5', place.replaceAll('$', () => value)];
      expect(await errorOf(lines, { disk: { '/word': value } })).not.toContain(value);
    }),
    { numRuns: 300 },
  );
});
