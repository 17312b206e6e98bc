// Loaded into the service by the demo, and by it alone: writes down which spans and logs an exporter has answered for
// with success, in a file that outlives a kill. The service and its telemetry do not know that they are watched.
import { appendFileSync } from 'node:fs';
import process from 'node:process';
import type { SpanContext } from '@opentelemetry/api';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { BufferedLogRecordExporter, BufferedSpanExporter } from 'spillway/opentelemetry';

interface Item {
  readonly spanContext?: (() => SpanContext) | SpanContext | undefined;
}

interface Exporter {
  export(items: readonly Item[], callback: (result: { readonly code: number }) => void): void;
}

const path = process.env['WITNESS'] ?? 'witness.txt';

function watch(signal: 'traces' | 'logs', ...prototypes: readonly object[]): void {
  for (const prototype of prototypes as readonly Exporter[]) {
    const inner = prototype.export;
    prototype.export = function exportAndTell(items, callback): void {
      inner.call(this, items, (result) => {
        // Before anything else can happen: what is in the file was acknowledged.
        if (result.code === 0) appendFileSync(path, items.map((item) => `${signal} ${keyOf(item)}\n`).join(''));
        callback(result);
      });
    };
  }
}

/** A span has a method for its context, a log record has a property. */
function keyOf(item: Item): string {
  const found = typeof item.spanContext === 'function' ? item.spanContext() : item.spanContext;
  return `${found?.traceId}${found?.spanId}`;
}

watch('traces', BufferedSpanExporter.prototype, OTLPTraceExporter.prototype);
watch('logs', BufferedLogRecordExporter.prototype, OTLPLogExporter.prototype);
