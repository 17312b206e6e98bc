// Vector's keys that have no place here, each with the reason and with what to write instead. They are refused by name:
// a key that is ignored, or means something else, is worse than one that is missing. docs/configuration.md shows them.

import { type ConfigNode, find, type MapNode, type Place, withEntry, withoutKeys } from './config-node.ts';

export type BlockKind = 'top' | 'source' | 'sink' | 'buffer';

export interface RefusedKey {
  readonly block: BlockKind;
  /** With dots: `request.adaptive_concurrency`. */
  readonly key: string;
  /** Refused with this value only. */
  readonly value?: string;
  /** Default: Vector. */
  readonly of?: 'the Collector';
  readonly reason: string;
  readonly instead: string;
}

export const refusedKeys: readonly RefusedKey[] = [
  {
    block: 'top',
    key: 'transforms',
    reason: 'there are no transforms: what flows is not decoded',
    instead: 'shape events before or behind Spillway',
  },
  { block: 'top', key: 'api', reason: 'there is no GraphQL API', instead: 'use "health: { address }"' },
  {
    block: 'top',
    key: 'enrichment_tables',
    reason: 'there are no transforms that could use them',
    instead: 'remove it',
  },
  {
    block: 'top',
    key: 'secret',
    reason: 'there are no secret backends',
    instead: 'use variables, ${NAME}, or the key of a secret with _file behind it',
  },
  { block: 'top', key: 'tests', reason: 'there are no transforms to test', instead: 'remove it' },
  {
    block: 'top',
    key: 'log_schema',
    reason: 'events are OTLP and keep their own fields',
    instead: 'remove it',
  },
  { block: 'top', key: 'schema', reason: 'events are OTLP and keep their own fields', instead: 'remove it' },
  { block: 'top', key: 'timezone', reason: 'no time is parsed', instead: 'remove it' },
  {
    block: 'top',
    key: 'proxy',
    reason: 'sinks do not go through proxies',
    instead: 'name the proxy as the endpoint where it forwards by itself',
  },
  { block: 'top', key: 'expire_metrics', reason: 'metrics do not expire', instead: 'remove it' },
  { block: 'top', key: 'expire_metrics_secs', reason: 'metrics do not expire', instead: 'remove it' },
  {
    block: 'top',
    key: 'wildcard_matching',
    reason: 'a pattern in "inputs" that matches nothing is always an error',
    instead: 'remove it',
  },
  ...[
    ['receivers', 'write "sources"'],
    ['exporters', 'write "sinks"'],
    ['service', 'each sink names its sources under "inputs"'],
    ['processors', 'shape events before or behind Spillway'],
    ['extensions', 'use "health" and "telemetry"'],
  ].map(
    ([key = '', instead = '']): RefusedKey => ({
      block: 'top',
      key,
      of: 'the Collector',
      reason: 'a config is made of sources, buffers and sinks',
      instead,
    }),
  ),
  { block: 'source', key: 'acknowledgements', reason: 'sources always wait for their buffers', instead: 'remove it' },
  { block: 'source', key: 'grpc', reason: 'OTLP comes by HTTP', instead: 'use "address", usually with port 4318' },
  { block: 'source', key: 'http', reason: 'OTLP comes by HTTP only', instead: 'use "address"' },
  {
    block: 'source',
    key: 'tls',
    reason: 'sources do not speak TLS',
    instead: 'listen on 127.0.0.1, behind a proxy that does',
  },
  { block: 'source', key: 'start_at_beginning', reason: 'it has another name', instead: 'use "read_from: beginning"' },
  { block: 'source', key: 'proxy', reason: 'sources do not go through proxies', instead: 'remove it' },
  {
    block: 'source',
    key: 'remove_after_secs',
    reason: 'files are read and never removed',
    instead: 'let logrotate remove them',
  },
  {
    block: 'source',
    key: 'encoding',
    reason: 'lines are UTF-8, and go out as bytes where they are not',
    instead: 'convert the file before',
  },
  {
    block: 'source',
    key: 'data_dir',
    reason: 'what a source remembers is below the data_dir of the config',
    instead: 'remove it',
  },
  {
    block: 'source',
    key: 'idle_timeout_secs',
    reason: 'idle files are closed when many are open',
    instead: 'remove it',
  },
  {
    block: 'source',
    key: 'ignore_not_found',
    reason: 'a file that vanishes is no error',
    instead: 'remove it',
  },
  ...['file_key', 'host_key', 'offset_key'].map(
    (key): RefusedKey => ({
      block: 'source',
      key,
      reason: 'attributes have the names of the semantic conventions',
      instead: 'read log.file.path, host.name or spillway.file.offset',
    }),
  ),
  {
    block: 'sink',
    key: 'request.concurrency',
    value: 'adaptive',
    reason: 'there is no adaptive concurrency',
    instead: 'give a number, or leave it out for 1, strict order',
  },
  {
    block: 'sink',
    key: 'request.adaptive_concurrency',
    reason: 'there is no adaptive concurrency',
    instead: 'give "request.concurrency" a number',
  },
  {
    block: 'sink',
    key: 'retry_strategy',
    reason: 'which answers are tried again is fixed: 429, 5xx, network and time-outs',
    instead: 'see "on_blocked" for the others',
  },
  {
    block: 'sink',
    key: 'healthcheck.uri',
    reason: 'a sink asks the peer that it sends to',
    instead: 'use "healthcheck: { enabled }"',
  },
  {
    block: 'sink',
    key: 'healthcheck_uri',
    reason: 'a sink asks the peer that it sends to',
    instead: 'use "healthcheck"',
  },
  { block: 'sink', key: 'proxy', reason: 'sinks do not go through proxies', instead: 'remove it' },
  { block: 'sink', key: 'protocol', reason: 'OTLP goes by HTTP', instead: 'use "endpoint"' },
  { block: 'sink', key: 'jetstream', reason: 'the sink speaks to nothing else', instead: 'remove it' },
  { block: 'sink', key: 'graph', reason: 'no graph is drawn', instead: 'remove it' },
];

