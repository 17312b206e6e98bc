// Reads the block of a sink: the keys that all sinks have, its buffer, and the options of its plugin.

import { join, resolve } from 'node:path';
import type { SinkDefinition } from '../contract/definition.ts';
import type { BufferSettings, DeliverySettings } from '../contract/settings.ts';
import { readBuffer } from './buffer-settings.ts';
import {
  type Block,
  type CheckContext,
  type CheckedOptions,
  checkOptions,
  definitionOf,
  subjectOf,
  textOf,
} from './config-check.ts';
import { type ConfigNode, find, type MapEntry, type Place, withoutKeys } from './config-node.ts';
import { type SinkKeys, sinkSchema, type TopKeys } from './core-schema.ts';
import { foundText } from './found-text.ts';
import { keysOf } from './schema-shape.ts';

/** A sink as far as its own block tells. What it points to is checked when all blocks are known. */
export interface SinkDraft {
  readonly id: string;
  readonly block: Block;
  readonly inputs: readonly InputReference[];
  /** The id of a shared buffer, or the sink's own. Undefined: it has errors. */
  readonly buffer:
    | { readonly shared: string; readonly place: Place; readonly shown: string }
    | { readonly own: BufferSettings }
    | undefined;
  readonly definition: SinkDefinition | undefined;
  /** Undefined: they have errors, or nobody knows the definition. */
  readonly options: CheckedOptions | undefined;
  readonly keys: SinkKeys | undefined;
}

export interface InputReference {
  readonly text: string;
  readonly place: Place;
  /** In the list; undefined where it stands alone. */
  readonly index: number | undefined;
  /** A value that came from a variable is not printed. */
  readonly shown: string;
}

const referenceKeys = ['type', 'inputs', 'buffer'];
const commonKeys: ReadonlySet<string> = new Set([...referenceKeys, ...keysOf(sinkSchema)]);

export async function readSink(context: CheckContext, id: string, block: Block): Promise<SinkDraft> {
  const definition = await sinkDefinition(context, block);
  const inputs = readInputs(context, block);
  const buffer = await readBufferReference(context, id, block);
  const isOwnKey = (key: string): boolean => !commonKeys.has(key);
  const common = { ...block, node: withoutKeys(block.node, (key) => isOwnKey(key) || referenceKeys.includes(key)) };
  const buffers = context.loader.builtinsOf('buffer').map(({ schema }) => ({ under: ['buffer'], schema }));
  const ownSchemas = definition === undefined ? [] : [{ under: [], schema: definition.schema }];
  const keys = await checkOptions(context, common, {
    schema: sinkSchema,
    kind: 'sink',
    subject: 'a sink',
    beside: [...buffers, ...ownSchemas],
  });
  const own = { ...block, node: withoutKeys(block.node, (key) => !isOwnKey(key)) };
  const options =
    definition === undefined
      ? undefined
      : await checkOptions(context, own, {
          schema: definition.schema,
          kind: 'sink',
          subject: subjectOf(definition),
          otherKeys: [...commonKeys],
          beside: [...buffers, { under: [], schema: sinkSchema }],
        });
  return { id, block, inputs, buffer, definition, options, keys: keys?.value as SinkKeys | undefined };
}

async function sinkDefinition(context: CheckContext, block: Block): Promise<SinkDefinition | undefined> {
  const definition = await definitionOf(context, block, { kind: 'sink' });
  const taken = definition === undefined ? [] : keysOf(definition.schema).filter((key) => commonKeys.has(key));
  if (definition === undefined || taken.length === 0) return definition;
  // Keys of all sinks never reach the plugin: its own of the same name would never be given.
  const { place } = find(block.node, block.place, ['type']);
  const reason = `all sinks have the keys that it calls its own: ${taken.join(', ')}`;
  context.issues.error({
    path: [...block.path, 'type'],
    place,
    message: `${subjectOf(definition)} cannot be used: ${reason}`,
  });
  return undefined;
}

