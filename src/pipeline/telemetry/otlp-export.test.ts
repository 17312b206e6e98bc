import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { expect, it, test } from 'vitest';
import { Basin, PipelineRig, sinkOf, Tap, worldOf } from '../../../test/pipeline-rig.ts';
import { SpanKeeper } from '../../../test/telemetry-rig.ts';
import { MemoryLog } from '../../testing/index.ts';
import { Pipeline } from '../runtime/pipeline.ts';
import { type Environment, type SdkPackages, startOtlpExport } from './otlp-export.ts';

const endpoint = 'http://user:word@collector:4318/x';
const toCollector = { otlpEndpoint: endpoint, spanRatio: 0 };

/** The SDK as far as it is used, with a provider that is real. */
class Packages {
  readonly reader: Reader = new Reader();
  readonly provider: MeterProvider = new MeterProvider({ readers: [this.reader] });
  readonly spans: SpanKeeper = new SpanKeeper();
  readonly given: object[] = [];
  readonly calls: string[] = [];
  loads = 0;
  failure: unknown;

  readonly load = async (): Promise<SdkPackages> => {
    this.loads += 1;
    const { calls, given, provider, spans } = this;
    if (this.failure !== undefined) throw this.failure;
    class NodeSDK {
      constructor(options: object) {
        given.push(options);
      }

      start(): void {
        calls.push('start');
      }

      async shutdown(): Promise<void> {
        calls.push('shutdown');
        await provider.shutdown();
      }
    }
    return {
      NodeSDK,
      metrics: { getMeterProvider: () => provider },
      trace: { getTracerProvider: () => spans.provider },
    };
  };
}

class Reader extends MetricReader {
  readonly lasts: Map<string, unknown> = new Map();

  protected override async onForceFlush(): Promise<void> {
    // Nothing is kept here.
  }

  protected override async onShutdown(): Promise<void> {
    // As the reader of the SDK does: the last values are collected when it ends.
    const { resourceMetrics } = await this.collect();
    for (const { metrics } of resourceMetrics.scopeMetrics) {
      for (const { descriptor, dataPoints } of metrics) this.lasts.set(descriptor.name, dataPoints[0]?.value);
    }
  }
}

it.each([
  ['nobody asks', undefined, {}],
  ['a config without it', { otlpEndpoint: undefined, spanRatio: 0 }, { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
  ['it is switched off', toCollector, { OTEL_SDK_DISABLED: 'True' }],
])('is not started when %s', async (_, telemetry, environment) => {
  const packages = new Packages();
  const log = new MemoryLog();
  expect(await startOtlpExport({ telemetry, environment, log, load: packages.load })).toBeUndefined();
  expect([packages.loads, log.lines]).toEqual([0, []]);
});

test('the endpoint of the config is that of the SDK, and no secret in it is printed', async () => {
  const packages = new Packages();
  const log = new MemoryLog();
  const environment: Environment = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other' };
  const targets = await startOtlpExport({ telemetry: toCollector, environment, log, load: packages.load });
  expect(environment).toEqual({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_METRICS_EXPORTER: 'otlp' });
  expect(packages.given).toEqual([{ serviceName: 'spillway', logRecordProcessors: [], spanProcessors: [] }]);
  expect(targets?.meterProvider).toBe(packages.provider);
  expect(targets?.spans).toBeUndefined();
  expect(JSON.stringify(log.lines)).toContain('collector:4318');
  expect(JSON.stringify(log.lines)).not.toContain('word');
});

test.each([{ OTEL_SERVICE_NAME: 'mine' }, { OTEL_RESOURCE_ATTRIBUTES: 'a=b, service.name=mine' }])(
  'what the environment says of name and endpoint is left alone: %j',
  async (names) => {
    const packages = new Packages();
    const environment: Environment = { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://there', ...names };
    const telemetry = { otlpEndpoint: undefined, spanRatio: 0.25 };
    const targets = await startOtlpExport({ telemetry, environment, log: new MemoryLog(), load: packages.load });
    expect(packages.given).toEqual([{ logRecordProcessors: [] }]);
    expect(environment['OTEL_EXPORTER_OTLP_ENDPOINT']).toBeUndefined();
    expect(targets?.spans).toEqual({ provider: packages.spans.provider, ratio: 0.25 });
  },
);

test('a missing package is one line that says what to install, and no reason not to run', async () => {
  const packages = new Packages();
  const log = new MemoryLog();
  packages.failure = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
  expect(await startOtlpExport({ telemetry: toCollector, environment: {}, log, load: packages.load })).toBeUndefined();
  expect(log.lines.map(({ level, message }) => [level, message])).toEqual([
    [
      'warn',
      'metrics are not exported by OTLP: the SDK of OpenTelemetry is not installed; install it: ' +
        'npm install @opentelemetry/sdk-node @opentelemetry/api',
    ],
  ]);
  packages.failure = new Error('no such detector');
  expect(await startOtlpExport({ telemetry: toCollector, environment: {}, log, load: packages.load })).toBeUndefined();
  expect(log.lines.at(-1)?.message).toContain('did not start');
});

test('spans without a receiver are asked for in vain, and somebody is told', async () => {
  const log = new MemoryLog();
  const telemetry = { otlpEndpoint: undefined, spanRatio: 0.5 };
  expect(await startOtlpExport({ telemetry, environment: {}, log })).toBeUndefined();
  expect(log.lines.map(({ message }) => message)).toEqual([
    'no spans are made: telemetry.span_ratio needs telemetry.otlp.endpoint to send them to',
  ]);
});

test('a pipeline gives the SDK its values while it runs, and its last ones when it ends', async () => {
  const rig = new PipelineRig();
  const tap = new Tap();
  const basin = new Basin();
  const packages = new Packages();
  const { log } = rig;
  const telemetry = await startOtlpExport({ telemetry: toCollector, environment: {}, log, load: packages.load });
  const settings = rig.settings(tap, [sinkOf('archive', basin)]);
  const pipeline = await rig.run(Pipeline.start(settings, { world: worldOf(rig.process), log, telemetry }));
  await rig.run(tap.emit(1, 3));
  await rig.until(() => basin.received.length === 3);
  await rig.run(pipeline.stop());
  expect(packages.calls).toEqual(['start', 'shutdown']);
  const { lasts } = packages.reader;
  expect(lasts.get('spillway.source.received.events')).toBe(3);
  expect(lasts.get('spillway.sink.delivered.events')).toBe(3);
  expect(lasts.get('spillway.buffer.backlog.events')).toBe(0);
  expect(lasts.get('spillway.buffer.group.records')).toMatchObject({ count: 1 });
  expect(lasts.get('spillway.sink.delivery.duration')).toMatchObject({ count: 1 });
});
