// TLS as `rediss://` and `tls` say it, against a server that shows the certificate of test/fixtures/tls.
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sampleBatch } from 'spillway/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { RedisDouble } from '../test/redis-double.ts';
import { type BenchSink, SinkBench } from '../test/sink-bench.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../../../test/fixtures/tls/${name}`, import.meta.url));
const crtFile = fixture('certificate.pem');
const keyFile = fixture('key.pem');
const identity = { cert: readFileSync(crtFile), key: readFileSync(keyFile) };
const bench = new SinkBench();
const servers: RedisDouble[] = [];

afterEach(async () => {
  await bench.close();
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function started(tls: Parameters<typeof RedisDouble.start>[0]): Promise<RedisDouble> {
  const server = await RedisDouble.start(tls);
  servers.push(server);
  return server;
}

function makeSink({ port }: RedisDouble, tls?: Readonly<Record<string, unknown>>, host = 'localhost'): BenchSink {
  return bench.make({ options: { url: `rediss://${host}:${port}`, stream: 'events', ...(tls && { tls }) } });
}

const batch = sampleBatch('logs', 1, [2]);
const deliveredAnswer = { kind: 'delivered' };

describe('a server with a certificate of its own', () => {
  it.each([
    ['trusted by its file', { ca_file: crtFile }, 'localhost'],
    ['trusted, at an address', { ca_file: crtFile }, '127.0.0.1'],
    ['not looked at', { verify_certificate: false }, 'localhost'],
    [
      'with another name that is not looked at',
      { ca_file: crtFile, server_name: 'other', verify_hostname: false },
      'localhost',
    ],
  ])('%s is written to', async (_, tls, host) => {
    const server = await started({ tls: identity });
    expect(await makeSink(server, tls, host).deliver(batch)).toEqual(deliveredAnswer);
    expect(server.entries('events')).toHaveLength(2);
  });

  it.each([
    ['that is not trusted', undefined],
    ['with another name', { ca_file: crtFile, server_name: 'other.example' }],
  ])('%s is blocked', async (_, tls) => {
    const server = await started({ tls: identity });
    const { deliver, sink } = makeSink(server, tls);
    expect(await deliver(batch)).toMatchObject({ kind: 'blocked', reason: /localhost:\d+: the certificate/ });
    expect(await sink.checkHealth?.({ signal: new AbortController().signal })).toMatchObject({ kind: 'blocked' });
    await expect.poll(() => server.openConnections).toBe(0);
  });
});

it('shows a certificate to a server that asks for one', async () => {
  const server = await started({
    tls: { ...identity, ca: identity.cert, requestCert: true, rejectUnauthorized: true },
  });
  const trust = { ca_file: crtFile };
  expect(await makeSink(server, trust).deliver(batch)).toMatchObject({
    kind: expect.stringMatching(/blocked|retryable/),
  });
  const shown = { ...trust, crt_file: crtFile, key_file: keyFile };
  expect(await makeSink(server, shown).deliver(batch)).toEqual(deliveredAnswer);
});

it('is blocked while a file is missing, names it, and finds it when it is there', async () => {
  const server = await started({ tls: identity });
  const folder = mkdtempSync(join(tmpdir(), 'spillway-redis-tls-'));
  const path = join(folder, 'ca.pem');
  try {
    const { deliver } = makeSink(server, { ca_file: path });
    expect(await deliver(batch)).toMatchObject({ kind: 'blocked', reason: expect.stringContaining(path) });
    copyFileSync(crtFile, path);
    expect(await deliver(batch)).toEqual(deliveredAnswer);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it.each([
  ['a certificate that is none', { crt_file: fileURLToPath(import.meta.url), key_file: keyFile }],
  ['a key that is none', { crt_file: crtFile, key_file: fileURLToPath(import.meta.url), key_pass: 'secret-word' }],
])('is blocked by %s, and tells no password', async (_, tls) => {
  const server = await started({ tls: identity });
  const answer = await makeSink(server, tls).deliver(batch);
  expect(answer).toMatchObject({ kind: 'blocked', reason: /localhost:/ });
  expect(JSON.stringify(answer)).not.toContain('secret-word');
});

it('does not wait for ever where only one side speaks TLS', async () => {
  const plain = await started({});
  const { deliver } = bench.make({
    options: { url: `rediss://localhost:${plain.port}`, stream: 'events', connect_timeout_secs: 0.2 },
  });
  expect((await deliver(batch)).kind).toMatch(/retryable|blocked/);
  const encrypted = await started({ tls: identity });
  const clear = bench.make({ options: { url: encrypted.url, stream: 'events' }, timeoutMs: 300 });
  expect((await clear.deliver(batch)).kind).toMatch(/retryable|blocked/);
});
