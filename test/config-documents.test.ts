// config.schema.json and docs/configuration.md are what the schemas say, and what they show can be loaded.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configDocuments } from '../scripts/config-documents.ts';
import { configJsonSchema } from '../src/pipeline/config/json-schema.ts';
import { loadSettings } from '../src/pipeline/config/load-settings.ts';
import { refusedKeys } from '../src/pipeline/config/vector-keys.ts';
import { hostFilesOf } from './config-rig.ts';
import { mismatch } from './json-schema-check.ts';
import { root } from './tidy/source.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

it.each(Object.entries(configDocuments()))('%s is current: npm run docs', (path, text) => {
  expect(read(path)).toBe(text);
});

describe('a config of the examples', () => {
  const paths = globSync('{compose,examples,integration}/**/*.{yaml,yml}', { cwd: root, exclude: ['**/node_modules'] });
  const configs = paths.filter((path) => /^sinks:/m.test(read(path)));

  it('is among them', () => expect(configs).not.toEqual([]));

  it.each(configs)('%s loads, and is what an editor accepts', async (path) => {
    const text = read(path);
    const values = { PORT: '1', RATE: '1', HEALTH: '127.0.0.1:1' };
    const names = Array.from(text.matchAll(/\$\{(?:env:)?(\w+)/g), ([, name = '']) => name);
    const env = { ...Object.fromEntries(names.map((name) => [name, 'http://127.0.0.1:1'])), ...values };
    const request = { file: path, text, baseDirectory: '/etc/spillway', env, files: hostFilesOf({}) };
    expect((await loadSettings({ ...request, plugins: 'skip' })).settings.sinks).toBeDefined();
    expect(mismatch(configJsonSchema(), parse(text))).toBeUndefined();
  });
});

describe('docs/configuration.md', () => {
  const page = read('docs/configuration.md');
  const configs = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text);

  it.each(configs.filter((text) => text.includes('sinks:')))('shows a config that loads: %#', async (text) => {
    const request = { file: 'shown.yaml', text, baseDirectory: '/etc/spillway', env: {}, files: hostFilesOf({}) };
    expect((await loadSettings(request)).warnings).toEqual([]);
    expect(mismatch(configJsonSchema(), parse(text))).toBeUndefined();
  });

  it('names every key that is refused', () => {
    expect(refusedKeys.filter(({ key }) => !page.includes(`\`${key}`))).toEqual([]);
  });

  it('describes every key', () => {
    expect([...page.matchAll(/^\| `[^|]*\| *\|$/gm)]).toEqual([]);
  });
});
