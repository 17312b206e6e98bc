// Gives the definition for a type of the config: a built-in, or what a plugin's module exports by default.
//
// A config is code: naming a plugin in it runs the plugin. Whoever wants to check a config without that asks for
// `load: false`; nothing is read or imported then. Nothing is ever installed.

import { pathToFileURL } from 'node:url';
import { PluginError } from '../../base/errors.ts';
import type { HostFiles } from '../../platform/host-files.ts';
import {
  type BufferDefinition,
  type PluginDefinition,
  pluginApi,
  type SinkDefinition,
  type SourceDefinition,
} from '../contract/definition.ts';
import { findPluginPackage, incompatible, placeOfType } from './plugin-package.ts';

export interface Builtins {
  readonly sources: readonly SourceDefinition[];
  readonly buffers: readonly BufferDefinition[];
  readonly sinks: readonly SinkDefinition[];
}

export type ComponentKind = PluginDefinition['kind'];
export type DefinitionOfKind<Kind extends ComponentKind> = Extract<PluginDefinition, { readonly kind: Kind }>;

/** Imports a module by its URL. */
export type ImportModule = (url: string) => Promise<unknown>;

export interface PluginLoaderOptions {
  readonly builtins: Builtins;
  readonly files: HostFiles;
  /** Of the config file: local files and packages are looked for from here. */
  readonly baseDirectory: string;
  /** False: types that are no built-ins are not looked for. */
  readonly load: boolean;
  /** Default: Node's. */
  readonly importModule?: ImportModule | undefined;
  /** Default: those this process was started with. */
  readonly conditions?: readonly string[] | undefined;
}

export class PluginLoader {
  readonly #options: PluginLoaderOptions;
  readonly #modules = new Map<string, Promise<readonly PluginDefinition[]>>();

  constructor(options: PluginLoaderOptions) {
    this.#options = options;
  }

  /** What is there of this kind without a plugin. */
  builtinsOf(kind: ComponentKind): PluginDefinition[] {
    return this.#builtins().filter((each) => each.kind === kind);
  }

  builtinTypes(kind: ComponentKind): string[] {
    return this.builtinsOf(kind).map(({ type }) => type);
  }

  /** The kinds of built-ins that have this type. */
  kindsOf(type: string): ComponentKind[] {
    return this.#builtins().flatMap((each) => (each.type === type ? [each.kind] : []));
  }

  /** Undefined: it is no built-in, and plugins are not loaded. Rejects with PluginError. */
  async find<Kind extends ComponentKind>(kind: Kind, type: string): Promise<DefinitionOfKind<Kind> | undefined> {
    const builtin = this.#builtins().find((each) => each.kind === kind && each.type === type);
    const found = builtin ?? (this.#options.load ? await this.#load(kind, type) : undefined);
    return found as DefinitionOfKind<Kind> | undefined;
  }

  #builtins(): readonly PluginDefinition[] {
    const { sources, buffers, sinks } = this.#options.builtins;
    return [...sources, ...buffers, ...sinks];
  }

  async #load(kind: ComponentKind, type: string): Promise<PluginDefinition> {
    const { baseDirectory } = this.#options;
    const place = placeOfType(type, baseDirectory);
    switch (place.kind) {
      case 'malformed': {
        const message = `"${type}" is no type: expected a built-in, the name of a package, or a path such as ./mine.ts`;
        throw new PluginError({ code: 'SPILLWAY_PLUGIN_MISSING', plugin: type, message });
      }
      case 'file': {
        if ((await this.#options.files.facts(place.path)) === undefined) {
          const message = `the plugin ${type} is not there: no file ${place.path}`;
          throw new PluginError({ code: 'SPILLWAY_PLUGIN_MISSING', plugin: type, message });
        }
        return choose({ definitions: await this.#import(type, place.path), kind, plugin: type, type: undefined });
      }
      case 'package': {
        const { name } = place;
        const { files, conditions = processConditions() } = this.#options;
        const from = [baseDirectory, import.meta.dirname];
        const found = await findPluginPackage({ name, from, files, conditions });
        const isFullName = name === type;
        if (!isFullName && !found.types.includes(type)) {
          throw incompatible(name, `it has no type "${type}", it has ${found.types.join(', ')}`);
        }
        const definitions = await this.#import(name, found.entry);
        const declared = definitions.filter((each) => found.types.includes(each.type));
        return choose({ definitions: declared, kind, plugin: name, type: isFullName ? undefined : type });
      }
    }
  }

  #import(plugin: string, path: string): Promise<readonly PluginDefinition[]> {
    let module = this.#modules.get(path);
    if (module === undefined) {
      module = this.#importNow(plugin, path);
      this.#modules.set(path, module);
    }
    return module;
  }

  async #importNow(plugin: string, path: string): Promise<readonly PluginDefinition[]> {
    const importModule = this.#options.importModule ?? importByNode;
    let module: unknown;
    try {
      module = await importModule(pathToFileURL(path).href);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `the plugin ${plugin} failed while it was loaded from ${path}: ${reason}`;
      throw new PluginError({ code: 'SPILLWAY_PLUGIN_FAILED', plugin, message, cause });
    }
    return definitionsOf(plugin, module);
  }
}

