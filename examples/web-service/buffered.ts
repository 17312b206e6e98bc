// Telemetry with a disk behind it: node --import ./buffered.ts service.ts
//
// Where it goes say the OTEL_EXPORTER_OTLP_* variables, by default http://localhost:4318. What sits in a batch
// processor is not on disk yet, so its delay is short: that is what a kill can cost.
import process from 'node:process';
import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace';
import {
  BufferedLogRecordExporter,
  BufferedMetricExporter,
  BufferedSpanExporter,
  createTelemetryBuffer,
} from 'spillway/opentelemetry';

const buffer = createTelemetryBuffer({ path: process.env['SPILLWAY_BUFFER_PATH'] ?? './telemetry' });
const scheduledDelayMillis = 200;
const exportIntervalMillis = 1_000;
const sdk = new NodeSDK({
  spanProcessors: [new BatchSpanProcessor({ exporter: new BufferedSpanExporter({ buffer }), scheduledDelayMillis })],
  logRecordProcessors: [
    new BatchLogRecordProcessor({ exporter: new BufferedLogRecordExporter({ buffer }), scheduledDelayMillis }),
  ],
  metricReaders: [
    new PeriodicExportingMetricReader({
      exporter: new BufferedMetricExporter({ buffer }),
      exportIntervalMillis,
      exportTimeoutMillis: 1_000,
    }),
  ],
});
sdk.start();
process.once('beforeExit', () => void sdk.shutdown());
