// What a pipeline tells the world of itself in numbers: always as text for Prometheus, and through OpenTelemetry where
// somebody gives a meter provider. Only types come from the OpenTelemetry API: it need not be installed.

import type { MeterProvider } from '@opentelemetry/api';
import { BufferMetrics } from '../../telemetry/buffer-metrics.ts';
import { Instruments } from '../../telemetry/instruments.ts';
import type { Report } from '../../telemetry/measurement.ts';
import { errorType } from '../../telemetry/metric-table.ts';
import { PrometheusText } from '../../telemetry/prometheus-text.ts';
import type { SinkSettings } from '../contract/settings.ts';
import type { PipelineStatus } from '../contract/status.ts';
import type { World } from '../contract/world.ts';
import type { OpenedBuffer } from '../runtime/open-buffers.ts';
import { measuredSink } from './measured-sink.ts';
import { PipelineMetrics, sinkAttributes } from './pipeline-metrics.ts';

/** Where a pipeline's own telemetry goes besides `/metrics`. */
export interface TelemetryTargets {
  readonly meterProvider?: MeterProvider;
}

export class PipelineTelemetry {
  readonly #world: World;
  readonly #text = new PrometheusText();
  readonly #instruments: Instruments | undefined;
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
    this.#instruments = targets?.meterProvider === undefined ? undefined : new Instruments(targets.meterProvider);
    this.#buffers = [...options.buffers].map(({ settings, buffer }) => {
      const [only] = settings.stages;
      const type = `${settings.stages.length === 1 ? only?.definition.type : 'overflow'}_buffer`;
      return new BufferMetrics({ buffer, name: settings.id, type, clock, record: this.#record });
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
    return measuredSink(sink, () => {
      const beganMs = clock.monotonic();
      return (answer) => {
        const seconds = (clock.monotonic() - beganMs) / 1_000;
        const failure = answer?.kind === 'delivered' ? {} : { [errorType]: answer?.kind ?? 'crashed' };
        this.#record('spillway.sink.delivery.duration', seconds, { ...attributes, ...failure });
      };
    });
  }

  /** Stops listening and observing. */
  end(): void {
    this.#forget?.();
    for (const buffer of this.#buffers) buffer.end();
  }

  readonly #record: Report = (name, value, attributes) => {
    this.#text.record(name, value, attributes);
    this.#instruments?.record(name, value, attributes);
  };
}
