// An application with the OpenTelemetry SDK under load: every span, log record and metric point carries a number, and
// goes to two exporters side by side, the one with a disk behind it and the official one.
//
// Started with one argument, JSON (`ApplicationOptions`). Each line it writes is JSON: `{ ack }` with the numbers of an
// export of ours that succeeded, written before anything else can happen, and one `{ end }` after `stop` on its input.
// The packages of the SDK are those that `packages` finds, so that one program runs with each major version.
import { createRequire } from 'node:module';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

export interface ApplicationOptions {
  /** A package.json: its neighbours are the packages of the SDK. */
  readonly packages: string;
  /** The folder `src` of this repository, or a copy of it beside other packages. */
  readonly source: string;
  readonly collector: string;
  readonly path: string;
  readonly maxBytes: number;
  readonly whenFull: string;
  readonly itemsPerSecond: number;
  /** The number before the first. */
  readonly first: number;
}

export interface ApplicationEnd {
  /** The highest number of each signal that was emitted. */
  readonly emitted: Readonly<Record<string, number>>;
  readonly stats: readonly Readonly<Record<string, unknown>>[];
  readonly loopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

// What is used of the SDK: shapes, because two major versions of it are meant.
type Callback = (result: { code: number; error?: Error }) => void;
interface Exporter {
  export(items: unknown, callback: Callback): void;
  forceFlush?(): Promise<void>;
  shutdown(): Promise<void>;
}
type Made<Result> = new (...options: unknown[]) => Result;
interface Provider {
  shutdown(): Promise<void>;
}
interface Span {
  setAttribute(name: string, value: unknown): void;
  end(): void;
}
interface Tracers extends Provider {
  getTracer(name: string): { startSpan(name: string): Span };
}
interface Loggers extends Provider {
  getLogger(name: string): { emit(record: object): void };
}
interface Gauge {
  addCallback(callback: (result: { observe(value: number): void }) => void): void;
}
interface Meters extends Provider {
  getMeter(name: string): { createObservableGauge(name: string): Gauge };
}

const options = JSON.parse(process.argv[2] ?? '{}') as ApplicationOptions;
const load = createRequire(options.packages);
const ours = (await import(
  pathToFileURL(`${options.source}/sdk/index.ts`).href
)) as typeof import('spillway/opentelemetry');
const { BatchSpanProcessor, BasicTracerProvider, TracerProvider } = anyOf<{
  BatchSpanProcessor: Made<object>;
  BasicTracerProvider?: Made<Tracers>;
  TracerProvider?: Made<Tracers>;
}>('@opentelemetry/sdk-trace-base', '@opentelemetry/sdk-trace');
const { BatchLogRecordProcessor, LoggerProvider } = load('@opentelemetry/sdk-logs') as {
  BatchLogRecordProcessor: Made<object>;
  LoggerProvider: Made<Loggers>;
};
const { MeterProvider, PeriodicExportingMetricReader } = load('@opentelemetry/sdk-metrics') as {
  MeterProvider: Made<Meters>;
  PeriodicExportingMetricReader: Made<object>;
};
const isOlderLine = BasicTracerProvider !== undefined;

function anyOf<Module>(...names: readonly string[]): Module {
  for (const name of names) {
    try {
      return load(name) as Module;
    } catch {
      // The next one: a major version has it under another name.
    }
  }
  throw new Error(`none of ${names.join(', ')} is installed`);
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Says which items an exporter has answered with success. */
function reporting(signal: string, exporter: Exporter): Exporter {
  const inner = exporter as Exporter & Record<string, unknown>;
  return new Proxy(inner, {
    get(target, name) {
      if (name === 'export') {
        return (items: unknown, callback: Callback): void =>
          target.export(items, (result) => {
            if (result.code === 0) say({ ack: { signal, numbers: numbersIn(signal, items) } });
            callback(result);
          });
      }
      const value = target[name as string];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function numbersIn(signal: string, items: unknown): number[] {
  if (signal === 'metrics') {
    const { scopeMetrics } = items as { scopeMetrics: { metrics: { dataPoints: { value: number }[] }[] }[] };
    return scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ dataPoints }) => dataPoints.map(({ value }) => value)),
    );
  }
  const list = items as { name?: string; body?: string }[];
  return list.map(({ name, body }) => Number((signal === 'logs' ? body : name)?.split(' ')[1]));
}

function officialExporter(signal: string, kind: string): Exporter {
  const module = load(`@opentelemetry/exporter-${kind}-otlp-proto`) as Record<string, Made<Exporter>>;
  const name = { trace: 'OTLPTraceExporter', logs: 'OTLPLogExporter', metrics: 'OTLPMetricExporter' }[kind] ?? '';
  return new (module[name] as Made<Exporter>)({
    url: `${options.collector}/official/v1/${signal}`,
    compression: 'gzip',
  });
}

const batches = { scheduledDelayMillis: 200, maxQueueSize: 2048, maxExportBatchSize: 512 };

function batching(Processor: Made<object>, exporter: Exporter, takesOptions: boolean): object {
  return takesOptions ? new Processor({ exporter, ...batches }) : new Processor(exporter, batches);
}

const { path, maxBytes, whenFull, collector } = options;
const buffer = ours.createTelemetryBuffer({ path, maxBytes, whenFull: whenFull as 'drop_oldest' });
const common = { buffer, timeoutMillis: 2_000, retryMaxBackoffMillis: 2_000 };
const urlOf = (signal: string): string => `${collector}/spillway/v1/${signal}`;
const spans = new ours.BufferedSpanExporter({ ...common, url: urlOf('traces') });
const records = new ours.BufferedLogRecordExporter({ ...common, url: urlOf('logs') });
const points = new ours.BufferedMetricExporter({ ...common, url: urlOf('metrics') });

const tracers = new ((BasicTracerProvider ?? TracerProvider) as Made<Tracers>)({
  spanProcessors: [reporting('traces', spans as Exporter), officialExporter('traces', 'trace')].map((exporter) =>
    batching(BatchSpanProcessor, exporter, !isOlderLine),
  ),
});
const logProcessors = [reporting('logs', records as Exporter), officialExporter('logs', 'logs')].map((exporter) =>
  batching(BatchLogRecordProcessor, exporter, true),
);
const loggers = new LoggerProvider({ processors: logProcessors });
const emitted = { traces: options.first, logs: options.first, metrics: options.first, officialMetrics: options.first };
const tracer = tracers.getTracer('load');
const logger = loggers.getLogger('load');

/** Each exporter collects for itself: a point that one of them has seen is not one that the other has. */
function metering(exporter: Exporter, counted: 'metrics' | 'officialMetrics'): Meters {
  const periodic = { exportIntervalMillis: 200, exportTimeoutMillis: 200 };
  const meters = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter, ...periodic })] });
  const gauge = meters.getMeter('load').createObservableGauge('numbered');
  gauge.addCallback((result) => {
    emitted[counted] += 1;
    result.observe(emitted[counted]);
  });
  return meters;
}

