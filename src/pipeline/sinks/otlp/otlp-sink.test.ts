import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createRawServer, type Server as RawServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../../../test/http-rig.ts';
import { encodePartialSuccess, encodeStatus } from '../../../otlp/response.ts';
import { signals } from '../../../otlp/signal.ts';
import {
  realWorld,
  type SimulatedWorld,
  sampleBatch,
  type TestSinkContext,
  testSinkContext,
} from '../../../testing/index.ts';
import type { Sink, SinkAnswer } from '../../contract/sink.ts';
import { otlpSink } from './otlp-sink.ts';

interface Got {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Scripted {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

const tooLarge = 'HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n';
const protobuf = { 'content-type': 'application/x-protobuf' };
const json = { 'content-type': 'application/json; charset=utf-8' };

let context: TestSinkContext<SimulatedWorld>;
let sink: Sink;
let server: Server;
let url: string;
let got: Got[];
let script: (got: Got) => Scripted;
const toClose: (() => unknown)[] = [];

beforeEach(async () => {
  got = [];
  script = () => ({ headers: protobuf });
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const one = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(parts) };
      got.push(one);
      const { status = 200, headers = {}, body = '' } = script(one);
      response.writeHead(status, headers).end(body);
    });
  });
  url = await listening(server);
  await make({});
});

afterEach(async () => {
  await sink.close?.();
  for (const close of toClose.splice(0)) close();
  expect(context.world.clock).toHaveProperty('owedCount', 0);
});

