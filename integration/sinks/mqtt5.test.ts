// A real MQTT server under all that can happen to it, and what it can say in MQTT 5.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { authorityFile, serverTls } from '../../plugins/mqtt/test/certificates.ts';
import { markersIn, markersOf, sampleBatch } from '../../src/testing/index.ts';
import { accessTo, durableMosquitto, guardedMosquitto, startMosquitto } from '../mosquitto-server.ts';
import { MqttReader, mosquittoVersion, mqttAnswers } from '../mqtt-client.ts';
import { MqttSinkInHand } from '../mqtt-sink.ts';
import { MqttTap } from '../mqtt-tap.ts';
import { needs } from '../requirements.ts';
import { mqtt5 } from './mqtt.ts';
import { sinkFaultTests } from './sink-faults.ts';
import { recordFigure } from './sink-results.ts';

sinkFaultTests(mqtt5);

const reason = needs('linux', 'docker', 'mosquitto-image');
const timeout = 60_000;
const delivered = { kind: 'delivered' };
const found = async (reader: MqttReader): Promise<string[]> => (await reader.messages()).flatMap(markersIn);

test('MQTT 5, a topic that the server forbids: blocked, and delivered when it allows it', {
  timeout,
}, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  const files = { access: accessTo('other/#') };
  const { server, reader: account, write, reload } = await startMosquitto(guardedMosquitto, files);
  await using _ = server;
  await using reader = await MqttReader.start(account, 'numbers');
  await using sink = new MqttSinkInHand({ port: server.port });
  const forbidden = { kind: 'blocked', reason: expect.stringContaining('not authorized (0x87)') };
  expect(await sink.deliver(sampleBatch('logs', 1, [40]))).toMatchObject(forbidden);
  expect(await found(reader)).toEqual([]);
  await write('access', accessTo('numbers'));
  await reload();
  await expect.poll(() => sink.deliver(sampleBatch('logs', 1, [40]))).toEqual(delivered);
  expect(await found(reader)).toEqual(markersOf(1, 40));
  recordFigure(mqtt5, await mosquittoVersion(account), 'A topic that the server forbids', 'blocked until it allows it');
});

test.for([1, 5])(
  'MQTT 5, a server that allows %i publishes at a time gets no more',
  { timeout },
  async (limit, context) => {
    if (reason !== undefined) return context.skip(reason);
    const { server, reader: account } = await startMosquitto([...durableMosquitto, `max_inflight_messages ${limit}`]);
    await using _ = server;
    await using reader = await MqttReader.start(account, 'numbers');
    await using tap = await MqttTap.start(server.port);
    await using sink = new MqttSinkInHand({ port: tap.port });
    expect(await sink.deliver(sampleBatch('logs', 1, [150, 50]))).toEqual(delivered);
    const { receiveMaximum, inFlightMax, publishes } = tap;
    expect({ receiveMaximum, inFlightMax, publishes }).toEqual({
      receiveMaximum: limit,
      inFlightMax: limit,
      publishes: 200,
    });
    expect(await found(reader)).toEqual(markersOf(1, 200));
  },
);

test('MQTT 5, nobody there who wants the messages: sent again, if asked for, until there is', {
  timeout,
}, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  const { server, reader: account } = await startMosquitto(durableMosquitto);
  await using _ = server;
  await using careless = new MqttSinkInHand({ port: server.port });
  expect(await careless.deliver(sampleBatch('logs', 1, [3]))).toEqual(delivered);
  await using sink = new MqttSinkInHand({ port: server.port, client_id: 'careful', require_subscribers: true });
  const alone = { kind: 'retryable', reason: expect.stringContaining('no subscriber') };
  expect(await sink.deliver(sampleBatch('logs', 4, [3]))).toMatchObject(alone);
  await using reader = await MqttReader.start(account, 'numbers');
  expect(await sink.deliver(sampleBatch('logs', 4, [3]))).toEqual(delivered);
  expect(await found(reader)).toEqual(markersOf(4, 3));
});

test.for([5, '3.1.1'])(
  'MQTT %s, a session that is resumed: what was under way is marked as a repeat',
  { timeout },
  async (version, context) => {
    if (reason !== undefined) return context.skip(reason);
    const { server, reader: account } = await startMosquitto(durableMosquitto);
    await using _ = server;
    await using reader = await MqttReader.start(account, 'numbers');
    await using tap = await MqttTap.start(server.port);
    const session = { clean_session: false, protocol_version: version, max_in_flight: 10 };
    await using sink = new MqttSinkInHand({ port: tap.port, ...session });
    tap.cutAt = 50;
    const batch = sampleBatch('logs', 1, [150, 50]);
    expect(await sink.deliver(batch)).toMatchObject({ kind: 'retryable' });
    expect(await sink.deliver(batch)).toEqual(delivered);
    expect(tap.resumed).toBe(1);
    expect(tap.repeats).toBeGreaterThan(0);
    expect(tap.repeats).toBeLessThanOrEqual(10);
    // Of those that were under way, the cut may have come before the tap read them: marked, and seen once.
    expect(tap.publishes).toBeGreaterThanOrEqual(200);
    expect(tap.publishes).toBeLessThanOrEqual(200 + tap.repeats);
    expect([...new Set(await found(reader))]).toEqual(markersOf(1, 200));
  },
);

test('MQTT 5 over TLS, with an authority of its own', { timeout }, async (context) => {
  if (reason !== undefined) return context.skip(reason);
  const folder = '/mosquitto/config';
  const keys = [`cafile ${folder}/ca.pem`, `certfile ${folder}/server.pem`, `keyfile ${folder}/server.key`];
  const files = {
    'ca.pem': readFileSync(authorityFile, 'utf8'),
    'server.pem': serverTls.cert,
    'server.key': serverTls.key,
  };
  const { server, reader: account } = await startMosquitto([...keys, ...durableMosquitto], files);
  await using _ = server;
  await using sink = new MqttSinkInHand({ port: server.port, tls: { ca_file: authorityFile } });
  expect(await sink.deliver(sampleBatch('logs', 1, [100]))).toEqual(delivered);
  await using distrustful = new MqttSinkInHand({ port: server.port, tls: {}, client_id: 'distrustful' });
  const untrusted = { kind: 'blocked', reason: expect.stringContaining('the certificate is not trusted') };
  expect(await distrustful.deliver(sampleBatch('logs', 1, [1]))).toMatchObject(untrusted);
  await using plain = new MqttSinkInHand({ port: server.port, client_id: 'plain' });
  expect(await plain.deliver(sampleBatch('logs', 1, [1]))).toMatchObject({ kind: 'retryable' });
  expect(await mqttAnswers(account)).toBe(false);
});