const meters = [
  metering(reporting('metrics', points as Exporter), 'metrics'),
  metering(officialExporter('metrics', 'metrics'), 'officialMetrics'),
];

const tickMs = 10;
const perTick = Math.max(1, Math.round((options.itemsPerSecond * tickMs) / 1_000));
const delay = monitorEventLoopDelay({ resolution: 1 });
const timer = setInterval(() => {
  for (let item = 0; item < perTick; item++) {
    emitted.traces += 1;
    const span = tracer.startSpan(`span ${emitted.traces}`);
    span.setAttribute('http.route', '/orders/:id');
    span.setAttribute('http.response.status_code', 200);
    span.end();
  }
  emitted.logs += 1;
  logger.emit({ severityNumber: 9, body: `log ${emitted.logs}`, attributes: { 'http.route': '/orders/:id' } });
}, tickMs);
delay.enable();
say({ started: process.pid });

let input = '';
process.stdin.setEncoding('utf8').on('data', (text: string) => {
  input += text;
  if (!input.includes('stop')) return;
  input = '';
  void stop();
});

async function stop(): Promise<void> {
  clearInterval(timer);
  delay.disable();
  await Promise.allSettled([tracers.shutdown(), loggers.shutdown(), ...meters.map((each) => each.shutdown())]);
  const ms = (nanoseconds: number): number => Math.round(nanoseconds / 10_000) / 100;
  const loopDelayMs = { p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) };
  const stats = buffer.stats().map((one) => ({ ...one, failure: String(one.failure) }));
  say({ end: { emitted, stats, loopDelayMs } satisfies ApplicationEnd });
  process.stdin.destroy();
}
