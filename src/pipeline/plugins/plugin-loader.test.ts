import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { hostFilesOf, issuesOf, load, stubBuiltins, withSink } from '../../../test/config-rig.ts';
import { PluginError } from '../../base/errors.ts';
import { NodeHostFiles } from '../../platform/node-host-files.ts';
import { loadSettings } from '../config/load-settings.ts';
import { defineBuffer, defineSink, defineSource, type PluginDefinition } from '../contract/definition.ts';
import { z } from '../contract/index.ts';
import { PluginLoader } from './plugin-loader.ts';

const neverMade = (): never => {
  throw new Error('made by nobody');
};
const schema = z.strictObject({ topic: z.string().optional() });
const sink = (type: string): PluginDefinition => defineSink({ type, schema, create: neverMade });
const source = (type: string): PluginDefinition => defineSource({ type, schema, create: neverMade });
const home = '/etc/spillway/node_modules';

interface Installed {
  readonly manifest?: unknown;
  /** What the module exports by default, or throws. */
  readonly exported?: unknown;
  readonly from?: string;
}

/** A loader that knows one package, by name, and counts what it imports. */
function loaderWith(name: string, { manifest, exported, from = home }: Installed = {}) {
  const imported: string[] = [];
  const declared = manifest ?? { spillway: { api: 1, types: ['queue'] }, exports: './index.js' };
  const text = typeof declared === 'string' ? declared : JSON.stringify(declared);
  const loader = new PluginLoader({
    builtins: stubBuiltins,
    files: hostFilesOf({ [`${from}/${name}/package.json`]: text, '/etc/spillway/mine.ts': '' }),
    baseDirectory: '/etc/spillway',
    load: true,
    conditions: [],
    importModule: async (url) => {
      imported.push(url);
      if (exported instanceof Error) throw exported;
      return { default: exported };
    },
  });
  return { loader, imported };
}

async function failure(promise: Promise<unknown>): Promise<PluginError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof PluginError) return error;
  throw new Error(`expected a PluginError, found ${String(error)}`);
}

describe('a type', () => {
  it('of a built-in needs no plugin', async () => {
    const { loader, imported } = loaderWith('spillway-store');
    expect(await loader.find('sink', 'store')).toBe(stubBuiltins.sinks[1]);
    expect(imported).toEqual([]);
  });

  it.each([
    ['queue', 'spillway-queue', home],
    ['queue', 'spillway-queue', '/node_modules'],
    ['spillway-queue', 'spillway-queue', home],
    ['@acme/queue', '@acme/queue', '/etc/node_modules'],
  ])('%s comes from the package %s in %s', async (type, name, from) => {
    const definition = sink('queue');
    const { loader, imported } = loaderWith(name, { exported: definition, from });
    expect(await loader.find('sink', type)).toBe(definition);
    expect(await loader.find('sink', type)).toBe(definition);
    expect(imported).toEqual([`file://${from}/${name}/index.js`]);
  });

  it.each(['./mine.ts', '../spillway/mine.ts', '/etc/spillway/mine.ts'])('%s is a file', async (type) => {
    const definition = sink('anything');
    const { loader, imported } = loaderWith('none', { exported: definition });
    expect(await loader.find('sink', type)).toBe(definition);
    expect(imported).toEqual(['file:///etc/spillway/mine.ts']);
  });

  it('is chosen among several by kind and name', async () => {
    const exported = [
      sink('queue'),
      source('queue'),
      sink('other'),
      defineBuffer({ type: 'queue', schema, open: neverMade, isDurable: true }),
    ];
    const { loader } = loaderWith('spillway-queue', { exported });
    expect(await loader.find('sink', 'queue')).toBe(exported[0]);
    expect(await loader.find('source', 'queue')).toBe(exported[1]);
    expect(await loader.find('buffer', 'queue')).toBe(exported[3]);
  });
});

