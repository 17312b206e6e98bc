// What the environment makes of the SDK, and how a process ends. The SDK itself: integration/opentelemetry-register.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HostProcess, type NodeSdkParts, type Registration, register } from './registration.ts';

let path: string;
let registration: Registration | undefined;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'spillway-register-'));
});

afterEach(async () => {
  await registration?.shutdown();
  registration = undefined;
  rmSync(path, { recursive: true, force: true });
});

class FakeProcess implements HostProcess {
  readonly pid = 42;
  readonly env: Record<string, string | undefined>;
  readonly kills: string[] = [];
  readonly listeners = new Map<string, () => void>();
  otherListeners = 0;

  constructor(env: Record<string, string | undefined>) {
    this.env = env;
  }

  once(event: string, listener: () => void): void {
    this.listeners.set(event, listener);
  }

  listenerCount(): number {
    return this.otherListeners;
  }

  kill(pid: number, signal: string): void {
    this.kills.push(`${pid} ${signal}`);
  }
}

interface Exporter {
  shutdown(): Promise<void>;
}
interface SdkOptions {
  readonly traceExporter?: Exporter;
  readonly logRecordProcessors?: readonly { readonly options: Exporter & Record<string, unknown> }[];
  readonly metricReaders?: readonly { readonly options: { readonly exporter: Exporter } & Record<string, unknown> }[];
}

function start(env: Record<string, string>): { process: FakeProcess; options: SdkOptions; life: string[] } {
  const process = new FakeProcess(env);
  const life: string[] = [];
  let options: SdkOptions = {};
  class NodeSDK {
    constructor(given: object) {
      options = given as SdkOptions;
    }

    start(): void {
      life.push('start');
    }

    async shutdown(): Promise<void> {
      life.push('shutdown');
      const { traceExporter, logRecordProcessors = [], metricReaders = [] } = options;
      await traceExporter?.shutdown();
      for (const processor of logRecordProcessors) await processor.options.shutdown();
      for (const reader of metricReaders) await reader.options.exporter.shutdown();
    }
  }
  class Keeping {
    readonly options: object;
    constructor(given: object) {
      this.options = given;
    }
  }
  const sdk = { NodeSDK, BatchLogRecordProcessor: Keeping, PeriodicExportingMetricReader: Keeping };
  const loadSdk = (): NodeSdkParts => sdk;
  registration = register({ process, loadSdk, loadInstrumentations: () => [] });
  return { process, options, life };
}

describe('register', () => {
  it('exports all three signals, with a short delay', () => {
    const { process, options, life } = start({ SPILLWAY_BUFFER_PATH: path });
    expect(life).toEqual(['start']);
    expect(options.traceExporter?.constructor.name).toBe('BufferedSpanExporter');
    expect(options.logRecordProcessors?.[0]?.options).toMatchObject({ scheduledDelayMillis: 200 });
    expect(options.metricReaders?.[0]?.options).toMatchObject({
      exportIntervalMillis: 60_000,
      exportTimeoutMillis: 30_000,
    });
    expect(process.env).toMatchObject({ OTEL_BSP_SCHEDULE_DELAY: '200', OTEL_BLRP_SCHEDULE_DELAY: '200' });
  });

  it('leaves delays and exporters to the environment', () => {
    const { process, options } = start({
      SPILLWAY_BUFFER_PATH: path,
      OTEL_BSP_SCHEDULE_DELAY: '700',
      OTEL_BLRP_SCHEDULE_DELAY: '800',
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'console, otlp',
      OTEL_METRIC_EXPORT_INTERVAL: '1000',
    });
    expect(options.traceExporter).toBeUndefined();
    expect(options.logRecordProcessors?.[0]?.options).toMatchObject({ scheduledDelayMillis: 800 });
    expect(options.metricReaders?.[0]?.options).toMatchObject({
      exportIntervalMillis: 1_000,
      exportTimeoutMillis: 1_000,
    });
    expect(process.env).toMatchObject({ OTEL_BSP_SCHEDULE_DELAY: '700' });
  });

  it('does nothing when the SDK is disabled', () => {
    expect(start({ OTEL_SDK_DISABLED: 'true' }).life).toEqual([]);
  });

  it('says which variable is missing or wrong', () => {
    expect(() => start({})).toThrow('set SPILLWAY_BUFFER_PATH');
    const blocking = { SPILLWAY_BUFFER_PATH: path, SPILLWAY_BUFFER_WHEN_FULL: 'block' };
    expect(() => start(blocking)).toThrow('whenFull = "block": expected one of drop_oldest, drop_newest, reject');
  });

  it.each([
    [0, ['42 SIGTERM']],
    [1, []],
  ])('shuts down on a signal, and ends the process unless %i others handle it', async (others, kills) => {
    const { process, life } = start({ SPILLWAY_BUFFER_PATH: path });
    process.otherListeners = others;
    process.listeners.get('SIGTERM')?.();
    await registration?.shutdown();
    await Promise.resolve();
    expect(life).toEqual(['start', 'shutdown']);
    expect(process.kills).toEqual(kills);
  });
});
