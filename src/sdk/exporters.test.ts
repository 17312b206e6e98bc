// The exporters as users make them, over real HTTP: what they are given and what a receiver sees of it.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { independentDecode } from '../../test/otlp/independent-proto.ts';
import { markersIn, markersOf, sampleRequest } from '../testing/otlp-samples.ts';
import { BufferedMetricExporter, temporalityFor, temporalityOf } from './buffered-metric-exporter.ts';
import { BufferedSpanExporter } from './buffered-span-exporter.ts';
import { diskTransport } from './disk-transport.ts';
import { Exporter } from './exporter.ts';
import { createTelemetryBuffer } from './shared-buffer.ts';

interface Received {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

let path: string;
let server: Server;
let received: Received[];
let answer: Answering;

type Answering = (headers: IncomingHttpHeaders) => readonly [status: number, text?: string];
const ok: Answering = () => [200];

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'spillway-exporters-'));
  received = [];
  answer = ok;
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      received.push({ url: request.url, headers: request.headers, body: Buffer.concat(parts) });
      const [status, text] = answer(request.headers);
      const type = text === undefined ? 'application/x-protobuf' : 'text/plain';
      response.writeHead(status, { 'content-type': type }).end(text);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  rmSync(path, { recursive: true, force: true });
});

function urlOf(rest: string): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}${rest}`;
}

describe('diskTransport', () => {
  it('answers when the disk has it, and posts the very bytes', async () => {
    const { bytes } = sampleRequest('logs', 1, 3);
    const options = { url: urlOf('/v1/logs'), headers: { 'X-Tenant': 'a' }, buffer: { path } };
    const transport = diskTransport({ signal: 'logs', ...options });
    expect(await transport.send(bytes, 1_000)).toEqual({ status: 'success' });
    expect(await transport.send(Uint8Array.of(1, 2, 3), 1_000)).toMatchObject({ status: 'failure' });
    await expect.poll(() => received.length).toBe(1);
    const [{ url, headers, body }] = received as [Received];
    expect(url).toBe('/v1/logs');
    expect(headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      'content-encoding': 'gzip',
      'x-tenant': 'a',
    });
    expect(gunzipSync(body).equals(bytes)).toBe(true);
    transport.shutdown();
    expect(await transport.send(bytes, 1_000)).toMatchObject({ status: 'failure' });
  });

  it('asks for headers before each request, without compression if told so', async () => {
    let asked = 0;
    const headers = async (): Promise<Record<string, string>> => ({ authorization: `Bearer ${++asked}` });
    const url = urlOf('/own/path');
    const transport = diskTransport({ signal: 'traces', url, headers, compression: 'none', buffer: { path } });
    for (const [index, first] of [1, 10].entries()) {
      await transport.send(sampleRequest('traces', first, 2).bytes, 1_000);
      await expect.poll(() => received.length).toBe(index + 1);
    }
    expect(received.map((one) => one.headers.authorization)).toEqual(['Bearer 1', 'Bearer 2']);
    expect(received.map(({ body }) => markersIn(body))).toEqual([markersOf(1, 2), markersOf(10, 2)]);
    expect(received[0]?.headers['content-encoding']).toBeUndefined();
    transport.shutdown();
  });
});

describe('an exporter', () => {
  it('repeats no secret that a receiver repeats', async () => {
    answer = ({ authorization }) => [503, `not for ${authorization}`];
    const headers = { authorization: 'Bearer token-to-hide' };
    const options = { url: urlOf('/v1/traces'), headers, buffer: { path } };
    const exporter = new Exporter('traces', options, { serialize: () => sampleRequest('traces', 1, 1).bytes });
    await new Promise((resolve) => exporter.export([], resolve));
    await expect.poll(() => exporter.stats().delivery.reason).toContain('answered 503: not for ***');
    answer = ok;
    await exporter.shutdown();
  });

  it('refuses options that have no meaning, when it is made', () => {
    const make = (options: object): BufferedSpanExporter => new BufferedSpanExporter(options as never);
    expect(() => make({})).toThrow('expected buffer: { path }');
    expect(() => make({ buffer: {} })).toThrow('buffer.path = undefined');
    expect(() => make({ buffer: { path, whenFull: 'block' } })).toThrow('buffer.whenFull = "block"');
    expect(() => make({ url: 'localhost', buffer: { path } })).toThrow('expected a URL with http:// or https://');
    expect(() => make({ timeoutMillis: 0, buffer: { path } })).toThrow('timeoutMillis = 0');
    expect(() => make({ compression: 'zip', buffer: { path } })).toThrow('expected one of gzip, none');
    expect(() => make({ concurrencyLimit: 0, buffer: { path } })).toThrow('concurrencyLimit = 0');
  });

  it('shares a buffer, and ends it with the last', async () => {
    const buffer = createTelemetryBuffer({ path });
    const [one, two] = ['/a', '/b'].map((rest) => new BufferedMetricExporter({ url: urlOf(rest), buffer }));
    await one?.shutdown();
    await two?.forceFlush();
    await two?.shutdown();
    await two?.shutdown();
    expect(buffer.stats()).toMatchObject([{ signal: 'metrics', state: 'closed' }]);
  });

  it('uses what the transformer makes of spans', async () => {
    const exporter = new BufferedSpanExporter({ url: urlOf('/v1/traces'), compression: 'none', buffer: { path } });
    const time = [1_750_000_000, 0];
    const span = {
      name: 'one',
      kind: 0,
      spanContext: () => ({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }),
      ...{ startTime: time, endTime: time, status: { code: 0 }, attributes: {}, links: [], events: [] },
      ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
      resource: { attributes: {}, asyncAttributesPending: false },
      instrumentationScope: { name: 'test' },
    };
    const result = await new Promise((resolve) => exporter.export([span], resolve));
    expect(result).toEqual({ code: 0 });
    await exporter.forceFlush();
    const [request] = received.map(({ body }) => independentDecode('traces', body));
    expect(request).toMatchObject({ resourceSpans: [{ scopeSpans: [{ spans: [{ name: 'one' }] }] }] });
    expect(exporter.stats()).toMatchObject({ accepted: 1, delivered: 1, failed: 0 });
    await exporter.shutdown();
  });
});

describe('temporality', () => {
  it.each([
    ['cumulative', [1, 1, 1, 1, 1, 1, 1]],
    ['delta', [0, 0, 0, 1, 0, 0, 1]],
    ['lowmemory', [0, 1, 0, 1, 1, 1, 1]],
  ] as const)('%s is as the specification has it', (preference, expected) => {
    const types = ['COUNTER', 'GAUGE', 'HISTOGRAM', 'UP_DOWN_COUNTER', 'OBSERVABLE_COUNTER', 'OBSERVABLE_GAUGE'];
    const all = [...types, 'OBSERVABLE_UP_DOWN_COUNTER'];
    expect(all.map((type) => temporalityFor(type, preference))).toEqual(expected);
  });

  it('is read from the environment', () => {
    const name = 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE';
    const found = ['Delta', 'LOWMEMORY', 'cumulative', 'other', ''].map((text) => temporalityOf({ [name]: text }));
    expect(found).toEqual(['delta', 'lowmemory', 'cumulative', 'cumulative', 'cumulative']);
  });
});
