// Every metric there is, once: instruments, the text for Prometheus and docs/metrics.md are all made from this table or
// held to it by a test.
//
// Names follow the semantic conventions where they have one (`otel.component.*`, `error.type`); the rest is
// `spillway.<component>.<what>`. Sizes are bytes, times seconds. Counters run since the component was opened.

export type MetricKind = 'counter' | 'updowncounter' | 'gauge' | 'histogram';

export interface Metric {
  readonly name: string;
  readonly kind: MetricKind;
  /** As UCUM writes it: `s`, `By`, `1`, or what is counted in braces. */
  readonly unit: string;
  readonly attributes: readonly string[];
  readonly description: string;
  /** Upper bounds of a histogram's buckets. */
  readonly boundaries?: readonly number[];
}

/** Which one of its kind: an id of the config, or what the user called it. */
export const componentName = 'otel.component.name';
/** What it is: `disk_buffer`, `otlp_sink`. */
export const componentType = 'otel.component.type';
export const cursorName = 'spillway.cursor.name';
export const bufferName = 'spillway.buffer.name';
export const lossReason = 'spillway.loss.reason';
export const stateName = 'spillway.state';
export const errorType = 'error.type';

const component = [componentName, componentType] as const;
const ofCursor = [...component, cursorName] as const;
const ofSink = [...component, bufferName] as const;

/** From a tenth of a millisecond, a good sync, to ten seconds, a disk in trouble. */
const commitSeconds = [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const deliverySeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const groupRecords = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096, 16_384, 65_536];

const buffers: readonly Metric[] = [
  counter('spillway.buffer.received.events', '{event}', component, 'Events that were appended.'),
  counter('spillway.buffer.received.size', 'By', component, 'Payload bytes that were appended.'),
  counter(
    'spillway.buffer.acknowledged.events',
    '{event}',
    component,
    'Events that left the buffer because every cursor had acknowledged them.',
  ),
  counter('spillway.buffer.acknowledged.size', 'By', component, 'Payload bytes of acknowledged events.'),
  counter(
    'spillway.buffer.lost.events',
    '{event}',
    [...component, lossReason],
    'Events that left the buffer, or were refused, without being acknowledged.',
  ),
  counter(
    'spillway.buffer.lost.size',
    'By',
    [...component, lossReason],
    'Payload bytes of lost events, as far as they are known.',
  ),
  counter('spillway.buffer.damage', '{place}', component, 'Places on disk that are not what was written there.'),
  upDown('spillway.buffer.backlog.events', '{event}', component, 'Events between the slowest cursor and the end.'),
  upDown('spillway.buffer.backlog.size', 'By', component, 'Payload bytes of the backlog.'),
  upDown('spillway.buffer.disk.usage', 'By', component, 'Bytes of all files of the buffer; in memory, of all records.'),
  upDown('spillway.buffer.disk.limit', 'By', component, 'The most that the usage may be.'),
  upDown('spillway.buffer.disk.headroom', 'By', component, 'Bytes with headers that may still be appended.'),
  upDown('spillway.buffer.quarantine.size', 'By', component, 'Bytes of damage that were copied aside.'),
  upDown('spillway.buffer.segments', '{segment}', component, 'Segment files.'),
  gauge(
    'spillway.buffer.time_to_full',
    's',
    component,
    'When the buffer is full if the last minute goes on. Absent while it does not grow.',
  ),
  gauge(
    'spillway.buffer.time_to_empty',
    's',
    component,
    'When the backlog is gone if the last minute goes on. Absent while it does not shrink.',
  ),
  upDown('spillway.buffer.waiting_appends', '{append}', component, 'Appends that wait for room.'),
  upDown(
    'spillway.buffer.state',
    '1',
    [...component, stateName],
    '1 for the state the buffer is in, 0 for the others.',
  ),
  counter('spillway.buffer.writes', '{write}', component, 'Writes to segment files.'),
  counter('spillway.buffer.syncs', '{sync}', component, 'Syncs of segment files.'),
  counter('spillway.buffer.publishes', '{publish}', component, 'Ledgers that were published.'),
  counter('spillway.buffer.publish_failures', '{publish}', component, 'Publishes that failed and were repeated.'),
  histogram(
    'spillway.buffer.append.duration',
    's',
    component,
    'How long the first record of a group waited until the promise of the buffer held; without waiting for room.',
    commitSeconds,
  ),
  histogram(
    'spillway.buffer.commit.duration',
    's',
    component,
    'From the beginning of the write of a group until the promise of the buffer held.',
    commitSeconds,
  ),
  histogram('spillway.buffer.sync.duration', 's', component, 'How long a sync took.', commitSeconds),
  histogram('spillway.buffer.group.records', '{record}', component, 'Records that shared a commit.', groupRecords),
];

const cursors: readonly Metric[] = [
  counter('spillway.cursor.delivered.events', '{event}', ofCursor, 'Events that were handed out for the first time.'),
  counter('spillway.cursor.delivered.size', 'By', ofCursor, 'Payload bytes of delivered events.'),
  counter('spillway.cursor.acknowledged.events', '{event}', ofCursor, 'Events that this cursor acknowledged.'),
  counter('spillway.cursor.acknowledged.size', 'By', ofCursor, 'Payload bytes that this cursor acknowledged.'),
  counter(
    'spillway.cursor.lost.events',
    '{event}',
    [...ofCursor, lossReason],
    'Events that this cursor passed without acknowledging them.',
  ),
  counter('spillway.cursor.retries', '{record}', ofCursor, 'Records that were handed out again.'),
  upDown('spillway.cursor.backlog.events', '{event}', ofCursor, 'Events that the cursor has still to settle.'),
  upDown('spillway.cursor.backlog.size', 'By', ofCursor, 'Payload bytes that the cursor has still to settle.'),
  gauge(
    'spillway.cursor.oldest.age',
    's',
    ofCursor,
    'Age of the oldest record that is not acknowledged; 0 without one. Absent while it cannot be read.',
  ),
  upDown('spillway.cursor.in_flight', '{delivery}', ofCursor, 'Deliveries that are not settled.'),
  upDown('spillway.cursor.unsettled.records', '{record}', ofCursor, 'Records handed out and not settled.'),
  upDown('spillway.cursor.unsettled.size', 'By', ofCursor, 'Bytes of the frames that are kept for them.'),
];

