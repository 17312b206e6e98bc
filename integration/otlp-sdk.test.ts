// The exporters of the OpenTelemetry JS SDK send to the `otlp` source, and an independent receiver gets every item from
// the `otlp` sink: through a disk buffer, with the receiver away for a while.
//
// A relay in front of the source keeps what the SDK sent, so that bytes can be compared with bytes. What arrives is
// decoded by protobufjs, from definitions of its own.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as forward, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { OTLPLogExporter as LogJson } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as LogProto } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter as MetricJson } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as MetricProto } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter as TraceJson } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as TraceProto } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Signal, signals } from '../src/otlp/signal.ts';
import { diskBuffer } from '../src/pipeline/buffers/disk-buffer-plugin.ts';
import type { PipelineSettings } from '../src/pipeline/contract/settings.ts';
import { Pipeline } from '../src/pipeline/runtime/pipeline.ts';
import { otlpSink } from '../src/pipeline/sinks/otlp/otlp-sink.ts';
import { otlpSource } from '../src/pipeline/sources/otlp/otlp-source.ts';
import { MemoryLog, realWorld } from '../src/testing/index.ts';
import { turn, until } from '../test/http-rig.ts';
import { independentDecode, independentEncode } from '../test/otlp/independent-proto.ts';
import { OtlpReceiver } from '../test/otlp-receiver.ts';

const rounds = 4;
const itemsOfRound = 100;

let directory: string;
let receiver: OtlpReceiver;
let pipeline: Pipeline;
let relay: Relay;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'spillway-sdk-'));
  receiver = await OtlpReceiver.open();
});

afterEach(async () => {
  await pipeline.stop();
  await relay.close();
  await receiver.close();
  rmSync(directory, { recursive: true, force: true });
});

async function start(batchBytesMax: number): Promise<void> {
  pipeline = await Pipeline.start(settingsFor(batchBytesMax), { world: realWorld(), log: new MemoryLog() });
  await until(() => pipeline.status().sources[0]?.address !== undefined);
  relay = await Relay.open(pipeline.status().sources[0]?.address ?? '');
}

function settingsFor(batchBytesMax: number): PipelineSettings {
  return {
    dataDir: directory,
    sources: [{ id: 'in', definition: otlpSource, options: otlpSource.schema.parse({ address: '127.0.0.1:0' }) }],
    buffers: [{ id: 'out', stages: [{ definition: diskBuffer, options: diskBuffer.schema.parse({}) }] }],
    sinks: [
      {
        id: 'out',
        definition: otlpSink,
        options: otlpSink.schema.parse({ endpoint: receiver.url }),
        inputs: ['in'],
        buffer: 'out',
        startAt: 'oldest',
        delivery: {
          batch: { maxBytes: batchBytesMax, maxEvents: 100_000, timeoutMs: 0 },
          request: {
            concurrency: 1,
            timeoutMs: 5_000,
            headers: {},
            rateLimit: undefined,
            retryAttempts: Number.POSITIVE_INFINITY,
            retryInitialBackoffMs: 5,
            retryMaxBackoffMs: 50,
            retryJitter: 'none',
          },
          healthcheck: { enabled: true, isRequired: false },
          onBlocked: 'wait',
          deadLetters: undefined,
        },
      },
    ],
    health: undefined,
    shutdownTimeoutMs: 10_000,
  };
}

describe.each(['protobuf', 'json'] as const)('exporters that speak %s', (encoding) => {
  it.each([
    ['not compressed', 'none'],
    ['compressed', 'gzip'],
  ])('lose nothing, %s, over an outage of the receiver', async (_what, compression) => {
    await start(2 ** 20);
    const sdk = new Sdk(encoding, relay.url, compression);
    await sdk.emitRound(0);
    await receiver.away();
    for (let round = 1; round < rounds; round++) await sdk.emitRound(round);
    await receiver.back();
    await drained();
    await sdk.shutdown();
    expect(relay.statuses.every((status) => status === 200)).toBe(true);
    for (const signal of signals) {
      const received = receivedOf(signal);
      expect(new Set(itemsIn(signal, received))).toEqual(new Set(expectedItems(signal)));
      // All that the SDK said is there, not the names alone. A repeat is allowed after an outage: at least once.
      const events = new Set(eventsIn(signal, received));
      expect(events).toEqual(new Set(eventsIn(signal, relay.sentOf(signal))));
    }
  });

  it('are passed on request by request, the same bytes where they were protobuf', async () => {
    await start(1);
    const sdk = new Sdk(encoding, relay.url, 'gzip');
    for (let round = 0; round < rounds; round++) await sdk.emitRound(round);
    await drained();
    await sdk.shutdown();
    for (const signal of signals) {
      const [sent, received] = [relay.sentOf(signal), receivedOf(signal)];
      const texts = encoding === 'protobuf' ? hex : (bytes: Buffer) => JSON.stringify(decodeSent(signal, bytes));
      // The SDK exports side by side, so that there is no order between requests.
      expect(received.map(texts).sort()).toEqual(sent.map(texts).sort());
    }
  });
});

async function drained(): Promise<void> {
  await until(() => pipeline.status().buffers[0]?.backlog.events === 0);
}

function receivedOf(signal: Signal): Buffer[] {
  return receiver.requests.filter(({ path }) => path === `/v1/${signal}`).map(({ body }) => body);
}

/** JSON as it would be in protobuf, so that zeros and missing fields are one. */
function decodeSent(signal: Signal, body: Buffer): Record<string, unknown> {
  if (body[0] !== 0x7b) return independentDecode(signal, body);
  return independentDecode(signal, independentEncode(signal, JSON.parse(body.toString()) as object));
}

