// The pipeline's own telemetry on its way to a collector: the OpenTelemetry SDK, if it is installed and asked for.
//
// Everything about it is the SDK's affair and is set by its own variables, OTEL_*, of which the config names only the
// endpoint. What a pipeline delivers does not depend on what it says of itself: a missing package, or an SDK that does
// not start, is one line in the log.

import type { MeterProvider, TracerProvider } from '@opentelemetry/api';
import type { Log } from '../contract/log.ts';
import type { TelemetrySettings } from '../contract/settings.ts';
import type { TelemetryTargets } from './pipeline-telemetry.ts';

/** The variables of the process. The SDK reads its settings there, and the config's endpoint is put there for it. */
export type Environment = Record<string, string | undefined>;

/** What is used of `@opentelemetry/sdk-node`, and of the API that it fills. */
export interface SdkPackages {
  readonly NodeSDK: new (options: object) => { start(): void; shutdown(): Promise<void> };
  readonly metrics: { getMeterProvider(): MeterProvider };
  readonly trace: { getTracerProvider(): TracerProvider };
}

export interface OtlpExportOptions {
  readonly telemetry: TelemetrySettings | undefined;
  readonly environment: Environment;
  readonly log: Log;
  /** Default: imports the packages. */
  readonly load?: () => Promise<SdkPackages>;
}

/** Undefined if nobody asks for it, or it cannot be had. Never rejects. */
export async function startOtlpExport(options: OtlpExportOptions): Promise<TelemetryTargets | undefined> {
  const { telemetry, environment, log, load = loadSdk } = options;
  const ratio = telemetry?.spanRatio ?? 0;
  if (!isWanted(telemetry, environment)) {
    if (ratio > 0) log.warn('no spans are made: telemetry.span_ratio needs telemetry.otlp.endpoint to send them to');
    return undefined;
  }
  try {
    const { NodeSDK, metrics, trace } = await load();
    if (telemetry?.otlpEndpoint !== undefined) environment['OTEL_EXPORTER_OTLP_ENDPOINT'] = telemetry.otlpEndpoint;
    environment['OTEL_METRICS_EXPORTER'] ??= 'otlp';
    const sdk = new NodeSDK({
      ...(isNamed(environment) ? {} : { serviceName: 'spillway' }),
      logRecordProcessors: [], // Logs go to stderr.
      ...(ratio > 0 ? {} : { spanProcessors: [] }),
    });
    sdk.start();
    log.info('metrics are exported by OTLP', { to: receiverIn(environment) });
    return {
      meterProvider: metrics.getMeterProvider(),
      spans: ratio > 0 ? { provider: trace.getTracerProvider(), ratio } : undefined,
      end: () => sdk.shutdown(),
    };
  } catch (cause) {
    if (isMissing(cause)) {
      const remedy = 'npm install @opentelemetry/sdk-node @opentelemetry/api';
      log.warn(`metrics are not exported by OTLP: the SDK of OpenTelemetry is not installed; install it: ${remedy}`);
    } else log.warn('metrics are not exported by OTLP: the SDK of OpenTelemetry did not start', { error: cause });
    return undefined;
  }
}

function isWanted(telemetry: TelemetrySettings | undefined, environment: Environment): boolean {
  if (environment['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return false;
  const named = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'];
  return telemetry?.otlpEndpoint !== undefined || named.some((name) => (environment[name] ?? '').trim() !== '');
}

/** Without what may be secret in a URL. */
function receiverIn(environment: Environment): string | undefined {
  const url = environment['OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'] ?? environment['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? '';
  return URL.canParse(url) ? new URL(url).host : undefined;
}

function isNamed(environment: Environment): boolean {
  const attributes = environment['OTEL_RESOURCE_ATTRIBUTES'] ?? '';
  return (environment['OTEL_SERVICE_NAME'] ?? '') !== '' || /(?:^|,)\s*service\.name=/.test(attributes);
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND';
}

async function loadSdk(): Promise<SdkPackages> {
  // By a variable: an optional package need not be there when types are checked.
  const name: string = '@opentelemetry/sdk-node';
  const { NodeSDK } = (await import(name)) as Pick<SdkPackages, 'NodeSDK'>;
  const { metrics, trace } = await import('@opentelemetry/api');
  return { NodeSDK, metrics, trace };
}
