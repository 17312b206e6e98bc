// What every sink does, this one does, too.
import { markersIn, realWorld, type SinkHarness, sinkCases } from 'spillway/testing';
import { describe, test } from 'vitest';
import { MqttDouble } from '../test/mqtt-double.ts';
import definition from './index.ts';

async function harness(options: Readonly<Record<string, unknown>>): Promise<SinkHarness> {
  let server = await MqttDouble.start();
  const { port } = server;
  const earlier: string[] = [];
  return {
    definition,
    options: { host: '127.0.0.1', port, topic: 'events/{signal}', ...options },
    world: realWorld(),
    received: async () => [...earlier, ...server.payloads].flatMap(markersIn),
    outage: {
      async begin() {
        earlier.push(...server.payloads);
        await server.stop();
      },
      async end() {
        server = await MqttDouble.start(port);
      },
    },
    async stall() {
      server.greeting = { instead: 'silence' };
    },
    async close() {
      await server.stop().catch(() => undefined);
    },
  };
}

describe.each([
  ['MQTT 5', { protocol_version: 5 }],
  ['MQTT 3.1.1, protobuf', { protocol_version: '3.1.1', payload: 'protobuf' }],
  ['a session that is resumed, one message at a time', { clean_session: false, max_in_flight: 1 }],
] as const)('with %s', (_, options) => {
  for (const { name, run } of sinkCases(() => harness(options))) test(name, run);
});
