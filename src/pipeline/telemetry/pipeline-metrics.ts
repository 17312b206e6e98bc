// The metrics of a pipeline: those of its buffers, and what its status says of sources and sinks, as numbers.

import { type Attributes, type Report, reportState, type Subject } from '../../telemetry/measurement.ts';
import { bufferName, componentName, componentType, stateName } from '../../telemetry/metric-table.ts';
import type { EventCount, PipelineStatus, SinkStatus, SourceStatus } from '../contract/status.ts';

const sourceStates: readonly SourceStatus['state'][] = ['starting', 'running', 'waiting', 'ended', 'stopped'];
const sinkStates: readonly SinkStatus['state'][] = ['starting', 'running', 'retrying', 'blocked', 'waiting', 'stopped'];

export interface PipelineMetricsOptions {
  readonly status: () => PipelineStatus;
  readonly isReady: (status: PipelineStatus) => boolean;
  readonly now: () => number;
  readonly buffers: readonly Subject[];
}

export class PipelineMetrics implements Subject {
  readonly #options: PipelineMetricsOptions;

  constructor(options: PipelineMetricsOptions) {
    this.#options = options;
  }

  async collect(report: Report): Promise<void> {
    const { status: ask, isReady, now, buffers } = this.#options;
    const status = ask();
    report('spillway.pipeline.ready', isReady(status) ? 1 : 0, {});
    report('spillway.pipeline.uptime', Math.max(0, now() - status.startedMs) / 1_000, {});
    for (const source of status.sources) reportSource(source, report);
    for (const sink of status.sinks) reportSink(sink, report);
    for (const buffer of buffers) await buffer.collect(report);
  }
}

/** The attributes of everything that a sink measures. */
export function sinkAttributes(sink: {
  readonly id: string;
  readonly type: string;
  readonly buffer: string;
}): Attributes {
  return { [componentName]: sink.id, [componentType]: `${sink.type}_sink`, [bufferName]: sink.buffer };
}

function reportSource(source: SourceStatus, report: Report): void {
  const attributes = { [componentName]: source.id, [componentType]: `${source.type}_source` };
  for (const heading of ['received', 'accepted', 'dropped', 'refused'] as const) {
    reportCount(`spillway.source.${heading}`, source[heading], attributes, report);
  }
  report('spillway.source.restarts', source.restarts, attributes);
  const { state } = source;
  reportState({ report, name: 'spillway.source.state', key: stateName, states: sourceStates, state, attributes });
}

function reportSink(sink: SinkStatus, report: Report): void {
  const attributes = sinkAttributes(sink);
  reportCount('spillway.sink.delivered', sink.delivered, attributes, report);
  report('spillway.sink.refused.events', sink.refusedEvents, attributes);
  report('spillway.sink.rejected.events', sink.rejectedEvents, attributes);
  report('spillway.sink.retries', sink.retries, attributes);
  report('spillway.sink.in_flight', sink.inFlight, attributes);
  report('spillway.sink.restarts', sink.restarts, attributes);
  const { state } = sink;
  reportState({ report, name: 'spillway.sink.state', key: stateName, states: sinkStates, state, attributes });
}

function reportCount(name: string, { events, bytes }: EventCount, attributes: Attributes, report: Report): void {
  report(`${name}.events`, events, attributes);
  report(`${name}.size`, bytes, attributes);
}
