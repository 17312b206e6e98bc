// What all blocks of a config have in common while they are checked: a type that names a definition, and options that
// its schema takes or refuses.

import type { ZodType } from 'zod';
import { PluginError } from '../../base/errors.ts';
import type { HostFiles } from '../../platform/host-files.ts';
import type { PluginDefinition } from '../contract/definition.ts';
import type { ComponentKind, DefinitionOfKind, PluginLoader } from '../plugins/plugin-loader.ts';
import type { ConfigIssues } from './config-issues.ts';
import { type ConfigNode, type ConfigPath, find, type MapNode, type Place, plainValueOf } from './config-node.ts';
import { foundText, HiddenValues, isHidden } from './found-text.ts';
import { absolutePaths } from './host-paths.ts';
import { type CheckedBlock, reportSchemaIssues, reportUnknownKeys } from './schema-issues.ts';
import { keysOf } from './schema-shape.ts';
import { readSecretFiles } from './secret-files.ts';
import { droppedKeys } from './strict-keys.ts';
import { suggestion } from './suggestion.ts';
import { type BlockKind, refuseVectorKeys } from './vector-keys.ts';

export interface CheckContext {
  readonly issues: ConfigIssues;
  readonly loader: PluginLoader;
  readonly files: HostFiles;
  readonly baseDirectory: string;
  /** Types that were not looked for because plugins are not loaded. */
  readonly unchecked: Set<string>;
}

/** A block of the config with the key that names it. */
export interface Block {
  readonly node: MapNode;
  readonly path: ConfigPath;
  /** Of the key. */
  readonly place: Place;
}

/** A map there, or undefined, said. */
export function mapAt(context: CheckContext, node: ConfigNode, path: ConfigPath, what: string): MapNode | undefined {
  if (node.kind === 'map') return node;
  if (node.kind === 'scalar' && node.isBroken) return undefined;
  const message = `expected ${what}; found ${foundText(node, false)}`;
  context.issues.error({ path, place: node.place, message });
  return undefined;
}

