// What every sink does, this one does, too.
import { markersIn, realWorld, type SinkHarness, sinkCases } from 'spillway/testing';
import { describe, test } from 'vitest';
import { PostgresDouble } from '../test/postgres-double.ts';
import definition from './index.ts';

async function harness(options: Readonly<Record<string, unknown>>): Promise<SinkHarness> {
  const server = await PostgresDouble.start();
  return {
    definition,
    options: { endpoint: server.endpoint, table: 'events', create_table: true, ...options },
    world: realWorld(),
    dropsRepeats: true,
    received: async () => server.rows('events').flatMap((row) => markersIn(JSON.stringify(row))),
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
  ['one column of JSON', {}],
  ['columns of fields', { columns: { event_key: 'key', body: 'body', span: 'event.name', metric: 'metric.name' } }],
])('with %s', (_, options) => {
  for (const { name, run } of sinkCases(() => harness(options))) test(name, run);
});
