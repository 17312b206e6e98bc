// From a config file to settings, or to one error that lists everything that is wrong with it.
//
//   text -> tree with places (aliases, variables) -> ids -> blocks (types, options, defaults) -> links -> settings
//
// Each step goes on after an error as far as it can, so that one run shows all. Nothing here opens a buffer, binds a
// port or writes a file; plugins named in the config are imported, unless that was not asked for.

import { dirname, isAbsolute, resolve } from 'node:path';
import { assert } from '../../base/assert.ts';
import { ConfigError, type ConfigIssue } from '../../base/errors.ts';
import type { HostFiles } from '../../platform/host-files.ts';
import { builtinBuffers, builtinSinks, builtinSources } from '../builtins.ts';
import type { BufferSettings, PipelineSettings, SinkSettings, SourceSettings } from '../contract/settings.ts';
import { type Builtins, type ImportModule, PluginLoader } from '../plugins/plugin-loader.ts';
import { readBuffer } from './buffer-settings.ts';
import { type Block, type CheckContext, checkOptions, definitionOf, mapAt, subjectOf } from './config-check.ts';
import { readDocument } from './config-document.ts';
import { ConfigIssues } from './config-issues.ts';
import { type ConfigNode, type MapNode, withoutKeys } from './config-node.ts';
import { ScalarReader } from './config-scalar.ts';
import { checkSurroundings } from './config-surroundings.ts';
import { type Links, linkComponents, type Named, type SourceDraft } from './config-topology.ts';
import { type TopKeys, topSchema } from './core-schema.ts';
import { deliveryOf, readSink, type SinkDraft } from './sink-settings.ts';
import type { Environment } from './substitution.ts';

export interface ConfigRequest {
  /** The config file. With `text` it is only what messages call it. */
  readonly file: string;
  /** The config itself, if it is not read from `file`. */
  readonly text?: string;
  /** Where relative paths and plugins are looked for, absolute. Default: the folder of `file`. */
  readonly baseDirectory?: string;
  readonly env: Environment;
  readonly files: HostFiles;
  /** `skip`: imports nothing; blocks whose type is no built-in are not checked. Default `load`. */
  readonly plugins?: 'load' | 'skip';
  /** Default: all of Spillway's. */
  readonly builtins?: Builtins;
  /** Default: Node's import. */
  readonly importModule?: ImportModule;
}

export interface LoadedConfig {
  /** With `plugins: 'skip'`: without the components that only a plugin would know. */
  readonly settings: PipelineSettings;
  /** What is allowed and probably not meant. */
  readonly warnings: readonly ConfigIssue[];
  /** `sink redis`: what was not checked as plugins were not loaded, and is not in the settings. */
  readonly unchecked: readonly string[];
}

/** Rejects with ConfigError: SPILLWAY_CONFIG_UNREADABLE, or SPILLWAY_CONFIG_INVALID with all issues. */
export async function loadSettings(request: ConfigRequest): Promise<LoadedConfig> {
  const { file, files, env, plugins = 'load', importModule } = request;
  const text = request.text ?? (await readConfig(request));
  const baseDirectory = request.baseDirectory ?? dirname(resolve(file));
  const issues = new ConfigIssues(file);
  const builtins = request.builtins ?? { sources: builtinSources, buffers: builtinBuffers, sinks: builtinSinks };
  const loader = new PluginLoader({ builtins, files, baseDirectory, load: plugins === 'load', importModule });
  const context: CheckContext = { issues, loader, files, baseDirectory, unchecked: new Set() };
  const root = readDocument(text, { issues, scalars: new ScalarReader({ env, issues }) });
  const drafts = root === undefined ? undefined : await readDrafts(context, root);
  const links = drafts === undefined ? undefined : linkComponents({ context, ...drafts });
  if (drafts !== undefined && links !== undefined) checkSurroundings({ context, ...drafts }, links);
  issues.throwIfAny();
  assert(drafts !== undefined && links !== undefined, 'a config without errors has been read');
  const settings = settingsOf(drafts, links, baseDirectory);
  return { settings, warnings: issues.warnings, unchecked: [...context.unchecked] };
}