async function listening(given: RawServer): Promise<string> {
  const sockets = new Set<Socket>();
  given.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => {
    given.listen(0, '127.0.0.1', resolve);
  });
  toClose.push(() => {
    given.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${(given.address() as AddressInfo).port}`;
}

/** A server that does with each connection what it is told, once it was sent something. */
async function rawServer(answer: (socket: Socket) => void): Promise<string> {
  return await listening(
    createRawServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => answer(socket));
    }),
  );
}

async function make(options: Record<string, unknown>, headers: Record<string, string> = {}): Promise<void> {
  await sink?.close?.();
  context = testSinkContext({ timeoutMs: 5_000, headers });
  sink = await otlpSink.create(otlpSink.schema.parse({ endpoint: url, ...options }) as never, context);
}

function deliver(batch = sampleBatch('logs', 1, [3]), signal = new AbortController().signal): Promise<SinkAnswer> {
  return sink.deliver(batch, { signal });
}

function bodyOf({ headers, body }: Got): Buffer {
  const coding = headers['content-encoding'];
  if (coding === 'gzip') return gunzipSync(body);
  return coding === 'zstd' ? zstdDecompressSync(body) : body;
}

describe('a request', () => {
  it.each(signals)('for %s carries the very bytes of a record to the path of the signal', async (signal) => {
    const batch = sampleBatch(signal, 1, [3]);
    expect(await deliver(batch)).toEqual({ kind: 'delivered' });
    expect(got).toHaveLength(1);
    expect(got[0]?.path).toBe(`/v1/${signal}`);
    expect(got[0]?.headers).toMatchObject({ ...protobuf, 'content-encoding': 'gzip', 'user-agent': 'spillway' });
    expect(Buffer.compare(bodyOf(got[0] as Got), batch.merged())).toBe(0);
  });

  it.each(['gzip', 'zstd', 'none'] as const)('is compressed by %s', async (compression) => {
    await make({ compression });
    const batch = sampleBatch('logs', 1, [2, 3], 'x'.repeat(1000));
    await deliver(batch);
    expect(got[0]?.headers['content-encoding']).toBe(compression === 'none' ? undefined : compression);
    expect(Buffer.compare(bodyOf(got[0] as Got), batch.merged())).toBe(0);
  });

  it('carries the headers of the config, and ours where they would break it', async () => {
    const headers = { 'X-Tenant': 'own' };
    await make({ headers, token: 'geheim' }, { 'x-tenant': 'common', 'x-more': 'more', 'Content-Type': 'text/html' });
    await deliver();
    expect(got[0]?.headers).toMatchObject({
      ...protobuf,
      'x-tenant': 'own',
      'x-more': 'more',
      authorization: 'Bearer geheim',
    });
  });

  it('takes user and password from the URL, and never shows them', async () => {
    await make({ endpoint: url.replace('http://', 'http://me:p%40ssword@'), compression: 'none' });
    script = () => ({
      status: 401,
      headers: { 'content-type': 'text/plain' },
      body: 'no p@ssword, no bWU6cEBzc3dvcmQ=',
    });
    const answer = await deliver();
    expect(got[0]?.headers.authorization).toBe('Basic bWU6cEBzc3dvcmQ=');
    expect(JSON.stringify(answer)).not.toMatch(/ssword@|bWU6/);
  });

  it('goes where the config says', async () => {
    await make({ endpoint: `${url}/prefix/?a=b`, traces_endpoint: `${url}/own/traces` });
    for (const signal of signals) await deliver(sampleBatch(signal, 1, [1]));
    expect(got.map(({ path }) => path)).toEqual(['/prefix/v1/logs?a=b', '/own/traces', '/prefix/v1/metrics?a=b']);
  });

  it('is sent only for signals that have an endpoint', async () => {
    await make({ endpoint: undefined, metrics_endpoint: `${url}/m` });
    expect(sink.signals).toEqual(['metrics']);
  });

  it('above the limit is too large before it is sent, unless it is a single event', async () => {
    await make({ max_request_bytes: 200, compression: 'none' });
    expect(await deliver(sampleBatch('logs', 1, [1, 1], 'x'.repeat(100)))).toMatchObject({ kind: 'too_large' });
    expect(got).toEqual([]);
    expect(await deliver(sampleBatch('logs', 1, [1], 'x'.repeat(300)))).toEqual({ kind: 'delivered' });
  });

  it('reuses the connection of the one before', async () => {
    let connections = 0;
    server.on('connection', () => {
      connections += 1;
    });
    for (let i = 0; i < 5; i++) await deliver();
    script = () => ({ status: 503, headers: json, body: '{"message":"no"}' });
    for (let i = 0; i < 5; i++) await deliver();
    expect(connections).toBe(1);
  });
});

describe('a 200', () => {
  it.each<[string, Scripted]>([
    ['without a body', {}],
    ['with an empty response in JSON', { headers: json, body: '{}' }],
    ['with an unknown key', { headers: json, body: '{"status":"ok"}' }],
    ['as 202', { status: 202 }],
    ['as 204', { status: 204 }],
  ])('%s is delivered', async (_what, reply) => {
    script = () => reply;
    expect(await deliver()).toEqual({ kind: 'delivered' });
  });

  it.each([
    ['protobuf', protobuf],
    ['json', json],
  ] as const)(
    'with a partial success in %s is delivered, and what was refused is counted',
    async (encoding, headers) => {
      const partial = { rejected: 2, message: 'too\nold' };
      for (const signal of signals) {
        script = () => ({ headers, body: encodePartialSuccess(signal, partial, encoding) });
        const answer = await deliver(sampleBatch(signal, 1, [3]));
        expect(answer).toEqual({ kind: 'delivered', refused: { events: 2, reason: 'too old' } });
      }
    },
  );

  it('that refuses more than it was sent refuses all', async () => {
    script = () => ({
      headers: protobuf,
      body: encodePartialSuccess('logs', { rejected: 99, message: 'x' }, 'protobuf'),
    });
    expect(await deliver()).toEqual({ kind: 'delivered', refused: { events: 3, reason: 'x' } });
  });

  it('with a warning is delivered, and the warning is logged once', async () => {
    script = () => ({
      headers: protobuf,
      body: encodePartialSuccess('logs', { rejected: 0, message: 'old field' }, 'protobuf'),
    });
    expect(await deliver()).toEqual({ kind: 'delivered' });
    expect(await deliver()).toEqual({ kind: 'delivered' });
    expect(context.log.lines).toMatchObject([{ level: 'warn', fields: { warning: 'old field' } }]);
  });

  it.each<[string, Scripted]>([
    ['a page', { headers: { 'content-type': 'text/html' }, body: '<html>Please log in</html>' }],
    ['bytes of no type', { body: 'hm' }],
    ['JSON that is none', { headers: json, body: '<html>' }],
    ['protobuf that is none', { headers: protobuf, body: '<html>' }],
  ])('with %s is no receiver, and blocks', async (_what, reply) => {
    script = () => reply;
    expect(await deliver()).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('no OTLP receiver') });
  });

  it('with more than anybody reads is delivered with a warning', async () => {
    script = () => ({ headers: json, body: Buffer.alloc(200_000, ' ') });
    expect(await deliver()).toEqual({ kind: 'delivered' });
    expect(context.log.lines).toMatchObject([{ level: 'warn' }]);
    expect(await deliver()).toEqual({ kind: 'delivered' });
  });
});

describe('a refusal', () => {
  it.each([
    [408, 'retryable'],
    [429, 'retryable'],
    [500, 'retryable'],
    [502, 'retryable'],
    [503, 'retryable'],
    [504, 'retryable'],
    [599, 'retryable'],
    [413, 'too_large'],
    [400, 'rejected'],
    [422, 'rejected'],
    [401, 'blocked'],
    [403, 'blocked'],
    [404, 'blocked'],
    [405, 'blocked'],
    [407, 'blocked'],
    [410, 'blocked'],
    [415, 'blocked'],
    [418, 'blocked'],
  ] as const)('%i is %s, with the words of the receiver', async (status, kind) => {
    script = () => ({ status, headers: protobuf, body: encodeStatus({ code: 3, message: 'the words' }, 'protobuf') });
    const reason = `${url}/v1/logs answered ${status}: the words`;
    expect(await deliver()).toEqual({ kind, reason });
    script = () => ({ status, headers: json, body: '{"code":3,"message":"the words"}' });
    expect(await deliver()).toEqual({ kind, reason });
    script = () => ({ status, headers: { 'content-type': 'text/plain' }, body: 'the words\r\n' });
    expect(await deliver()).toEqual({ kind, reason });
    script = () => ({ status, headers: { 'content-type': 'text/html' }, body: '<html>long page' });
    expect(await deliver()).toEqual({ kind, reason: reason.replace(': the words', '') });
  });

  it.each([301, 302, 303, 307, 308])('%i is not followed, and blocks', async (status) => {
    script = () => ({ status, headers: { location: 'https://me:geheim@other.example/in?token=1' } });
    const answer = await deliver();
    expect(answer).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('https://other.example/in:') });
    expect(JSON.stringify(answer)).not.toMatch(/geheim|token/);
    expect(got).toHaveLength(1);
  });

  it.each([
    ['3', 3_000],
    ['0', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['99999999', 3_600_000],
    ['soon', undefined],
    ['<date>', 90_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', undefined],
  ])('says when to come again: Retry-After: %s', async (header, afterMs) => {
    const now = context.world.clock.now();
    const value = header === '<date>' ? new Date(now + 90_000).toUTCString() : header;
    script = () => ({ status: 503, headers: { 'retry-after': value } });
    const answer = await deliver();
    expect(answer.kind).toBe('retryable');
    if (header === '<date>') expect('afterMs' in answer && answer.afterMs).toBeGreaterThan(88_999);
    else expect('afterMs' in answer ? answer.afterMs : undefined).toBe(afterMs);
  });

  it('of zstd makes it gzip for good, said once', async () => {
    await make({ compression: 'zstd' });
    script = ({ headers }) => (headers['content-encoding'] === 'zstd' ? { status: 415 } : { headers: protobuf });
    expect(await Promise.all([deliver(), deliver()])).toEqual([{ kind: 'delivered' }, { kind: 'delivered' }]);
    expect(await deliver()).toEqual({ kind: 'delivered' });
    expect(got.filter(({ headers }) => headers['content-encoding'] === 'zstd').length).toBeLessThanOrEqual(2);
    expect(got.at(-1)?.headers['content-encoding']).toBe('gzip');
    expect(context.log.lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('gzip') }]);
  });

  it('that repeats what it was sent does not show it', async () => {
    await make({ token: 'very-secret-token', headers: { 'x-api-key': 'another-secret' } });
    const message = 'bad token very-secret-token and key another-secret';
    script = () => ({ status: 401, headers: { 'content-type': 'text/plain' }, body: message });
    expect(await deliver()).toMatchObject({ reason: expect.stringContaining('bad token *** and key ***') });
  });
});

describe('a connection', () => {
  it('that nobody takes is retryable', async () => {
    const gone = createRawServer();
    const endpoint = await listening(gone);
    await new Promise((resolve) => {
      gone.close(resolve);
    });
    await make({ endpoint });
    expect(await deliver()).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('ECONNREFUSED') });
  });

  it.each<[string, (socket: Socket) => void]>([
    ['at once', (socket) => socket.resetAndDestroy()],
    ['without an answer', (socket) => socket.end()],
    ['in the middle of a head', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-')],
    ['in the middle of a body', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc')],
    [
      'in the middle of a body, by a reset',
      (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc', () => socket.resetAndDestroy()),
    ],
  ])('that ends %s is retryable, and the next one works', async (_what, answer) => {
    let times = 0;
    const endpoint = await rawServer((socket) => {
      times += 1;
      if (times === 1) answer(socket);
      else socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    });
    await make({ endpoint });
    expect(await deliver()).toMatchObject({ kind: 'retryable' });
    expect(await deliver()).toEqual({ kind: 'delivered' });
  });

  it.each([
    ['keeps the connection', (socket: Socket) => socket.pause().write(tooLarge)],
    ['closes at once', (socket: Socket) => socket.pause().end(tooLarge)],
    ['closes and reads on', (socket: Socket) => socket.end(tooLarge)],
  ])('whose peer answers 413 before it has read the body and %s is too large', async (_what, answer) => {
    await make({ endpoint: await rawServer(answer), compression: 'none' });
    const large = sampleBatch('logs', 1, [10], 'x'.repeat(1_000_000));
    expect(await deliver(large)).toMatchObject({ kind: 'too_large' });
    expect(await deliver(large)).toMatchObject({ kind: 'too_large' });
  });

  it('to something else than HTTP blocks', async () => {
    await make({ endpoint: await rawServer((socket) => socket.end('220 mail.example ESMTP\r\n')) });
    expect(await deliver()).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('does not speak HTTP') });
  });

  it('to a host that does not exist blocks', async () => {
    await make({ endpoint: 'http://does-not-exist.invalid:4318' });
    const { kind } = await deliver();
    // A machine without a name server cannot know.
    expect(['blocked', 'retryable']).toContain(kind);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['says nothing', () => undefined],
    ['stops in the head', (socket) => socket.write('HTTP/1.1 200 OK\r\ncont')],
    ['stops in the body', (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc')],
  ])('that %s is given up after the time-out', async (_what, answer) => {
    let reached = false;
    const endpoint = await rawServer((socket) => {
      answer(socket);
      reached = true;
    });
    await make({ endpoint });
    const answered = deliver();
    await until(() => reached);
    await context.world.sim.advance(4_999);
    expect(await Promise.race([answered, Promise.resolve('not yet')])).toBe('not yet');
    await context.world.sim.advance(1);
    expect(await answered).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('5000 ms') });
  });

  it('is given up when the driver says so', async () => {
    let reached = false;
    const endpoint = await rawServer(() => {
      reached = true;
    });
    await make({ endpoint });
    const stop = new AbortController();
    const answered = deliver(sampleBatch('logs', 1, [1]), stop.signal);
    await until(() => reached);
    stop.abort();
    expect(await answered).toMatchObject({ kind: 'retryable', reason: expect.stringContaining('stopped') });
    expect(await deliver(sampleBatch('logs', 1, [1]), AbortSignal.abort())).toMatchObject({ kind: 'retryable' });
  });
});

describe('TLS', () => {
  const fixtures = join(import.meta.dirname, '../../../../test/fixtures/tls');
  const certificate = join(fixtures, 'certificate.pem');
  const key = join(fixtures, 'key.pem');
  let secure: string;

  beforeEach(async () => {
    const { files } = realWorld();
    const options = { cert: (await files.readText(certificate)) ?? '', key: (await files.readText(key)) ?? '' };
    const asked = { ...options, ca: options.cert, requestCert: true, rejectUnauthorized: false };
    const https = createSecureServer(asked, (request, response) => {
      const { authorized } = request.socket as unknown as { authorized: boolean };
      request.resume().on('end', () => response.writeHead(authorized ? 200 : 202).end());
      got.push({ path: String(authorized), headers: request.headers, body: Buffer.alloc(0) });
    });
    secure = (await listening(https)).replace('http:', 'https:');
  });

  it('blocks on a certificate that is not trusted', async () => {
    await make({ endpoint: secure });
    expect(await deliver()).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('not trusted') });
    await make({ endpoint: secure, tls: { ca_file: certificate, server_name: 'other.example' } });
    expect(await deliver()).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('not trusted') });
  });

  it('trusts the certificates that the config names', async () => {
    await make({ endpoint: secure, tls: { ca_file: certificate } });
    expect(await deliver()).toEqual({ kind: 'delivered' });
  });

  it('looks away when it is told to', async () => {
    await make({ endpoint: secure, tls: { verify_certificate: false } });
    expect(await deliver()).toEqual({ kind: 'delivered' });
    const tls = { ca_file: certificate, server_name: 'other.example', verify_hostname: false };
    await make({ endpoint: secure, tls });
    expect(await deliver()).toEqual({ kind: 'delivered' });
  });

  it('shows its own certificate', async () => {
    await make({ endpoint: secure, tls: { ca_file: certificate, crt_file: certificate, key_file: key } });
    expect(await deliver()).toEqual({ kind: 'delivered' });
    expect(got.map(({ path }) => path)).toEqual(['true']);
  });

  it('blocks where none is spoken', async () => {
    await make({ endpoint: url.replace('http:', 'https:') });
    expect(await deliver()).toMatchObject({ kind: 'blocked', reason: expect.stringContaining('TLS') });
  });

  it('needs the files that the config names', async () => {
    await expect(make({ endpoint: secure, tls: { ca_file: join(fixtures, 'missing.pem') } })).rejects.toThrow(
      /missing\.pem.*no such file/,
    );
  });
});

describe('health', () => {
  const check = (): Promise<unknown> =>
    sink.checkHealth?.({ signal: new AbortController().signal }) ?? Promise.resolve();

  it('is asked with a request that holds nothing', async () => {
    expect(await check()).toEqual({ kind: 'healthy' });
    expect(got).toHaveLength(1);
    expect(got[0]?.body).toHaveLength(0);
    expect(got[0]?.headers['content-length']).toBe('0');
  });

  it('is good when one signal is taken, or when the receiver dislikes an empty request', async () => {
    script = ({ path }) => (path === '/v1/logs' ? { status: 404 } : {});
    expect(await check()).toEqual({ kind: 'healthy' });
    script = () => ({ status: 400 });
    expect(await check()).toEqual({ kind: 'healthy' });
  });

  it.each([
    [401, 'blocked'],
    [404, 'blocked'],
    [503, 'retryable'],
  ])('is bad at %i: %s', async (status, kind) => {
    script = () => ({ status });
    expect(await check()).toMatchObject({ kind, reason: expect.stringContaining(String(status)) });
  });

  it('of a signal that is blocked is asked for that signal', async () => {
    script = ({ path }) => (path === '/v1/metrics' ? { status: 404 } : {});
    expect(await deliver(sampleBatch('metrics', 1, [1]))).toMatchObject({ kind: 'blocked' });
    expect(await deliver(sampleBatch('logs', 1, [1]))).toMatchObject({ kind: 'delivered' });
    expect(await check()).toMatchObject({ kind: 'blocked' });
    script = () => ({});
    expect(await check()).toEqual({ kind: 'healthy' });
    expect(await deliver(sampleBatch('metrics', 1, [1]))).toMatchObject({ kind: 'delivered' });
    script = ({ path }) => (path === '/v1/metrics' ? { status: 404 } : {});
    expect(await check()).toEqual({ kind: 'healthy' });
  });
});

describe('options', () => {
  const problem = (options: Record<string, unknown>): string =>
    JSON.stringify(otlpSink.schema.safeParse(options).error?.issues ?? '');

  it.each<[Record<string, unknown>, RegExp]>([
    [{}, /say where to send/],
    [{ endpoint: '127.0.0.1:4318' }, /http:\/\/ or https/],
    [{ endpoint: 'ftp://a' }, /http:\/\/ or https/],
    [{ endpoint: 'http://%zz@a' }, /http:\/\/ or https/],
    [{ endpoint: 'http://a', headers: { 'bad name': 'x' } }, /no header can have/],
    [{ endpoint: 'http://a', headers: { 'x-a': 'sec\nret' } }, /no header can have/],
    [{ endpoint: 'http://a', headers: { 'Content-Type': 'x' } }, /sets this header itself/],
    [{ endpoint: 'http://a', compression: 'br' }, /gzip/],
    [{ endpoint: 'http://a', max_request_bytes: 0 }, /size/],
  ])('%j are refused', (options, words) => {
    expect(problem(options)).toMatch(words);
    expect(problem(options)).not.toContain('sec\\nret');
  });

  it('have defaults', () => {
    expect(otlpSink.schema.parse({ endpoint: 'http://a:1' })).toEqual({
      endpoint: 'http://a:1',
      compression: 'gzip',
      max_request_bytes: 20 * 2 ** 20,
      headers: {},
      tls: { verify_certificate: true, verify_hostname: true },
    });
  });
});