describe('a plugin that is missing', () => {
  it('is named with the command that installs it', async () => {
    const error = await failure(loaderWith('spillway-queue').loader.find('sink', 'kafka'));
    expect(error).toMatchObject({ code: 'SPILLWAY_PLUGIN_MISSING', plugin: 'spillway-kafka' });
    expect(error.message).toContain('npm install spillway-kafka');
  });

  it.each(['../../../etc', './none.ts'])('as a file is named with its path: %s', async (type) => {
    const error = await failure(loaderWith('spillway-queue').loader.find('sink', type));
    expect(error).toMatchObject({ code: 'SPILLWAY_PLUGIN_MISSING', plugin: type });
  });

  it.each(['Queue', 'a b', 'a/../../b', '@acme', '', 'node:fs', 'http://x'])('%j is no name at all', async (type) => {
    const { loader, imported } = loaderWith('spillway-queue');
    expect(await failure(loader.find('sink', type))).toMatchObject({ code: 'SPILLWAY_PLUGIN_MISSING' });
    expect(imported).toEqual([]);
  });
});

describe('a package is refused before any of it runs', () => {
  it.each([
    ['{', 'its package.json is no JSON'],
    ['[]', 'its package.json is no object'],
    [{}, 'it is no plugin: its package.json has no "spillway": { "api": 1, "types": [...] }'],
    [{ spillway: true }, 'it is no plugin'],
    [{ spillway: {} }, 'it is made for version none of the contracts, this Spillway has 1'],
    [{ spillway: { api: 2, types: ['queue'] } }, 'it is made for version 2 of the contracts, this Spillway has 1'],
    [{ spillway: { api: '1', types: ['queue'] } }, 'it is made for version none of the contracts'],
    [{ spillway: { api: 1 } }, 'its package.json names no types'],
    [{ spillway: { api: 1, types: [] } }, 'its package.json names no types'],
    [{ spillway: { api: 1, types: [1] } }, 'its package.json names no types'],
    [{ spillway: { api: 1, types: ['other'] } }, 'it has no type "queue", it has other'],
    [
      { spillway: { api: 1, types: ['queue'] }, exports: { './x': './x.js' } },
      'its package.json exports nothing that can be imported',
    ],
    [
      { spillway: { api: 1, types: ['queue'] }, exports: '../../outside.js' },
      'its package.json exports nothing that can be imported',
    ],
  ])('%j', async (manifest, reason) => {
    const { loader, imported } = loaderWith('spillway-queue', { manifest, exported: sink('queue') });
    const error = await failure(loader.find('sink', 'queue'));
    expect(error.code).toBe('SPILLWAY_PLUGIN_INCOMPATIBLE');
    expect(error.message).toContain(`the plugin spillway-queue cannot be used: ${reason}`);
    expect(imported).toEqual([]);
  });
});

describe('a module', () => {
  it.each([
    [undefined, 'its default export is no definition'],
    [[null], 'its default export is no definition'],
    [{ kind: 'constructor' }, 'a definition of it is neither a source nor a buffer nor a sink'],
    [{ kind: 'transform' }, 'a definition of it is neither a source nor a buffer nor a sink'],
    [{ ...sink('queue'), api: 7 }, 'its sink is made for version 7 of the contracts, this Spillway has 1'],
    [{ ...sink('queue'), type: '' }, 'its sink has no type'],
    [{ ...sink('queue'), schema: { parse: () => 1 } }, 'its sink "queue" has no schema of zod 4'],
    [{ ...sink('queue'), create: undefined }, 'its sink "queue" has no function "create"'],
    [{ ...sink('queue'), signals: ['logs'] }, '"signals" of its sink "queue" is no function'],
    [[], 'expected it to export one definition of a sink of type "queue", found none'],
    [source('queue'), 'expected it to export one definition of a sink of type "queue", found none'],
    [[sink('queue'), sink('queue')], 'expected it to export one definition of a sink of type "queue", found 2'],
  ])('with another export is refused: %#', async (exported, reason) => {
    const error = await failure(loaderWith('spillway-queue', { exported }).loader.find('sink', 'queue'));
    expect(error.code).toBe('SPILLWAY_PLUGIN_INCOMPATIBLE');
    expect(error.message).toContain(reason);
  });

  it('that throws has failed, and its error is the cause', async () => {
    const cause = new Error('no driver');
    const error = await failure(loaderWith('spillway-queue', { exported: cause }).loader.find('sink', 'queue'));
    expect(error).toMatchObject({ code: 'SPILLWAY_PLUGIN_FAILED', plugin: 'spillway-queue', cause });
    expect(error.message).toContain('no driver');
  });
});

