// What every sink does, this one does, too.
import { markersIn, realWorld, type SinkHarness, sinkCases } from 'spillway/testing';
import { describe, test } from 'vitest';
import { RedisDouble } from '../test/redis-double.ts';
import definition from './index.ts';

async function harness(options: Readonly<Record<string, unknown>>, dropsRepeats: boolean): Promise<SinkHarness> {
  const server = await RedisDouble.start();
  return {
    definition,
    options: { url: server.url, stream: 'events', ...options },
    world: realWorld(),
    dropsRepeats,
    received: async () => server.entries('events').flatMap(({ fields }) => markersIn(fields['data'] ?? '')),
    outage: {
      async begin() {
        server.fault = () => 'drop';
        server.breakConnections();
      },
      async end() {
        server.fault = () => undefined;
      },
    },
    async stall() {
      server.fault = () => 'hang';
    },
    close: () => server.stop(),
  };
}

describe.each([
  ['ids: key', { ids: 'key' }, true],
  ['ids: auto', { ids: 'auto', payload: 'protobuf' }, false],
] as const)('with %s', (_, options, dropsRepeats) => {
  for (const { name, run } of sinkCases(() => harness(options, dropsRepeats))) test(name, run);
});
