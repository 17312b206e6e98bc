// Whatever a file holds, it is a config or it is refused with places that are in it: never any other error.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { load, withSink } from '../../../test/config-rig.ts';
import { ConfigError } from '../../base/errors.ts';

const whole = `${withSink(
  [
    'url: "http://store/${PATH:-x}"',
    'password_file: /word',
    'tags: [&tag a, *tag, "b"]',
    'auth: { token: "${TOKEN}" }',
    'request: { concurrency: 2, headers: { A: b } }',
    'buffer:',
    '- { type: memory, when_full: overflow }',
    '- type: disk',
    '  max_size: 1GiB',
  ].join('\n'),
)}\nbuffers:\n  shelf: {}\n`;

const given = { env: { TOKEN: 'hunter2' }, disk: { '/word': 'hunter2\n' } };

async function check(text: string): Promise<void> {
  try {
    await load(text, given);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = text.split(/\r\n|\n|\r/);
    expect(error.issues).not.toEqual([]);
    for (const { line = 0, column = 0, message } of error.issues) {
      expect(message).not.toContain('hunter2');
      expect(message).not.toMatch(/undefined|\[object|NaN/);
      expect(line).toBeGreaterThan(0);
      expect(line).toBeLessThanOrEqual(lines.length);
      expect(column).toBeGreaterThan(0);
      expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 2);
    }
  }
}

it('loads before it is changed', async () => {
  expect((await load(whole, given)).settings.sinks).toHaveLength(1);
});

const pieces = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ': ',
  '- ',
  '\n',
  '  ',
  '"',
  "'",
  '#',
  '&a ',
  '*a',
  '!',
  '|',
  '>',
  '$',
  '${',
  '%',
  '~',
  '? ',
  ',',
  '\t',
  '---\n',
  '<<',
  'type',
  '0',
  '\u0000',
  '\u{1f600}',
  '__proto__',
];

it('with pieces put in, taken out or moved is a config or is refused', async () => {
  const place = fc.nat({ max: whole.length });
  const change = fc.record({ at: place, length: fc.nat({ max: 12 }), piece: fc.constantFrom('', ...pieces) });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      let text = whole;
      for (const { at, length, piece } of changes) text = text.slice(0, at) + piece + text.slice(at + length);
      await check(text);
    }),
    { numRuns: 800 },
  );
});

it('of any values at all is a config or is refused', async () => {
  const value = fc.jsonValue({ maxDepth: 3 });
  const key = fc.constantFrom('data_dir', 'sources', 'sinks', 'buffers', 'health', 'healthchecks', 'acknowledgements');
  await fc.assert(
    fc.asyncProperty(fc.dictionary(key, value), async (config) => await check(JSON.stringify(config))),
    { numRuns: 200 },
  );
  const sinkKey = fc.constantFrom(
    'type',
    'inputs',
    'buffer',
    'request',
    'batch',
    'url',
    'auth',
    'dead_letters',
    'tags',
  );
  await fc.assert(
    fc.asyncProperty(fc.dictionary(sinkKey, value), async (sink) => {
      const blocks = { data_dir: 'd', sources: { a: { type: 'stdin' } }, sinks: { b: { type: 'store', ...sink } } };
      await check(JSON.stringify(blocks));
    }),
    { numRuns: 200 },
  );
});
