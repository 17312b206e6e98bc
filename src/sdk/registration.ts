// Sets up the SDK for an application that knows nothing of it: NodeSDK with the buffered exporters, as the environment
// says.
//
// What sits in a batch processor is not on disk yet. So its delay is 200 ms, unless the environment says otherwise, and
// at the end of the process, natural or by signal, the SDK is shut down, which empties it.

import { UsageError } from '../base/errors.ts';
import { BufferedLogRecordExporter } from './buffered-log-record-exporter.ts';
import { BufferedMetricExporter } from './buffered-metric-exporter.ts';
import { BufferedSpanExporter } from './buffered-span-exporter.ts';
import { type Environment, textOf } from './environment.ts';
import type { TelemetryBufferOptions } from './exporter-options.ts';
import { createTelemetryBuffer } from './shared-buffer.ts';

/** The part of a process that is used. */
export interface HostProcess {
  readonly pid: number;
  readonly env: Record<string, string | undefined>;
  once(event: 'beforeExit' | 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  listenerCount(event: string): number;
  kill(pid: number, signal: string): unknown;
}

type Made<Result> = new (options: object) => Result;

/** The parts of the SDK that are used. */
export interface NodeSdkParts {
  readonly NodeSDK: Made<{ start(): void; shutdown(): Promise<void> }>;
  readonly BatchLogRecordProcessor: Made<object>;
  readonly PeriodicExportingMetricReader: Made<object>;
}

export interface Registration {
  /** Shuts the SDK down: what is in its batches goes to disk. Later calls do nothing more. */
  shutdown(): Promise<void>;
}

export interface RegistrationParts {
  readonly process: HostProcess;
  readonly loadSdk: () => NodeSdkParts;
  /** What instruments libraries; none where that package is not installed. */
  readonly loadInstrumentations: () => readonly unknown[];
}

/** From the end of a span to its export: the window in which a kill loses it. */
export const batchDelayMs = 200;
const metricIntervalMs = 60_000;
const metricTimeoutMs = 30_000;

export function register({ process, loadSdk, loadInstrumentations }: RegistrationParts): Registration {
  const { env } = process;
  if (env['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return { shutdown: async () => undefined };
  const options = bufferOptions(env); // Before anything is loaded: its errors are the user's.
  const sdkParts = loadSdk();
  env['OTEL_BSP_SCHEDULE_DELAY'] = textOf(env, 'OTEL_BSP_SCHEDULE_DELAY') ?? String(batchDelayMs);
  env['OTEL_BLRP_SCHEDULE_DELAY'] = textOf(env, 'OTEL_BLRP_SCHEDULE_DELAY') ?? String(batchDelayMs);
  const sdk = new sdkParts.NodeSDK({
    ...exportersFor(env, options, sdkParts),
    instrumentations: [loadInstrumentations()],
  });
  sdk.start();
  let ended: Promise<void> | undefined;
  const shutdown = (): Promise<void> => {
    // What cannot be stored or delivered at the end has been reported; the end goes on.
    ended ??= sdk.shutdown().catch(() => undefined);
    return ended;
  };
  endWith(process, shutdown);
  return { shutdown };
}

function exportersFor(env: Environment, options: TelemetryBufferOptions, sdk: NodeSdkParts): object {
  const buffer = createTelemetryBuffer(options);
  const parts: Record<string, unknown> = {};
  if (isExported(env, 'TRACES')) parts['traceExporter'] = new BufferedSpanExporter({ buffer });
  if (isExported(env, 'LOGS')) {
    const exporter = new BufferedLogRecordExporter({ buffer });
    const delayMs = numberOf(env, 'OTEL_BLRP_SCHEDULE_DELAY') ?? batchDelayMs;
    parts['logRecordProcessors'] = [new sdk.BatchLogRecordProcessor(exporterAndOptions(exporter, delayMs))];
  }
  if (isExported(env, 'METRICS')) {
    const exporter = new BufferedMetricExporter({ buffer });
    const exportIntervalMillis = numberOf(env, 'OTEL_METRIC_EXPORT_INTERVAL') ?? metricIntervalMs;
    const timeoutMs = numberOf(env, 'OTEL_METRIC_EXPORT_TIMEOUT') ?? metricTimeoutMs;
    const exportTimeoutMillis = Math.min(timeoutMs, exportIntervalMillis);
    const reader = { exporter, exportIntervalMillis, exportTimeoutMillis };
    parts['metricReaders'] = [new sdk.PeriodicExportingMetricReader(reader)];
  }
  return parts;
}

/** The processor takes options that name the exporter, or, in earlier releases, the exporter itself: this is both. */
function exporterAndOptions(exporter: BufferedLogRecordExporter, scheduledDelayMillis: number): object {
  return {
    exporter,
    scheduledDelayMillis,
    export: exporter.export.bind(exporter),
    forceFlush: exporter.forceFlush.bind(exporter),
    shutdown: exporter.shutdown.bind(exporter),
  };
}

function bufferOptions(env: Environment): TelemetryBufferOptions {
  const path = textOf(env, 'SPILLWAY_BUFFER_PATH');
  if (path === undefined) {
    throw new UsageError({
      code: 'SPILLWAY_USAGE_OPTION',
      message:
        'Cannot buffer telemetry without a directory: set SPILLWAY_BUFFER_PATH to one that outlives the process, ' +
        'such as /var/lib/my-service/telemetry',
    });
  }
  const maxBytes = numberOf(env, 'SPILLWAY_BUFFER_MAX_BYTES');
  const durability = textOf(env, 'SPILLWAY_BUFFER_DURABILITY');
  const whenFull = textOf(env, 'SPILLWAY_BUFFER_WHEN_FULL');
  const given = { path, ...(maxBytes === undefined ? {} : { maxBytes }) };
  // What they may be is checked with the options, by whoever knows.
  return { ...given, ...(durability && { durability }), ...(whenFull && { whenFull }) } as TelemetryBufferOptions;
}

/** `none`, or only exporters of other kinds: then the SDK does what the variable says. */
function isExported(env: Environment, signal: string): boolean {
  const names = textOf(env, `OTEL_${signal}_EXPORTER`)?.split(',');
  return names === undefined || names.some((name) => name.trim() === 'otlp');
}

function numberOf(env: Environment, name: string): number | undefined {
  const text = textOf(env, name);
  const value = Number(text);
  return text !== undefined && Number.isFinite(value) && value > 0 ? value : undefined;
}

/** A signal that nobody else handles still ends the process, after the batches are on disk. */
function endWith(process: HostProcess, shutdown: () => Promise<void>): void {
  process.once('beforeExit', () => void shutdown());
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      void shutdown().then(() => {
        if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
      });
    });
  }
}