type Plain = Readonly<Record<string, unknown>>;

function listIn(value: Plain, key: string): readonly Plain[] {
  return (value[key] ?? []) as readonly Plain[];
}

const layers: Readonly<Record<Signal, readonly string[]>> = {
  logs: ['resourceLogs', 'scopeLogs', 'logRecords'],
  traces: ['resourceSpans', 'scopeSpans', 'spans'],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics'],
};

function hex(bytes: Buffer): string {
  return bytes.toString('hex');
}

/** Every event with all that is said of it, of its resource and of its scope, as JSON. */
function eventsIn(signal: Signal, requests: readonly Buffer[]): string[] {
  const [resources = '', scopes = '', events = ''] = layers[signal];
  return requests.flatMap((bytes) =>
    listIn(decodeSent(signal, bytes), resources).flatMap((resource) =>
      listIn(resource, scopes).flatMap((scope) =>
        listIn(scope, events).map((event) =>
          JSON.stringify({ event, scope: scope['scope'], resource: resource['resource'] }),
        ),
      ),
    ),
  );
}

/** What the test called the items: span names, log texts, metric names. */
function itemsIn(signal: Signal, requests: readonly Buffer[]): string[] {
  return eventsIn(signal, requests).map((one) => {
    const { event } = JSON.parse(one) as { event: { name?: string; body?: { stringValue: string } } };
    return event.name ?? event.body?.stringValue ?? '';
  });
}

function expectedItems(signal: Signal): string[] {
  if (signal === 'metrics') return ['requests', 'duration', 'temperature'];
  return Array.from({ length: rounds * itemsOfRound }, (_, number) => `${signal} ${number}`);
}

/** The SDK with its three signals. A round is exported whole before the next one begins. */
class Sdk {
  readonly #tracers: TracerProvider;
  readonly #loggers: LoggerProvider;
  readonly #meters: MeterProvider;

  constructor(encoding: 'protobuf' | 'json', url: string, compression: string) {
    const resource = resourceFromAttributes({ 'service.name': 'sdk test', 'some.number': 7, list: ['a', 'b'] });
    const config = (signal: Signal): { url: string; compression: never } => ({
      url: `${url}/v1/${signal}`,
      compression: compression as never,
    });
    const [Traces, Logs, Metrics] =
      encoding === 'json' ? [TraceJson, LogJson, MetricJson] : [TraceProto, LogProto, MetricProto];
    const batches = { maxExportBatchSize: 30, maxQueueSize: 10 * itemsOfRound, scheduledDelayMillis: 60_000 };
    const spans = new BatchSpanProcessor({ exporter: new Traces(config('traces')), ...batches });
    const records = new BatchLogRecordProcessor({ exporter: new Logs(config('logs')), ...batches });
    const exporter = new Metrics(config('metrics'));
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 });
    this.#tracers = new TracerProvider({ resource, spanProcessors: [spans] });
    this.#loggers = new LoggerProvider({ resource, processors: [records] });
    this.#meters = new MeterProvider({ resource, readers: [reader] });
  }

  async emitRound(round: number): Promise<void> {
    const [tracer, logger] = [this.#tracers.getTracer('test', '1.2.3'), this.#loggers.getLogger('test')];
    const meter = this.#meters.getMeter('test');
    const counter = meter.createCounter('requests');
    const histogram = meter.createHistogram('duration', { unit: 'ms' });
    const gauge = meter.createGauge('temperature');
    for (let at = 0; at < itemsOfRound; at++) {
      const number = round * itemsOfRound + at;
      const span = tracer.startSpan(`traces ${number}`, { attributes: { number, text: 'ä€🜁', flag: true } });
      span.addEvent('event', { at });
      span.end();
      const attributes = { number, nested: { list: [1, 'two', 3.5, null] } };
      logger.emit({ severityNumber: 9, severityText: 'INFO', body: `logs ${number}`, attributes });
      counter.add(1, { route: `/${at % 7}` });
      histogram.record(at * 1.5);
      gauge.record(-at);
    }
    await this.#tracers.forceFlush();
    await this.#loggers.forceFlush();
    await this.#meters.forceFlush();
  }

  /** The metrics would be exported once more. */
  async shutdown(): Promise<void> {
    const before = relay.statuses.length;
    await Promise.all([this.#tracers.shutdown(), this.#loggers.shutdown(), this.#meters.shutdown()]);
    if (relay.statuses.length > before) await drained();
    await turn();
  }
}

/** Hands requests on to the source, and keeps their bodies. */
class Relay {
  readonly statuses: number[] = [];
  readonly #sent: { readonly path: string; readonly body: Buffer }[] = [];
  readonly #server: Server;
  readonly #target: string;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((request, response) => this.#pass(request, response));
  }

  static async open(target: string): Promise<Relay> {
    const relay = new Relay(target);
    await new Promise<void>((resolve) => {
      relay.#server.listen(0, '127.0.0.1', resolve);
    });
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Decompressed. */
  sentOf(signal: Signal): Buffer[] {
    return this.#sent.filter(({ path }) => path === `/v1/${signal}`).map(({ body }) => body);
  }

  async close(): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    const parts: Buffer[] = [];
    const { url: path = '', headers } = request;
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      this.#sent.push({ path, body: headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body });
      const onward = forward(`${this.#target}${path}`, { method: 'POST', headers }, (reply) => {
        this.statuses.push(reply.statusCode ?? 0);
        response.writeHead(reply.statusCode ?? 500, reply.headers);
        reply.pipe(response);
      });
      onward.end(body);
    });
  }
}
