import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { postHead, postOnce, RawClient, type RawReply, until } from '../../../../test/http-rig.ts';
import { decodePartialSuccess, decodeStatusMessage } from '../../../otlp/response.ts';
import { type Signal, signals, type TelemetryBatch } from '../../../otlp/signal.ts';
import {
  type SimulatedWorld,
  sampleRequest,
  type TestSourceContext,
  testSourceContext,
} from '../../../testing/index.ts';
import type { EmitResult, Source } from '../../contract/source.ts';
import { otlpSource } from './otlp-source.ts';

const requests: Readonly<Record<Signal, TelemetryBatch>> = {
  logs: sampleRequest('logs', 1, 3),
  traces: sampleRequest('traces', 1, 2),
  metrics: sampleRequest('metrics', 1, 4),
};

const protobuf = { 'content-type': 'application/x-protobuf' };
const json = { 'content-type': 'application/json' };
const logsJson = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}';

let context: TestSourceContext<SimulatedWorld>;
let source: Source;
let url: string;
let running: Promise<void>;

async function start(options: Record<string, unknown> = {}): Promise<void> {
  context = testSourceContext();
  const parsed = otlpSource.schema.parse({ address: '127.0.0.1:0', ...options });
  source = await otlpSource.create(parsed as never, context);
  running = source.run();
  await until(() => source.address !== undefined);
  url = source.address ?? '';
}

beforeEach(() => start());

afterEach(async () => {
  context.stop();
  await running;
  expect(source.address).toBeUndefined();
  expect(context.world.clock).toHaveProperty('owedCount', 0);
});

function send(
  signal: Signal,
  body: string | Uint8Array = requests[signal].bytes,
  headers: Readonly<Record<string, string>> = protobuf,
): Promise<RawReply> {
  return postOnce(url, `/v1/${signal}`, headers, body);
}

describe('a request', () => {
  it.each(signals)('for %s is handed on byte for byte, and answered with an empty response', async (signal) => {
    const { bytes, events } = requests[signal];
    const reply = await send(signal);
    expect(reply).toMatchObject({ status: 200, body: Buffer.alloc(0) });
    expect(reply.headers.get('content-type')).toBe('application/x-protobuf');
    await send(signal, gzipSync(bytes), { ...protobuf, 'content-encoding': 'gzip' });
    expect(context.accepted).toHaveLength(2);
    for (const batch of context.accepted) {
      expect(batch).toMatchObject({ signal, events });
      expect(Buffer.compare(batch.bytes, bytes)).toBe(0);
    }
  });

  it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON'])(
    'as %s is made protobuf, and answered in JSON',
    async (type) => {
      const reply = await send('logs', logsJson, { 'content-type': type });
      expect(reply.status).toBe(200);
      expect(reply.headers.get('content-type')).toBe('application/json');
      expect(JSON.parse(reply.body.toString())).toEqual({});
      expect(context.accepted).toMatchObject([{ signal: 'logs', events: 1 }]);
      expect(Buffer.from(context.accepted[0]?.bytes ?? []).toString('latin1')).toContain('hello');
    },
  );

  it('without events is taken, and nothing is emitted', async () => {
    expect(await send('logs', '')).toMatchObject({ status: 200 });
    expect(await send('traces', '{}', json)).toMatchObject({ status: 200 });
    expect(await send('metrics', Uint8Array.of(10, 0))).toMatchObject({ status: 200 });
    expect(context.emissions).toEqual([]);
  });

  it('waits for acceptance before it is answered', async () => {
    const { promise, resolve } = Promise.withResolvers<EmitResult>();
    context.answerWith(() => promise);
    const client = await RawClient.connect(url);
    const { bytes } = requests.logs;
    client.send(postHead('/v1/logs', { ...protobuf, 'content-length': bytes.length }), bytes);
    await until(() => context.emissions.length === 1);
    expect(client.received).toBe('');
    expect(context.emissions[0]?.options.maxWaitMs).toBe(5_000);
    resolve({ kind: 'accepted' });
    expect(await client.reply()).toMatchObject({ status: 200 });
    client.destroy();
  });

  it('whose client went away no longer waits for room', async () => {
    const { promise, resolve } = Promise.withResolvers<EmitResult>();
    context.answerWith(() => promise);
    const client = await RawClient.connect(url);
    const { bytes } = requests.logs;
    client.send(postHead('/v1/logs', { ...protobuf, 'content-length': bytes.length }), bytes);
    await until(() => context.emissions.length === 1);
    const { signal } = context.emissions[0]?.options ?? {};
    expect(signal?.aborted).toBe(false);
    client.destroy();
    await until(() => signal?.aborted === true);
    resolve({ kind: 'unavailable', reason: 'nobody waits', retryAfterMs: 1 });
  });
});