export interface FoundRefusedKey {
  readonly path: readonly string[];
  readonly place: Place;
  readonly message: string;
}

interface Checked {
  /** The block without what was refused, so that nobody complains of it again. */
  readonly node: MapNode;
  readonly refused: readonly FoundRefusedKey[];
}

/** @param ownKeys Keys that the component itself has: those mean what it says. */
export function refuseVectorKeys(kind: BlockKind, block: MapNode, ownKeys: readonly string[] = []): Checked {
  let node = block;
  const refused: FoundRefusedKey[] = [];
  for (const entry of refusedKeys) {
    const path = entry.key.split('.');
    if (entry.block !== kind || ownKeys.includes(entry.key)) continue;
    const found = find(block, block.place, path);
    if (found.node === undefined || !hasValue(found.node, entry.value)) continue;
    const subject = `${entry.of ?? 'Vector'}'s ${entry.value === undefined ? 'key' : `value "${entry.value}"`}`;
    const message = `${subject} is not understood here: ${entry.reason}; ${entry.instead}`;
    refused.push({ path, place: entry.value === undefined ? found.keyPlace : found.place, message });
    node = without(node, path);
  }
  return { node, refused };
}

function hasValue(node: ConfigNode, value: string | undefined): boolean {
  return value === undefined || (node.kind === 'scalar' && node.value === value);
}

function without(node: MapNode, [key = '', ...rest]: readonly string[]): MapNode {
  const entry = node.entries.get(key);
  if (rest.length === 0 || entry === undefined || entry.node.kind !== 'map') {
    return withoutKeys(node, (each) => each === key);
  }
  return withEntry(node, key, { ...entry, node: without(entry.node, rest) });
}