const sources: readonly Metric[] = [
  counter('spillway.source.received.events', '{event}', component, 'Events that the source offered to its buffers.'),
  counter('spillway.source.received.size', 'By', component, 'Bytes of those events, as OTLP.'),
  counter('spillway.source.accepted.events', '{event}', component, 'Events that every buffer behind it has.'),
  counter('spillway.source.accepted.size', 'By', component, 'Bytes of accepted events.'),
  counter('spillway.source.dropped.events', '{event}', component, 'Events that the policy of a buffer dropped.'),
  counter('spillway.source.dropped.size', 'By', component, 'Bytes of dropped events.'),
  counter(
    'spillway.source.refused.events',
    '{event}',
    component,
    'Events for which there was no room, or no buffer: still with whoever sent them.',
  ),
  counter('spillway.source.refused.size', 'By', component, 'Bytes of refused events.'),
  counter('spillway.source.restarts', '{restart}', component, 'Crashes of the source.'),
  upDown(
    'spillway.source.state',
    '1',
    [...component, stateName],
    '1 for the state the source is in, 0 for the others.',
  ),
];

const sinks: readonly Metric[] = [
  counter('spillway.sink.delivered.events', '{event}', ofSink, 'Events that the peer took.'),
  counter('spillway.sink.delivered.size', 'By', ofSink, 'Bytes of delivered events.'),
  counter('spillway.sink.refused.events', '{event}', ofSink, 'Events that the peer refused in a partial success.'),
  counter(
    'spillway.sink.rejected.events',
    '{event}',
    ofSink,
    'Events given up: to the dead letters, if there are any.',
  ),
  counter('spillway.sink.retries', '{try}', ofSink, 'Tries after the first, of any batch.'),
  upDown('spillway.sink.in_flight', '{batch}', ofSink, 'Batches at the sink.'),
  counter('spillway.sink.restarts', '{restart}', ofSink, 'Crashes of the sink.'),
  upDown('spillway.sink.state', '1', [...ofSink, stateName], '1 for the state the sink is in, 0 for the others.'),
  histogram(
    'spillway.sink.delivery.duration',
    's',
    [...ofSink, errorType],
    'How long the sink took to answer a batch; with `error.type` if the answer was not `delivered`.',
    deliverySeconds,
  ),
];

const pipelines: readonly Metric[] = [
  upDown('spillway.pipeline.ready', '1', [], '1 while every source, buffer and sink does its work, 0 otherwise.'),
  gauge('spillway.pipeline.uptime', 's', [], 'How long the pipeline has run.'),
];

const exported = 'that have come to their end; with `error.type` if the receiver does not have them.';
const inFlight = 'that were passed to the exporter and have not come to their end; on disk, most of them.';

const exporters: readonly Metric[] = [
  counter('otel.sdk.exporter.span.exported', '{span}', [...component, errorType], `Spans ${exported}`),
  upDown('otel.sdk.exporter.span.inflight', '{span}', component, `Spans ${inFlight}`),
  counter('otel.sdk.exporter.log.exported', '{log_record}', [...component, errorType], `Log records ${exported}`),
  upDown('otel.sdk.exporter.log.inflight', '{log_record}', component, `Log records ${inFlight}`),
  counter(
    'otel.sdk.exporter.metric_data_point.exported',
    '{data_point}',
    [...component, errorType],
    `Metric points ${exported}`,
  ),
  upDown('otel.sdk.exporter.metric_data_point.inflight', '{data_point}', component, `Metric points ${inFlight}`),
  upDown(
    'spillway.exporter.state',
    '1',
    [...component, stateName],
    '1 for the state the delivery of an exporter is in, 0 for the others.',
  ),
];

export const metricTable: readonly Metric[] = [
  ...buffers,
  ...cursors,
  ...sources,
  ...sinks,
  ...pipelines,
  ...exporters,
];

const byName = new Map(metricTable.map((metric) => [metric.name, metric]));

/** Throws for a name that the table does not have: whoever reports it made a mistake. */
export function metricOf(name: string): Metric {
  const metric = byName.get(name);
  if (metric === undefined) throw new TypeError(`no metric of the table has the name ${name}`);
  return metric;
}

function counter(name: string, unit: string, attributes: readonly string[], description: string): Metric {
  return { name, kind: 'counter', unit, attributes, description };
}

function upDown(name: string, unit: string, attributes: readonly string[], description: string): Metric {
  return { name, kind: 'updowncounter', unit, attributes, description };
}

function gauge(name: string, unit: string, attributes: readonly string[], description: string): Metric {
  return { name, kind: 'gauge', unit, attributes, description };
}

function histogram(
  name: string,
  unit: string,
  attributes: readonly string[],
  description: string,
  boundaries: readonly number[],
): Metric {
  return { name, kind: 'histogram', unit, attributes, description, boundaries };
}