describe.each([
  ['protobuf', protobuf, (signal: Signal) => requests[signal].bytes],
  ['json', json, () => logsJson],
] as const)('an answer in %s', (encoding, headers, bodyOf) => {
  function statusMessage({ body, headers: replied }: RawReply): string | undefined {
    expect(replied.get('content-type')).toBe(headers['content-type']);
    return decodeStatusMessage(body, encoding);
  }

  it('says what the policy dropped, as a partial success', async () => {
    context.answerWith(() => ({ kind: 'dropped', reason: 'buffer_full', events: 3 }));
    const reply = await send('logs', bodyOf('logs'), headers);
    expect(reply.status).toBe(200);
    expect(decodePartialSuccess('logs', reply.body, encoding)).toEqual({
      ok: true,
      partial: { rejected: 3, message: 'the buffer is full, and its policy is to drop what is new' },
    });
  });

  it.each<[EmitResult, number, string | undefined, RegExp]>([
    [{ kind: 'full', retryAfterMs: 1_500 }, 429, '2', /full/],
    [{ kind: 'full', retryAfterMs: 0 }, 429, '1', /full/],
    [{ kind: 'unavailable', reason: 'the disk is away', retryAfterMs: 5_000 }, 503, '5', /the disk is away/],
    [{ kind: 'too_large', limitBytes: 77 }, 413, undefined, /77/],
  ])('to %j is %i', async (result, status, retryAfter, words) => {
    context.answerWith(() => result);
    const reply = await send('logs', bodyOf('logs'), headers);
    expect(reply.status).toBe(status);
    expect(reply.headers.get('retry-after')).toBe(retryAfter);
    expect(statusMessage(reply)).toMatch(words);
    expect(context.accepted).toEqual([]);
  });

  it('to a body that is no request is 400', async () => {
    for (const body of ['\u0007nonsense', bodyOf('logs').slice(0, -1)]) {
      const reply = await send('logs', body, headers);
      expect(reply.status).toBe(400);
      expect(statusMessage(reply)).not.toBe('');
    }
    expect(context.emissions).toEqual([]);
  });

  it('to a body in a false or unknown coding is 400 or 415', async () => {
    const broken = await send('logs', 'x', { ...headers, 'content-encoding': 'gzip' });
    expect([broken.status, statusMessage(broken)]).toEqual([400, expect.stringContaining('gzip')]);
    const unknown = await send('logs', 'x', { ...headers, 'content-encoding': 'br' });
    expect([unknown.status, statusMessage(unknown)]).toEqual([415, expect.stringContaining('zstd')]);
  });

  it('to a body over the limit is 413', async () => {
    const client = await RawClient.connect(url);
    client.send(postHead('/v1/logs', { ...headers, 'content-length': 20 * 2 ** 20 + 1 }));
    const reply = await client.reply();
    expect([reply.status, statusMessage(reply)]).toEqual([413, expect.stringContaining('20971520')]);
    client.destroy();
  });
});

it('of more objects than memory should hold is 413, however few bytes they are', async () => {
  const reply = await send('logs', `{"x":[${Array(1_000_000).fill('{}').join()}]}`, json);
  expect([reply.status, decodeStatusMessage(reply.body, 'json')]).toEqual([413, expect.stringContaining('objects')]);
  const inProtobuf = await send('logs', Buffer.alloc(5_000_000, Uint8Array.of(0x0a, 0)));
  expect([inProtobuf.status, decodeStatusMessage(inProtobuf.body, 'protobuf')]).toEqual([
    413,
    expect.stringContaining('messages'),
  ]);
});

it.each<[string, Signal, Uint8Array]>([
  ['cut short', 'logs', requests.logs.bytes.slice(0, -1)],
  ['with something behind it', 'traces', Uint8Array.of(...requests.traces.bytes, 0)],
  ['broken inside an event', 'logs', nestedEvent(Uint8Array.of(0x0a, 9))],
  ['with a trace id that is none', 'traces', nestedEvent(Uint8Array.of(0x0a, 3, 1, 2, 3))],
  ['of another signal', 'logs', sampleRequest('metrics', 1, 2).bytes],
])('protobuf %s is answered 400', async (_what, signal, body) => {
  const reply = await send(signal, body);
  expect(reply.status).toBe(400);
  expect(decodeStatusMessage(reply.body, 'protobuf')).toContain(`no OTLP request for ${signal}`);
  expect(context.emissions).toEqual([]);
});

