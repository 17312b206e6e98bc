// What every sink does, this one does, too.
import { markersIn, realWorld, type SinkHarness, sinkCases } from 'spillway/testing';
import { describe, test } from 'vitest';
import { NatsDouble } from '../test/nats-double.ts';
import definition from './index.ts';

async function harness(options: Readonly<Record<string, unknown>>): Promise<SinkHarness> {
  const server = await NatsDouble.start();
  const stream = server.addStream('telemetry', ['telemetry.>']);
  return {
    definition,
    options: { url: server.url, subject: 'telemetry.{signal}', ...options },
    world: realWorld(),
    dropsRepeats: true,
    received: async () => stream.messages.flatMap(({ payload }) => markersIn(payload)),
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
  ['a stream of its own', { deduplicate: 'stream' }],
  [
    'protobuf, and subjects with fields',
    { payload: 'protobuf', subject: 'telemetry.{signal}.{resource.service.name}' },
  ],
  ['a shared stream', { deduplicate: 'window' }],
] as const)('with %s', (_, options) => {
  for (const { name, run } of sinkCases(() => harness(options))) test(name, run);
});
