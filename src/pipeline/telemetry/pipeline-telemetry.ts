// What a pipeline tells the world of itself in numbers: always as text for Prometheus, and through OpenTelemetry where
// somebody gives a meter provider. Only types come from the OpenTelemetry API: it need not be installed.

import type { MeterProvider, TracerProvider } from '@opentelemetry/api';
import { pause } from '../../platform/pause.ts';
import { BufferMetrics } from '../../telemetry/buffer-metrics.ts';
import { Instruments } from '../../telemetry/instruments.ts';
import type { Report } from '../../telemetry/measurement.ts';
import { errorType } from '../../telemetry/metric-table.ts';
import { PrometheusText } from '../../telemetry/prometheus-text.ts';
import { SampledSpans } from '../../telemetry/sampled-spans.ts';
import type { SinkSettings } from '../contract/settings.ts';
import type { SinkAnswer } from '../contract/sink.ts';
import type { PipelineStatus } from '../contract/status.ts';
import type { World } from '../contract/world.ts';
import type { OpenedBuffer } from '../runtime/open-buffers.ts';
import { measuredSink } from './measured-sink.ts';
import { PipelineMetrics, sinkAttributes } from './pipeline-metrics.ts';

/** Where a pipeline's own telemetry goes besides `/metrics`. */
export interface TelemetryTargets {
  readonly meterProvider?: MeterProvider;
  /** Where spans of commits and deliveries go, and of how many they are made, 0 .. 1. */
  readonly spans?: { readonly provider: TracerProvider; readonly ratio: number } | undefined;
  /** Called at the end, when everything has its last value; what it does is not waited for longer than a while. */
  readonly end?: () => Promise<void>;
}

/** How long the end of a pipeline waits for a collector that may be away. */
const patienceMs = 5_000;

export class PipelineTelemetry {
  readonly #world: World;
  readonly #text = new PrometheusText();
  readonly #instruments: Instruments | undefined;
  readonly #spans: SampledSpans | undefined;
  readonly #targets: TelemetryTargets | undefined;
  readonly #buffers: readonly BufferMetrics[];
  readonly #metrics: PipelineMetrics;
  readonly #forget: (() => void) | undefined;

  constructor(options: {
    readonly world: World;
    readonly buffers: Iterable<OpenedBuffer>;
    readonly status: () => PipelineStatus;
    readonly isReady: (status: PipelineStatus) => boolean;
    readonly targets?: TelemetryTargets | undefined;
  }) {
    const { world, status, isReady, targets } = options;
    const { clock } = world;
    this.#world = world;
    this.#targets = targets;
    this.#spans = targets?.spans === undefined ? undefined : new SampledSpans(targets.spans);
    this.#instruments = targets?.meterProvider === undefined ? undefined : new Instruments(targets.meterProvider);
    this.#buffers = [...options.buffers].map(({ settings, buffer }) => {
      const [only] = settings.stages;
      const type = `${settings.stages.length === 1 ? only?.definition.type : 'overflow'}_buffer`;
      return new BufferMetrics({ buffer, name: settings.id, type, clock, record: this.#record, spans: this.#spans });
    });
    this.#metrics = new PipelineMetrics({ status, isReady, now: () => clock.now(), buffers: this.#buffers });
    this.#forget = this.#instruments?.observe(this.#metrics);
  }

  /** What `/metrics` answers. */
  text(): Promise<string> {
    return this.#text.render(this.#metrics);
  }

  /** The same sink, with its deliveries measured. */
  measured(sink: SinkSettings): SinkSettings {
    const { clock } = this.#world;
    const attributes = sinkAttributes({ id: sink.id, type: sink.definition.type, buffer: sink.buffer });
    return measuredSink(sink, (batch) => {
      const beganMs = clock.monotonic();
      const { signal, events, byteLength } = batch;
      const span = this.#spans?.begin('spillway.deliver', attributes);
      return (answer) => {
        span?.end(
          { 'spillway.signal': signal, 'spillway.batch.events': events, 'spillway.batch.size': byteLength },
          answer?.kind === 'delivered' ? undefined : failureOf(answer),
        );
        const seconds = (clock.monotonic() - beganMs) / 1_000;
        const failure = answer?.kind === 'delivered' ? {} : { [errorType]: failureOf(answer).type };
        this.#record('spillway.sink.delivery.duration', seconds, { ...attributes, ...failure });
      };
    });
  }

  /** Lets the targets have the last values, unless there is a hurry; then stops listening. Never rejects. */
  async end(hurry: AbortSignal): Promise<void> {
    const ending = this.#targets?.end?.().catch(() => undefined);
    if (ending !== undefined) {
      const ended = new AbortController();
      const over = AbortSignal.any([hurry, ended.signal]);
      await Promise.race([ending, pause(this.#world.clock, patienceMs, over)]);
      ended.abort();
    }
    this.#forget?.();
    for (const buffer of this.#buffers) buffer.end();
  }

  readonly #record: Report = (name, value, attributes) => {
    this.#text.record(name, value, attributes);
    this.#instruments?.record(name, value, attributes);
  };
}

function failureOf(answer: SinkAnswer | undefined): { readonly type: string; readonly message: string } {
  if (answer === undefined) return { type: 'crashed', message: 'the sink crashed' };
  return { type: answer.kind, message: 'reason' in answer ? answer.reason : '' };
}
