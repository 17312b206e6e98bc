// An application that makes spans at a steady pace, in a process of its own, with one exporter or with none.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Durability } from '../../src/index.ts';
import { BufferedSpanExporter } from '../../src/sdk/index.ts';
import { answer, taskOfThisProcess } from './children.ts';

export type ExporterTask = {
  readonly exporter: 'none' | 'official' | Durability;
  readonly url: string;
  readonly path: string;
  readonly spansPerSecond: number;
  readonly warmUpMs: number;
  readonly forMs: number;
};

export type ExporterCost = {
  readonly spans: number;
  /** Processor time of all threads, from the first span until everything was delivered. */
  readonly microsecondsPerSpan: number;
  readonly loopP50Ms: number;
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
};

const task = taskOfThisProcess<ExporterTask>();
const tickMs = 10;

function exporterOf({ exporter, url, path }: ExporterTask): SpanExporter {
  if (exporter === 'none') {
    return { export: (_spans, callback) => callback({ code: 0 }), shutdown: async () => undefined };
  }
  if (exporter === 'official') return new OTLPTraceExporter({ url, compression: 'gzip' as never });
  return new BufferedSpanExporter({ url, buffer: { path, durability: exporter } });
}

const processor = new BatchSpanProcessor({
  exporter: exporterOf(task),
  scheduledDelayMillis: 200,
  maxQueueSize: 65_536,
});
const provider = new TracerProvider({ spanProcessors: [processor] });
const tracer = provider.getTracer('bench');

/** As an instrumented server makes them: a dozen attributes. */
function makeSpan(number: number): void {
  const span = tracer.startSpan('GET /orders/:id', { kind: 1 });
  span.setAttributes({
    'http.request.method': 'GET',
    'url.path': `/orders/${number % 1_000}`,
    'url.scheme': 'https',
    'http.route': '/orders/:id',
    'http.response.status_code': 200,
    'server.address': 'shop.example.com',
    'server.port': 443,
    'network.protocol.version': '1.1',
    'user_agent.original': 'Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0',
    'enduser.id': String(number % 4_096),
  });
  span.end();
}

async function load(forMs: number): Promise<number> {
  const startMs = performance.now();
  let made = 0;
  for (let elapsedMs = 0; elapsedMs < forMs; elapsedMs = performance.now() - startMs) {
    const due = Math.ceil(((elapsedMs + tickMs) * task.spansPerSecond) / 1_000);
    while (made < due) makeSpan(made++);
    await sleep(tickMs);
  }
  return made;
}

await load(task.warmUpMs);
await provider.forceFlush();
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const before = process.cpuUsage();
const spans = await load(task.forMs);
delay.disable();
await provider.forceFlush();
const { user, system } = process.cpuUsage(before);
const milliseconds = (nanoseconds: number): number => nanoseconds / 1e6;
await answer({
  spans,
  microsecondsPerSpan: (user + system) / spans,
  loopP50Ms: milliseconds(delay.percentile(50)),
  loopP99Ms: milliseconds(delay.percentile(99)),
  loopMaxMs: milliseconds(delay.max),
} satisfies ExporterCost);
await provider.shutdown();
process.disconnect?.();