async function readConfig({ file, files }: ConfigRequest): Promise<string> {
  const path = isAbsolute(file) ? file : resolve(file);
  const unreadable = (reason: string, cause?: unknown): ConfigError => {
    const remedy = 'Nothing was started. Check the path and its permissions.';
    const message = `Reading the config ${file} failed: ${reason}. ${remedy}`;
    return new ConfigError({ code: 'SPILLWAY_CONFIG_UNREADABLE', message, cause });
  };
  let text: string | undefined;
  try {
    text = await files.readText(path);
  } catch (cause) {
    throw unreadable(cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (text === undefined) throw unreadable('there is no such file');
  return text;
}

interface Drafts {
  readonly top: TopKeys | undefined;
  readonly sourceIds: readonly Named[];
  readonly sources: readonly SourceDraft[];
  readonly bufferIds: readonly Named[];
  readonly buffers: readonly BufferSettings[];
  readonly sinks: readonly SinkDraft[];
}

const sections: ReadonlySet<string> = new Set(['sources', 'buffers', 'sinks']);

async function readDrafts(context: CheckContext, root: MapNode): Promise<Drafts> {
  const place = { line: 1, column: 1 };
  const rest = { node: withoutKeys(root, (key) => sections.has(key)), path: [], place };
  const top = await checkOptions(context, rest, {
    schema: topSchema,
    kind: 'top',
    subject: 'a config',
    otherKeys: [...sections],
  });
  const taken = new Map<string, Named>();
  const sourceBlocks = readSection(context, root, { name: 'sources', isRequired: true, taken });
  const bufferBlocks = readSection(context, root, { name: 'buffers', isRequired: false, taken });
  const sinkBlocks = readSection(context, root, { name: 'sinks', isRequired: true, taken });
  const sources: SourceDraft[] = [];
  for (const { id, entry, path, place: at } of sourceBlocks) {
    const node = mapAt(context, entry, path, 'the options of a source');
    if (node !== undefined) sources.push(await readSource(context, id, { node, path, place: at }));
  }
  const buffers: BufferSettings[] = [];
  for (const { id, entry: node, path, place: at } of bufferBlocks) {
    const buffer = await readBuffer(context, { id, node, path, place: at });
    if (buffer !== undefined) buffers.push(buffer);
  }
  const sinks: SinkDraft[] = [];
  for (const { id, entry, path, place: at } of sinkBlocks) {
    const node = mapAt(context, entry, path, 'the options of a sink');
    if (node !== undefined) sinks.push(await readSink(context, id, { node, path, place: at }));
  }
  return {
    top: top?.value as TopKeys | undefined,
    sourceIds: sourceBlocks,
    sources,
    bufferIds: bufferBlocks,
    buffers,
    sinks,
  };
}

interface Section {
  readonly name: string;
  readonly isRequired: boolean;
  /** Ids of all sections so far: one id names one thing, in logs, metrics and directories. */
  readonly taken: Map<string, Named>;
}

interface SectionBlock extends Named {
  readonly entry: ConfigNode;
}

const idPattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;

function readSection(context: CheckContext, root: MapNode, { name, isRequired, taken }: Section): SectionBlock[] {
  const { issues } = context;
  const entry = root.entries.get(name);
  const nothing = entry === undefined || (entry.node.kind === 'scalar' && entry.node.value === null);
  if (nothing) {
    const message = `there are no ${name}; expected at least one under "${name}"`;
    if (isRequired) issues.error({ path: [name], place: entry?.keyPlace ?? { line: 1, column: 1 }, message });
    return [];
  }
  const map = mapAt(context, entry.node, [name], `a map from ids to ${name}`);
  if (map === undefined) return [];
  if (isRequired && map.entries.size === 0) {
    issues.error({ path: [name], place: entry.keyPlace, message: `there are no ${name}; expected at least one` });
  }
  const blocks: SectionBlock[] = [];
  for (const [id, { keyPlace, node }] of map.entries) {
    const named = { id, path: [name, id], place: keyPlace };
    const other = taken.get(id);
    if (!idPattern.test(id)) {
      const message = 'expected an id of lower-case letters, digits, - and _, at most 63, the first a letter or digit';
      issues.error({ ...named, message });
    } else if (other !== undefined) {
      const message = `the id is taken: "${other.path[0]}" has one on line ${other.place.line}; ids are given once`;
      issues.error({ ...named, message });
    } else {
      taken.set(id, named);
    }
    blocks.push({ ...named, entry: node });
  }
  return blocks;
}

async function readSource(context: CheckContext, id: string, block: Block): Promise<SourceDraft> {
  const definition = await definitionOf(context, block, { kind: 'source' });
  if (definition === undefined) return { id, block, definition, options: undefined };
  const own = { ...block, node: withoutKeys(block.node, (key) => key === 'type') };
  const options = await checkOptions(context, own, {
    schema: definition.schema,
    kind: 'source',
    subject: subjectOf(definition),
    otherKeys: ['type'],
  });
  return { id, block, definition, options };
}

/** Everything has been checked: what is undefined here would have been an error, or was not to be looked for. */
function settingsOf(drafts: Drafts, links: Links, baseDirectory: string): PipelineSettings {
  const top = drafts.top as TopKeys;
  const dataDir = resolve(baseDirectory, top.data_dir);
  const own = drafts.sinks.flatMap(({ buffer }) => (buffer !== undefined && 'own' in buffer ? [buffer.own] : []));
  const sinks = drafts.sinks.flatMap((sink): SinkSettings[] => {
    const { id, definition, options, keys, buffer } = sink;
    if (definition === undefined || options === undefined || keys === undefined || buffer === undefined) return [];
    const delivery = deliveryOf({ id, keys, top, dataDir, baseDirectory });
    const inputs = links.inputs.get(id) ?? [];
    const bufferId = 'shared' in buffer ? buffer.shared : id;
    return [{ id, definition, options: options.value, inputs, buffer: bufferId, startAt: keys.start_at, delivery }];
  });
  const sources = drafts.sources.flatMap(({ id, definition, options }): SourceSettings[] => {
    const isKnown = definition !== undefined && options !== undefined;
    return isKnown && links.usedSources.has(id) ? [{ id, definition, options: options.value }] : [];
  });
  return {
    dataDir,
    sources,
    buffers: [...drafts.buffers.filter(({ id }) => links.usedBuffers.has(id)), ...own],
    sinks,
    health: top.health?.address,
    shutdownTimeoutMs: top.shutdown_timeout_secs,
    telemetry: { otlpEndpoint: top.telemetry?.otlp?.endpoint, spanRatio: top.telemetry?.span_ratio ?? 0 },
  };
}
