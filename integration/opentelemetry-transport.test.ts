// An exporter that somebody builds from the official base, with our transport in it: its spans are on disk when it
// answers, and arrive when the collector is back.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createOtlpNetworkExportDelegate,
  ExporterMetrics,
  getSharedConfigurationDefaults,
  OTLPExporterBase,
} from '@opentelemetry/otlp-exporter-base';
import { ProtobufTraceSerializer, TraceExporterMetricsHelper } from '@opentelemetry/otlp-transformer';
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { expect, test } from 'vitest';
import { diskTransport } from '../src/sdk/index.ts';
import { TelemetryCollector } from './telemetry-collector.ts';

/** Finished spans with the numbers that the collector counts by. */
function numberedSpans(count: number): ReadableSpan[] {
  const memory = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: memory })] });
  const tracer = provider.getTracer('transport');
  for (let number = 1; number <= count; number++) tracer.startSpan(`span ${number}`).end();
  return memory.getFinishedSpans();
}

test('takes what an exporter of the official base sends', async () => {
  const collector = await TelemetryCollector.open();
  const path = mkdtempSync(join(tmpdir(), 'spillway-transport-'));
  try {
    const url = `${collector.url}/spillway/v1/traces`;
    await collector.setMood('away');
    const metrics = new ExporterMetrics<ReadableSpan[]>({
      componentType: 'disk_transport',
      metricsHelper: TraceExporterMetricsHelper,
      url,
      meterProvider: undefined,
      responseAttributesFromError: () => ({}),
    });
    const transport = diskTransport({ signal: 'traces', url, buffer: { path }, retryMaxBackoffMillis: 100 });
    const options = getSharedConfigurationDefaults();
    const delegate = createOtlpNetworkExportDelegate(options, ProtobufTraceSerializer, metrics, transport);
    const exporter = new OTLPExporterBase(delegate);
    const answer = await new Promise((resolve) => exporter.export(numberedSpans(20), resolve));
    expect(answer).toEqual({ code: 0 });
    await collector.setMood('taking');
    while (collector.taken('spillway', 'traces').size < 20) await new Promise((resolve) => setTimeout(resolve, 20));
    await exporter.shutdown();
  } finally {
    await collector.close();
    rmSync(path, { recursive: true, force: true });
  }
});
