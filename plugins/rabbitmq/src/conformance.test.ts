// What every sink does, this one does, too.
import { markersIn, realWorld, type SinkHarness, sinkCases } from 'spillway/testing';
import { describe, test } from 'vitest';
import { RabbitmqDouble } from '../test/rabbitmq-double.ts';
import definition from './index.ts';

async function harness(options: Readonly<Record<string, unknown>>): Promise<SinkHarness> {
  const server = await RabbitmqDouble.start();
  server.queue('events');
  server.exchanges.add('telemetry');
  server.bindings.set('telemetry/*', 'events');
  return {
    definition,
    options: { connection_string: server.url, ...options },
    world: realWorld(),
    received: async () => server.queue('events').flatMap(({ body }) => markersIn(body)),
    outage: {
      async begin() {
        server.fault = () => 'drop';
        server.greeting = Buffer.alloc(0);
        server.breakConnections();
      },
      async end() {
        server.fault = () => undefined;
        server.greeting = undefined;
      },
    },
    async stall() {
      server.fault = () => 'hang';
    },
    close: () => server.stop(),
  };
}

describe.each([
  ['a queue', { queue: 'events' }],
  ['an exchange', { exchange: 'telemetry', routing_key: '{signal}.{resource.service.name}', payload: 'protobuf' }],
] as const)('with %s', (_, options) => {
  for (const { name, run } of sinkCases(() => harness(options))) test(name, run);
});
