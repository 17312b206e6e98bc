// TLS with a server of the test's own authority, and what comes of one that is not trusted.
import { createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { Sink, SinkAnswer } from 'spillway/plugin';
import { markersIn, markersOf, realWorld, sampleBatch, testSinkContext } from 'spillway/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { authorityFile, serverTls } from '../test/certificates.ts';
import { MqttDouble } from '../test/mqtt-double.ts';
import { deliver } from '../test/sink-bench.ts';
import definition from './index.ts';

/** It is no PEM. */
const ownFile = fileURLToPath(import.meta.url);
let server: MqttDouble;

beforeEach(async () => {
  server = await MqttDouble.start(0, createServer(serverTls));
});

afterEach(async () => {
  await server.stop();
});

async function answerTo(options: Readonly<Record<string, unknown>>): Promise<SinkAnswer> {
  const parsed = definition.schema.parse({ topic: 'events', ...options });
  const sink = definition.create(parsed as never, testSinkContext({ world: realWorld() }) as never) as Sink;
  try {
    return await deliver(sink, sampleBatch('logs', 1, [3]));
  } finally {
    await sink.close?.();
  }
}

it.each([
  ['an address', '127.0.0.1', {}],
  ['a name', 'localhost', {}],
  ['another name, for which it is asked', '127.0.0.1', { server_name: 'localhost' }],
  ['another name, which need not be right', '127.0.0.1', { server_name: 'other.test', verify_hostname: false }],
  ['a name that nobody vouches for, and need not', 'localhost', { ca_file: undefined, verify_certificate: false }],
])('delivers to %s', async (_, host, tls) => {
  const options = { url: `mqtts://${host}:${server.port}`, tls: { ca_file: authorityFile, ...tls } };
  expect(await answerTo(options)).toEqual({ kind: 'delivered' });
  expect(server.payloads.flatMap(markersIn)).toEqual(markersOf(1, 3));
});

it.each([
  ['an authority that is not trusted', { ca_file: undefined }],
  ['another name than it should have', { server_name: 'other.test' }],
])('is blocked by %s', async (_, tls) => {
  const answer = await answerTo({ host: '127.0.0.1', port: server.port, tls: { ca_file: authorityFile, ...tls } });
  const reason = expect.stringContaining(`127.0.0.1:${server.port}: the certificate is not trusted`);
  expect(answer).toMatchObject({ kind: 'blocked', reason });
  expect(server.connects).toEqual([]);
});

it.each([
  ['certificates to trust', { ca_file: ownFile }],
  ['a certificate', { crt_file: ownFile, key_file: ownFile }],
  ['a key', { crt_file: authorityFile, key_file: ownFile, key_pass: 'secret-word' }],
])('is blocked by a file that should hold %s and does not, and tells no password', async (_, tls) => {
  const answer = await answerTo({ host: '127.0.0.1', port: server.port, tls });
  expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('127.0.0.1:') });
  expect(JSON.stringify(answer)).not.toContain('secret-word');
});

it('is not used where it is switched off', async () => {
  const plain = await MqttDouble.start();
  const tls = { enabled: false, ca_file: '/nonexistent' };
  expect(await answerTo({ host: '127.0.0.1', port: plain.port, tls })).toEqual({ kind: 'delivered' });
  await plain.stop();
});
