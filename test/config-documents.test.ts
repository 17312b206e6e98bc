// config.schema.json and docs/configuration.md are what the schemas say, and what they show can be loaded.
import { readFileSync } from 'node:fs';
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