describe('in a config', () => {
  it('a plugin that cannot be had is an issue with its place', async () => {
    expect(await issuesOf(withSink('', 'stor'))).toEqual([
      '6:11 sinks.out.type: there is no sink "stor", neither built in nor as a plugin that is installed; did you ' +
        'mean "store"?',
    ]);
    expect(await issuesOf(withSink('', 'kafka'))).toEqual([
      '6:11 sinks.out.type: there is no built-in sink "kafka", and the package spillway-kafka is not installed where ' +
        '/etc/spillway would find it; install it: npm install spillway-kafka',
    ]);
    expect(await issuesOf(withSink('', 'opentelemetry'))).toEqual([
      '6:11 sinks.out.type: what Vector calls "opentelemetry" is called "otlp" here',
    ]);
    expect(await issuesOf(withSink('', './none.ts'))).toEqual([
      '6:11 sinks.out.type: there is no built-in sink "./none.ts", and the plugin ./none.ts is not there: ' +
        'no file /etc/spillway/none.ts',
    ]);
  });

  it('a name that every object has is one that nobody knows', async () => {
    for (const type of ['__proto__', 'constructor', 'toString']) {
      const [issue] = await issuesOf(withSink('', type));
      expect(issue).toContain(`6:11 sinks.out.type: there is no built-in sink "${type}", and `);
    }
  });

  it('a sink cannot have keys of its own that all sinks have', async () => {
    const schema = z.strictObject({ request: z.string(), topic: z.string().optional() });
    const builtins = { ...stubBuiltins, sinks: [defineSink({ type: 'queue', schema, create: neverMade })] };
    expect(await issuesOf(withSink('request: {}', 'queue'), { builtins })).toEqual([
      '6:11 sinks.out.type: a sink of type "queue" cannot be used: ' +
        'all sinks have the keys that it calls its own: request',
    ]);
  });

  it('nothing is looked for where plugins are skipped, and it is said so', async () => {
    const importModule = neverMade;
    const { settings, warnings, unchecked } = await load(withSink('whatever: 1', 'queue'), {
      plugins: 'skip',
      importModule,
    });
    expect(unchecked).toEqual(['sink queue']);
    expect(warnings).toMatchObject([
      {
        line: 6,
        column: 11,
        message: '"queue" is no built-in sink; as plugins are not loaded, its options are not checked',
      },
    ]);
    expect(settings.sinks).toEqual([]);
    // What all sinks have is checked all the same.
    expect(await issuesOf(withSink('batch: { max_event: 1 }', 'queue'), { plugins: 'skip' })).toEqual([
      '8:14 sinks.out.batch.max_event: "batch" has no such key; did you mean "max_events"?',
    ]);
  });
});

describe('on a real disk', () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  function folderWith(texts: Readonly<Record<string, string>>): string {
    const folder = mkdtempSync(join(tmpdir(), 'spillway-plugins-'));
    folders.push(folder);
    for (const [name, text] of Object.entries(texts)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return folder;
  }

  // By hand, as a plugin in plain JavaScript with a schema from elsewhere would be.
  const definition = `{ kind: 'sink', api: 1, type: 'queue', create() {}, schema: {
    _zod: { def: { type: 'object', shape: { topic: { _zod: { def: { type: 'any' } } } } } }, meta() {},
    safeParseAsync: async (data) => ({ success: true, data }) } }`;

  it('a package and a local file are imported by Node', async () => {
    const folder = folderWith({
      'node_modules/spillway-queue/package.json': JSON.stringify({
        name: 'spillway-queue',
        type: 'module',
        exports: { '.': { require: './wrong.cjs', import: './right.js' } },
        spillway: { api: 1, types: ['queue'] },
      }),
      'node_modules/spillway-queue/right.js': `export default ${definition};`,
      'mine.mjs': `export default [${definition}];`,
      'pipeline.yaml': [
        'data_dir: data',
        'sources: { in: { type: stdin } }',
        'sinks:',
        '  one: { type: queue, inputs: [in], topic: a }',
        '  two: { type: ./mine.mjs, inputs: [in], topic: b }',
      ].join('\n'),
    });
    const file = join(folder, 'pipeline.yaml');
    const { settings } = await loadSettings({ file, env: {}, files: new NodeHostFiles(), builtins: stubBuiltins });
    expect(settings.dataDir).toBe(join(folder, 'data'));
    expect(settings.sinks.map(({ definition: { type }, options }) => [type, { ...(options as object) }])).toEqual([
      ['queue', { topic: 'a' }],
      ['queue', { topic: 'b' }],
    ]);
  });
});