/** The text of a scalar, or undefined. */
export function textOf(node: ConfigNode | undefined): string | undefined {
  const value = node?.kind === 'scalar' ? (node.untyped ?? node.value) : undefined;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Names that others have for what is called otherwise here: ours, and whose they are. */
const otherTypes: Readonly<Record<ComponentKind, ReadonlyMap<string, readonly [ours: string, whose: string]>>> = {
  source: new Map([
    ['opentelemetry', ['otlp', 'Vector']],
    ['demo_logs', ['generate', 'Vector']],
    ['filelog', ['file', 'the Collector']],
    ['tail', ['file', 'Fluent Bit']],
  ]),
  sink: new Map([
    ['opentelemetry', ['otlp', 'Vector']],
    ['amqp', ['rabbitmq', 'Vector']],
    ['otlphttp', ['otlp', 'the Collector']],
    ['debug', ['console', 'the Collector']],
    ['stdout', ['console', 'Fluent Bit']],
  ]),
  buffer: new Map([
    ['disk_v1', ['disk', 'Vector']],
    ['disk_v2', ['disk', 'Vector']],
  ]),
};

/** Those that come with Spillway as plugins, for whoever misspells one. */
const pluginTypes: Readonly<Record<ComponentKind, readonly string[]>> = {
  source: [],
  sink: ['mqtt', 'nats', 'postgres', 'rabbitmq', 'redis', 'syslog'],
  buffer: [],
};

/** The definition for the block's type, or undefined: why is among the issues, or nobody was to look for it. */
export async function definitionOf<Kind extends ComponentKind>(
  context: CheckContext,
  block: Block,
  options: { readonly kind: Kind; readonly defaultType?: string },
): Promise<DefinitionOfKind<Kind> | undefined> {
  const { kind, defaultType } = options;
  const { issues, loader } = context;
  const found = find(block.node, block.place, ['type']);
  const path = [...block.path, 'type'];
  const type = found.node === undefined ? defaultType : textOf(found.node);
  if (type === undefined) {
    if (found.node?.kind === 'scalar' && found.node.isBroken) return undefined;
    const known = `expected the type of the ${kind}, ${loader.builtinTypes(kind).join(', ')} or a plugin`;
    const message =
      found.node === undefined
        ? `the key "type" is missing; ${known}`
        : `${known}; found ${foundText(found.node, false)}`;
    issues.error({ path: found.node === undefined ? block.path : path, place: found.place, message });
    return undefined;
  }
  const hidden = found.node === undefined ? undefined : new HiddenValues(found.node, () => false);
  const shown = found.node === undefined ? `"${type}"` : foundText(found.node, false);
  try {
    const definition = await loader.find(kind, type);
    if (definition !== undefined) return definition;
    context.unchecked.add(`${kind} ${type}`);
    const message = `${shown} is no built-in ${kind}; as plugins are not loaded, its options are not checked`;
    issues.warn({ path, place: found.place, message });
  } catch (error) {
    if (!(error instanceof PluginError)) throw error;
    const message =
      error.code === 'SPILLWAY_PLUGIN_MISSING' ? missingText(context, { kind, type, shown, error }) : error.message;
    // The cause says the type as it is: not where a variable gave it.
    const cause = shown.startsWith('"') ? error : undefined;
    issues.error({ path, place: found.place, message: hidden?.cutOut(message) ?? message }, cause);
  }
  return undefined;
}

interface MissingPlugin {
  readonly kind: ComponentKind;
  readonly type: string;
  readonly shown: string;
  readonly error: PluginError;
}

function missingText({ loader }: CheckContext, { kind, type, shown, error }: MissingPlugin): string {
  const otherKind = loader.kindsOf(type)[0];
  if (otherKind !== undefined) return `${shown} is a ${otherKind}, not a ${kind}`;
  const [ours, whose] = otherTypes[kind].get(type) ?? [];
  if (ours !== undefined) return `what ${whose} calls ${shown} is called "${ours}" here`;
  // Nobody should install whatever has the name of a slip.
  const meant = suggestion(type, [...loader.builtinTypes(kind), ...pluginTypes[kind].filter((each) => each !== type)]);
  if (meant !== '') return `there is no ${kind} ${shown}, neither built in nor as a plugin that is installed${meant}`;
  return `there is no built-in ${kind} ${shown}, and ${error.message}`;
}

export interface OptionsCheck {
  readonly schema: ZodType;
  readonly kind: BlockKind;
  /** What the block is called in a sentence: `a sink of type "redis"`. */
  readonly subject: string;
  /** Keys of the block that others check. */
  readonly otherKeys?: readonly string[];
  readonly beside?: CheckedBlock['beside'];
  readonly explain?: CheckedBlock['explain'];
}

export interface CheckedOptions {
  /** What the schema made of the block. */
  readonly value: unknown;
  /** The block as the schema got it, with secrets that were read from files. */
  readonly node: MapNode;
}

/** Undefined: why is among the issues. */
export async function checkOptions(
  context: CheckContext,
  block: Block,
  check: OptionsCheck,
): Promise<CheckedOptions | undefined> {
  const { issues, files, baseDirectory } = context;
  const { schema, kind, subject, otherKeys = [], beside = [], explain } = check;
  const own = keysOf(schema);
  const { node: vectorless, refused } = refuseVectorKeys(kind, block.node, own);
  for (const { path, place, message } of refused) issues.error({ path: [...block.path, ...path], place, message });
  const revealed = await readSecretFiles(vectorless, { schema, path: block.path, files, baseDirectory, issues });
  const node = absolutePaths(revealed, { schema, baseDirectory });
  const checked: CheckedBlock = { schema, node, path: block.path, place: block.place, otherKeys, beside, subject };
  const parsed = await parse(issues, explain === undefined ? checked : { ...checked, explain });
  return parsed === undefined ? undefined : { value: parsed.value, node };
}

type Parsed = Awaited<ReturnType<ZodType['safeParseAsync']>>;

async function parse(issues: ConfigIssues, block: CheckedBlock): Promise<{ readonly value: unknown } | undefined> {
  const dropped = droppedKeys(block.schema, block.node);
  reportUnknownKeys(issues, block, dropped);
  const untyped = new Set<ConfigNode>();
  for (;;) {
    let parsed: Parsed;
    try {
      parsed = await block.schema.safeParseAsync(plainValueOf(block.node, { untyped }));
    } catch (cause) {
      const hidden = new HiddenValues(block.node, (path, node) => isHidden(block.schema, path, node));
      const reason = hidden.cutOut(cause instanceof Error ? cause.message : String(cause));
      issues.error({
        path: block.path,
        place: block.place,
        message: `the schema of ${block.subject} failed: ${reason}`,
      });
      return undefined;
    }
    if (parsed.success) return dropped.length === 0 ? { value: parsed.data } : undefined;
    const before = untyped.size;
    for (const node of asText(block, parsed.error.issues, [])) untyped.add(node);
    if (untyped.size > before) continue; // Each turn takes at least one more scalar as text, so this ends.
    reportSchemaIssues(issues, block, parsed.error.issues);
    return undefined;
  }
}

type Issues = NonNullable<Parsed['error']>['issues'];

/** Scalars that YAML made a number or a truth value of, from a variable, where the schema wants text. */
function asText(block: CheckedBlock, found: Issues, parents: ConfigPath): ConfigNode[] {
  return found.flatMap((issue) => {
    const path = [...parents, ...(issue.path as (string | number)[])];
    if (issue.code === 'invalid_union') return issue.errors.flatMap((each) => asText(block, each as Issues, path));
    const wantsText = issue.code === 'invalid_value' || (issue.code === 'invalid_type' && issue.expected === 'string');
    const { node } = find(block.node, block.place, path);
    const canBeText = node?.kind === 'scalar' && node.untyped !== undefined && typeof node.value !== 'string';
    return wantsText && canBeText ? [node] : [];
  });
}

/** `a sink of type "redis"`. */
export function subjectOf({ kind, type }: PluginDefinition): string {
  return `a ${kind} of type "${type}"`;
}