describe('a request that is none of ours', () => {
  it.each([
    ['/', 404],
    ['/v1/logs/', 404],
    ['/v1/profiles', 404],
    ['/V1/logs', 404],
    ['/v1/logs?token=1', 200],
  ])('to %s is answered %i', async (path, status) => {
    expect(await postOnce(url, path, protobuf, requests.logs.bytes)).toMatchObject({ status });
  });

  it('is one for a signal that the source does not take', async () => {
    context.stop();
    await running;
    await start({ signals: ['logs', 'metrics'] });
    const { status, body } = await send('traces');
    expect(status).toBe(404);
    expect(decodeStatusMessage(body, 'protobuf')).toBe('nothing is here; expected /v1/logs, /v1/metrics');
    expect(await send('logs')).toMatchObject({ status: 200 });
    expect(context.accepted).toHaveLength(1);
  });

  it.each(['GET', 'PUT', 'HEAD', 'DELETE', 'OPTIONS'])('by %s is answered 405', async (method) => {
    const client = await RawClient.connect(url);
    client.send(`${method} /v1/logs HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
    await client.closed;
    expect(client.received).toMatch(/^HTTP\/1.1 405 /);
    expect(client.received).toMatch(/\r\nallow: POST\r\n/);
  });

  it.each(['text/plain', '', 'application/x-protobuf-2', 'application/grpc'])(
    'of type %j is answered 415',
    async (type) => {
      const reply = await send('logs', requests.logs.bytes, { 'content-type': type });
      expect(reply.status).toBe(415);
      expect(JSON.parse(reply.body.toString())).toMatchObject({
        code: 3,
        message: expect.stringContaining('application/json'),
      });
    },
  );

  it('of a web page is answered 403', async () => {
    expect(await send('logs', requests.logs.bytes, { ...protobuf, origin: 'http://a.example' })).toMatchObject({
      status: 403,
    });
    expect(context.emissions).toEqual([]);
  });
});

describe('options', () => {
  it('have defaults', () => {
    expect(otlpSource.schema.parse({})).toEqual({
      address: { host: '127.0.0.1', port: 4318 },
      insecure: false,
      signals: ['logs', 'traces', 'metrics'],
      max_wait_secs: 5_000,
      allowed_origins: [],
      max_body_bytes: 20 * 2 ** 20,
      max_in_flight_bytes: 64 * 2 ** 20,
      max_connections: 1024,
      header_timeout_secs: 10_000,
      body_timeout_secs: 30_000,
      idle_timeout_secs: 60_000,
    });
  });

  it.each(['0.0.0.0:4318', '[::]:4318', '10.0.0.1:4318', 'example.com:4318'])(
    'refuse %s without insecure',
    (address) => {
      const { success, error } = otlpSource.schema.safeParse({ address });
      expect(success).toBe(false);
      expect(error?.issues).toMatchObject([{ path: ['address'], message: expect.stringContaining('insecure: true') }]);
      expect(otlpSource.schema.safeParse({ address, insecure: true }).success).toBe(true);
    },
  );

  it.each(['127.0.0.1:1', '127.9.9.9:1', 'localhost:1', '[::1]:1'])('take %s', (address) => {
    expect(otlpSource.schema.safeParse({ address }).success).toBe(true);
  });

  it('reach the listener', async () => {
    context.stop();
    await running;
    await start({ max_body_bytes: 10, max_wait_secs: 0.25 });
    expect(await send('logs', 'x'.repeat(11))).toMatchObject({ status: 413 });
    await send('logs', Uint8Array.of(10, 4, 18, 2, 18, 0));
    expect(context.emissions[0]?.options.maxWaitMs).toBe(250);
  });
});

describe('running', () => {
  it('rejects when the address is taken', async () => {
    const other = testSourceContext();
    const options = otlpSource.schema.parse({ address: url.replace('http://', '') });
    const second = await otlpSource.create(options as never, other);
    await expect(second.run()).rejects.toThrow(/EADDRINUSE/);
  });

  it('ends at once when it was stopped before', async () => {
    const other = testSourceContext();
    other.stop();
    // The address is taken: it would reject if it tried.
    const options = otlpSource.schema.parse({ address: url.replace('http://', '') });
    const second = await otlpSource.create(options as never, other);
    await second.run();
    expect(second.address).toBeUndefined();
  });

  it('answers what is under way when it is stopped', async () => {
    const { promise, resolve } = Promise.withResolvers<EmitResult>();
    context.answerWith(() => promise);
    const reply = send('logs');
    await until(() => context.emissions.length === 1);
    context.stop();
    resolve({ kind: 'accepted' });
    expect(await reply).toMatchObject({ status: 200 });
    await running;
  });
});

function field(number: number, inside: Uint8Array): Uint8Array {
  return Uint8Array.of((number << 3) | 2, inside.length, ...inside);
}

/** A request with one event. */
function nestedEvent(event: Uint8Array): Uint8Array {
  return field(1, field(2, field(2, event)));
}