interface Choice {
  readonly definitions: readonly PluginDefinition[];
  readonly kind: ComponentKind;
  readonly plugin: string;
  /** Undefined: the plugin was named as a whole, and has to have exactly one of this kind. */
  readonly type: string | undefined;
}

function choose({ definitions, kind, plugin, type }: Choice): PluginDefinition {
  const fitting = definitions.filter((each) => each.kind === kind && (type === undefined || each.type === type));
  const [only, second] = fitting;
  if (only !== undefined && second === undefined) return only;
  const what = type === undefined ? `a ${kind}` : `a ${kind} of type "${type}"`;
  const found = only === undefined ? 'none' : `${fitting.length}`;
  throw incompatible(plugin, `expected it to export one definition of ${what}, found ${found}`);
}

function definitionsOf(plugin: string, module: unknown): readonly PluginDefinition[] {
  const exported = typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined;
  const definitions: readonly unknown[] = Array.isArray(exported) ? exported : [exported];
  for (const definition of definitions) {
    const wrong = problemWith(definition);
    if (wrong !== undefined) throw incompatible(plugin, wrong);
  }
  return definitions as readonly PluginDefinition[];
}

const makers: ReadonlyMap<unknown, string> = new Map([
  ['source', 'create'],
  ['sink', 'create'],
  ['buffer', 'open'],
]);

/** Why this is no definition. By its fields: it may be made by another copy of this package. */
function problemWith(definition: unknown): string | undefined {
  if (typeof definition !== 'object' || definition === null) {
    return 'its default export is no definition, as defineSource, defineSink and defineBuffer give it, and no list';
  }
  const fields = definition as Readonly<Record<string, unknown>>;
  const { kind, api, type, schema } = fields;
  const make = makers.get(kind);
  if (make === undefined) return 'a definition of it is neither a source nor a buffer nor a sink';
  if (api !== pluginApi) {
    return `its ${String(kind)} is made for version ${String(api)} of the contracts, this Spillway has ${pluginApi}`;
  }
  if (typeof type !== 'string' || type === '') return `its ${String(kind)} has no type`;
  const isSchema = typeof schema === 'object' && schema !== null && '_zod' in schema && 'safeParseAsync' in schema;
  if (!isSchema) return `its ${String(kind)} "${type}" has no schema of zod 4`;
  const noFunction = ['check', 'signals'].find((name) => !['function', 'undefined'].includes(typeof fields[name]));
  if (noFunction !== undefined) return `"${noFunction}" of its ${String(kind)} "${type}" is no function`;
  return typeof fields[make] === 'function' ? undefined : `its ${String(kind)} "${type}" has no function "${make}"`;
}

async function importByNode(url: string): Promise<unknown> {
  return await import(/* @vite-ignore */ url);
}

/** `node --conditions=x`, `-C x`, and the same in NODE_OPTIONS. */
function processConditions(): string[] {
  const words = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)];
  return words.flatMap((word, index) => {
    if (word === '-C' || word === '--conditions') return [words[index + 1] ?? ''];
    return word.startsWith('--conditions=') ? [word.slice('--conditions='.length)] : [];
  });
}
