// A real MQTT server under all that can happen to it, and what it cannot say in MQTT 3.1.1.
import { expect, test } from 'vitest';
import { markersIn, markersOf, sampleBatch } from '../../src/testing/index.ts';
import { accessTo, guardedMosquitto, startMosquitto } from '../mosquitto-server.ts';
import { MqttReader, mosquittoVersion } from '../mqtt-client.ts';
import { MqttSinkInHand } from '../mqtt-sink.ts';
import { needs } from '../requirements.ts';
import { mqtt311 } from './mqtt.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { recordFigure } from './sink-results.ts';

sinkFaultTests(mqtt311);

test('MQTT 3.1.1, a topic that the server forbids: acknowledged, and thrown away', {
  timeout: 60_000,
}, async (context) => {
  const reason = needs('linux', 'docker', 'mosquitto-image');
  if (reason !== undefined) return context.skip(reason);
  const { server, reader: account } = await startMosquitto(guardedMosquitto, { access: accessTo('allowed') });
  await using _ = server;
  await using reader = await MqttReader.start(account, 'allowed', '#');
  for (const [topic, firstId] of [
    ['forbidden', 1],
    ['allowed', 101],
  ] as const) {
    await using sink = new MqttSinkInHand({ port: server.port, protocol_version: '3.1.1', topic });
    expect(await sink.deliver(sampleBatch('logs', firstId, [100]))).toEqual({ kind: 'delivered' });
  }
  const found = (await reader.messages()).flatMap(markersIn);
  expect(found).toEqual(markersOf(101, 100));
  const lost = `100 of 100 events acknowledged, ${found.filter((marker) => marker < 'event-000101').length} arrived`;
  recordFigure(mqtt311, await mosquittoVersion(account), 'A topic that the server forbids', lost);
});
