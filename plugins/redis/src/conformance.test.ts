// What every sink does, this one does, too.
import { markersIn, realWorld, type SinkHarness, sinkCases } from 'spillway/testing';
import { describe, test } from 'vitest';
import { ClusterDouble } from '../test/cluster-double.ts';
import { RedisDouble } from '../test/redis-double.ts';
import definition from './index.ts';

interface Given {
  readonly options: Readonly<Record<string, unknown>>;
  readonly dropsRepeats?: boolean;
  /** How many nodes of a cluster; the key is on the last one. Undefined: a single server. */
  readonly nodes?: number;
}

async function startNodes(count: number | undefined): Promise<readonly RedisDouble[]> {
  if (count === undefined) return [await RedisDouble.start()];
  const cluster = await ClusterDouble.start(count);
  cluster.assign('events', cluster.nodes.at(-1) as RedisDouble);
  return cluster.nodes;
}

async function harness({ options, dropsRepeats = false, nodes: count }: Given): Promise<SinkHarness> {
  const nodes = await startNodes(count);
  const server = nodes.at(-1) as RedisDouble;
  const setFault = (fault: RedisDouble['fault']): void => {
    for (const node of nodes) node.fault = fault;
  };
  return {
    definition,
    options: { url: nodes[0]?.url, cluster: count !== undefined, key: 'events', ...options },
    world: realWorld(),
    dropsRepeats,
    received: async () => [
      ...server.entries('events').flatMap(({ fields }) => markersIn(fields['data'] ?? '')),
      ...server.list('events').flatMap(markersIn),
    ],
    outage: {
      async begin() {
        setFault(() => 'drop');
        for (const node of nodes) node.breakConnections();
      },
      async end() {
        setFault(() => undefined);
      },
    },
    async stall() {
      setFault(() => 'hang');
    },
    async close() {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

describe.each<readonly [string, Given]>([
  ['ids: key', { options: { ids: 'key' }, dropsRepeats: true }],
  ['ids: auto', { options: { ids: 'auto', payload: 'protobuf' } }],
  ['a list', { options: { data_type: 'list' } }],
  ['a cluster', { options: {}, dropsRepeats: true, nodes: 3 }],
  ['a list of a cluster', { options: { data_type: 'list', max_length: 10_000 }, nodes: 2 }],
])('with %s', (_, given) => {
  for (const { name, run } of sinkCases(() => harness(given))) test(name, run);
});