function readInputs({ issues }: CheckContext, block: Block): InputReference[] {
  const entry = block.node.entries.get('inputs');
  const path = [...block.path, 'inputs'];
  if (entry === undefined) {
    const message = 'the key "inputs" is missing; expected a list of sources';
    issues.error({ path: block.path, place: block.place, message });
    return [];
  }
  const nodes = entry.node.kind === 'list' ? entry.node.items : [entry.node];
  if (nodes.length === 0) {
    issues.error({ path, place: entry.node.place, message: 'expected at least one source; found an empty list' });
  }
  return nodes.flatMap((node, position) => {
    const index = entry.node.kind === 'list' ? position : undefined;
    const text = textOf(node);
    if (text !== undefined) return [{ text, place: node.place, index, shown: foundText(node, false) }];
    if (node.kind === 'scalar' && node.isBroken) return [];
    const isUnquoted = node.kind === 'scalar' && node.value !== null && node.value !== '';
    const remedy = isUnquoted ? '; put it in quotes' : '';
    const message = `expected the id of a source; found ${foundText(node, false)}${remedy}`;
    issues.error({ path: index === undefined ? path : [...path, index], place: node.place, message });
    return [];
  });
}

async function readBufferReference(context: CheckContext, id: string, block: Block): Promise<SinkDraft['buffer']> {
  const found = find(block.node, block.place, ['buffer']);
  const shared = textOf(found.node);
  if (shared !== undefined) return { shared, place: found.place, shown: foundText(found.node, false) };
  const path = [...block.path, 'buffer'];
  const own = await readBuffer(context, { id, node: found.node, path, place: found.keyPlace });
  return own === undefined ? undefined : { own };
}

interface DeliveryOptions {
  readonly id: string;
  readonly keys: SinkKeys;
  readonly top: TopKeys;
  readonly dataDir: string;
  readonly baseDirectory: string;
}

export function deliveryOf({ id, keys, top, dataDir, baseDirectory }: DeliveryOptions): DeliverySettings {
  const { request, batch, healthcheck, dead_letters: deadLetters } = keys;
  const hasRateLimit = Number.isFinite(request.rate_limit_num);
  const letters = deadLetters === true ? defaultDeadLetters : deadLetters;
  return {
    batch: { maxBytes: batch.max_bytes, maxEvents: batch.max_events, timeoutMs: batch.timeout_secs },
    request: {
      concurrency: request.concurrency,
      timeoutMs: request.timeout_secs,
      headers: request.headers,
      rateLimit: hasRateLimit
        ? { requests: request.rate_limit_num, intervalMs: request.rate_limit_duration_secs }
        : undefined,
      retryAttempts: request.retry_attempts,
      retryInitialBackoffMs: request.retry_initial_backoff_secs,
      retryMaxBackoffMs: request.retry_max_duration_secs,
      retryJitter: request.retry_jitter_mode,
    },
    healthcheck: {
      enabled: isOn(healthcheck, top.healthchecks.enabled),
      isRequired: isOn(healthcheck, top.healthchecks.enabled) && top.healthchecks.require_healthy,
    },
    onBlocked: keys.on_blocked,
    deadLetters:
      letters === false
        ? undefined
        : {
            path:
              letters.path === undefined
                ? join(dataDir, 'dead_letters', `${id}.jsonl`)
                : resolve(baseDirectory, letters.path),
            maxBytes: letters.max_size,
          },
  };
}

/** `dead_letters: true` and no key at all are one. */
const defaultDeadLetters = (sinkSchema.parse({}) as SinkKeys).dead_letters as Exclude<
  SinkKeys['dead_letters'],
  boolean
>;

/** A switch in its short or its long form; where it says nothing, `otherwise`. */
export function isOn(given: SinkKeys['healthcheck'], otherwise: boolean): boolean {
  return (typeof given === 'object' ? given.enabled : given) ?? otherwise;
}

/** The entry of a key of the sink, to point at. */
export function sinkEntry({ block }: SinkDraft, key: string): MapEntry {
  return block.node.entries.get(key) ?? { keyPlace: block.place, node: block.node satisfies ConfigNode };
}
