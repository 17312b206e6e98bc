// Every config in the README of a plugin is one that `spillway validate` takes: whole ones as they stand, parts of a
// sink in that of the config before them. And npm packs the license that stands beside the README, and no other.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { loadSettings } from '../src/pipeline/config/load-settings.ts';
import { NodeHostFiles } from '../src/platform/node-host-files.ts';
import { root } from './tidy/source.ts';

type Keys = Readonly<Record<string, unknown>>;
type Whole = Keys & { readonly sinks: Readonly<Record<string, Keys>> };

const plugins = readdirSync(join(root, 'plugins'));

function blocksOf(plugin: string): Keys[] {
  const page = readFileSync(join(root, 'plugins', plugin, 'README.md'), 'utf8');
  return [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => parse(text ?? '') as Keys);
}

/** Secrets are where the pages say. */
class FilesWithSecrets extends NodeHostFiles {
  override async readText(path: string): Promise<string | undefined> {
    return path.startsWith('/run/secrets/') ? 'secret' : await super.readText(path);
  }
}

async function check(plugin: string, config: Keys): Promise<void> {
  const request = { file: join(root, 'plugins', plugin, 'README.md'), files: new FilesWithSecrets(), env: {} };
  expect((await loadSettings({ ...request, text: stringify(config) })).warnings).toEqual([]);
}

/** The whole config with each part in its sink: one with a type is a sink of its own, others add to the last one. */
function* withParts({ sinks, ...whole }: Whole, parts: readonly Keys[]): Generator<Keys> {
  const [[id, first] = ['', {}]] = Object.entries(sinks);
  const { type, inputs, buffer } = first;
  let sink = first;
  for (const part of parts) {
    if ('sinks' in part) {
      yield part;
      continue;
    }
    sink = 'type' in part ? { type, inputs, buffer, ...part } : { ...sink, ...part };
    yield { ...whole, sinks: { [id]: sink } };
  }
}

describe.each(plugins)('the README of %s', (plugin) => {
  const [whole, ...parts] = blocksOf(plugin);

  it('begins with a config that is valid', async () => {
    expect(whole).toHaveProperty('sinks');
    await check(plugin, whole as Whole);
  });

  it('goes on with parts that are', async () => {
    for (const config of withParts(whole as Whole, parts)) await check(plugin, config);
  });
});

it.each(plugins)('%s is packed with the license', (plugin) => {
  const license = readFileSync(join(root, 'LICENSE'), 'utf8');
  expect(readFileSync(join(root, 'plugins', plugin, 'LICENSE'), 'utf8')).toBe(license);
});
