// Finds a plugin's package and reads its package.json, without running any of it.
//
//   type: redis        spillway-redis
//   type: @acme/x      @acme/x
//   type: spillway-x   spillway-x
//   type: ./mine.ts    a file, from the config's directory
//
// Packages are looked for as Node does, in node_modules of a directory and of those above it: from the config file's
// directory first, then from Spillway's own. Node's resolver itself would have to import, or to be asked from a module
// that stands there.

import { dirname, join, resolve } from 'node:path';
import { PluginError } from '../../base/errors.ts';
import type { HostFiles } from '../../platform/host-files.ts';
import { pluginApi } from '../contract/definition.ts';

export interface PluginPackage {
  readonly name: string;
  readonly directory: string;
  /** The types that its package.json says it has. */
  readonly types: readonly string[];
  /** Absolute path of the module to import. */
  readonly entry: string;
}

const packageName = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;

export type PluginPlace =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'malformed' };

/** Where a type that is no built-in comes from. */
export function placeOfType(type: string, baseDirectory: string): PluginPlace {
  if (/^(?:\.{1,2}\/|\/)/.test(type)) return { kind: 'file', path: resolve(baseDirectory, type) };
  const name = type.startsWith('@') || type.startsWith('spillway-') ? type : `spillway-${type}`;
  return packageName.test(name) && name.length <= 214 ? { kind: 'package', name } : { kind: 'malformed' };
}

interface FindOptions {
  readonly name: string;
  /** Directories to look from, the first that has it wins. */
  readonly from: readonly string[];
  readonly files: HostFiles;
  /** Conditions of `exports` that hold beside `import`, `node` and `default`. */
  readonly conditions: readonly string[];
}

/** Rejects with PluginError: missing, or incompatible before anything of it has run. */
export async function findPluginPackage({ name, from, files, conditions }: FindOptions): Promise<PluginPackage> {
  for (const start of from) {
    for (const directory of foldersAbove(start)) {
      const home = join(directory, 'node_modules', name);
      const text = await readManifest(join(home, 'package.json'), name, files);
      if (text !== undefined) return checkManifest({ name, home, text, conditions });
    }
  }
  throw new PluginError({
    code: 'SPILLWAY_PLUGIN_MISSING',
    plugin: name,
    message: `the package ${name} is not installed where ${from[0]} would find it; install it: npm install ${name}`,
  });
}

function foldersAbove(start: string): string[] {
  const folders = [start];
  for (let folder = start; dirname(folder) !== folder; folder = dirname(folder)) folders.push(dirname(folder));
  return folders;
}

async function readManifest(path: string, name: string, files: HostFiles): Promise<string | undefined> {
  try {
    return await files.readText(path);
  } catch (cause) {
    throw incompatible(name, `its package.json, ${path}, cannot be read`, cause);
  }
}

interface ManifestText {
  readonly name: string;
  readonly home: string;
  readonly text: string;
  readonly conditions: readonly string[];
}

function checkManifest({ name, home, text, conditions }: ManifestText): PluginPackage {
  const manifest = parse(name, text);
  const declared = manifest['spillway'];
  if (!isRecord(declared)) {
    throw incompatible(name, 'it is no plugin: its package.json has no "spillway": { "api": 1, "types": [...] }');
  }
  if (declared['api'] !== pluginApi) {
    const found = typeof declared['api'] === 'number' ? String(declared['api']) : 'none';
    throw incompatible(name, `it is made for version ${found} of the contracts, this Spillway has ${pluginApi}`);
  }
  const { types } = declared;
  if (!Array.isArray(types) || !types.every((each) => typeof each === 'string') || types.length === 0) {
    throw incompatible(name, 'its package.json names no types: "spillway": { "types": ["..."] }');
  }
  const target = entryOf(manifest, conditions);
  if (target === undefined) throw incompatible(name, 'its package.json exports nothing that can be imported');
  return { name, directory: home, types, entry: join(home, target) };
}

function parse(name: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const manifest: unknown = JSON.parse(text);
    if (isRecord(manifest)) return manifest;
  } catch (cause) {
    throw incompatible(name, 'its package.json is no JSON', cause);
  }
  throw incompatible(name, 'its package.json is no object');
}

/** What `import` of the package's own name would load, relative to its directory. */
export function entryOf(
  manifest: Readonly<Record<string, unknown>>,
  conditions: readonly string[],
): string | undefined {
  const { exports, main } = manifest;
  if (exports === undefined || exports === null) return typeof main === 'string' ? main : 'index.js';
  const isByPath = isRecord(exports) && Object.keys(exports).some((key) => key.startsWith('.'));
  const holding = new Set([...conditions, 'import', 'node', 'module-sync', 'default']);
  const target = targetOf(isByPath ? exports['.'] : exports, holding);
  // Node refuses the same: a package exports what is inside it.
  return target?.startsWith('./') && !target.split('/').includes('..') ? target : undefined;
}

function targetOf(target: unknown, conditions: ReadonlySet<string>): string | undefined {
  if (typeof target === 'string') return target;
  if (Array.isArray(target)) return target.map((each) => targetOf(each, conditions)).find((each) => each !== undefined);
  if (!isRecord(target)) return undefined;
  for (const [condition, inner] of Object.entries(target)) {
    if (!conditions.has(condition)) continue;
    const found = targetOf(inner, conditions);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function incompatible(plugin: string, reason: string, cause?: unknown): PluginError {
  return new PluginError({
    code: 'SPILLWAY_PLUGIN_INCOMPATIBLE',
    plugin,
    message: `the plugin ${plugin} cannot be used: ${reason}`,
    cause,
  });
}
