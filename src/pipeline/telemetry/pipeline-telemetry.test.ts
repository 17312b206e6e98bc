import { expect, test } from 'vitest';
import { away, Basin, diskStage, memoryStage, PipelineRig, sinkOf, Tap, worldOf } from '../../../test/pipeline-rig.ts';
import { type Family, readPrometheusText } from '../../../test/prometheus-text.ts';
import { SpanKeeper } from '../../../test/telemetry-rig.ts';
import { metricTable } from '../../telemetry/metric-table.ts';
import { prometheusName } from '../../telemetry/prometheus-text.ts';
import type { SinkAnswer } from '../contract/sink.ts';
import { Pipeline } from '../runtime/pipeline.ts';

type Families = Map<string, Family>;

async function familiesOf(rig: PipelineRig, pipeline: Pipeline): Promise<Families> {
  return readPrometheusText(await rig.run(pipeline.metricsText()));
}

/** The only value with these labels, others aside. */
function value(families: Families, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  const found = (families.get(name)?.samples ?? []).filter((sample) =>
    Object.entries(labels).every(([key, one]) => sample.labels[key] === one),
  );
  expect(found.length).toBeLessThan(2);
  return found[0]?.value;
}

test('tells of sources, buffers and sinks what they count', async () => {
  const rig = new PipelineRig();
  const tap = new Tap();
  const basin = new Basin();
  const blocked = new Basin();
  blocked.answer = () => ({ kind: 'blocked', reason: 'no token' });
  const sinks = [sinkOf('archive', basin), sinkOf('search', blocked)];
  const pipeline = await rig.start(rig.settings(tap, sinks));
  await rig.run(tap.emit(1, 5));
  await rig.until(() => basin.received.length === 5);
  await rig.advance(40_000);
  const families = await familiesOf(rig, pipeline);
  const archive = { otel_component_name: 'archive' };
  const search = { otel_component_name: 'search' };
  expect(value(families, 'spillway_pipeline_ready')).toBe(0);
  expect(value(families, 'spillway_pipeline_uptime_seconds')).toBeGreaterThan(39);
  const ofTap = { otel_component_name: 'tap', otel_component_type: 'tap_source' };
  expect(value(families, 'spillway_source_received_events_total', ofTap)).toBe(5);
  expect(value(families, 'spillway_source_accepted_events_total', ofTap)).toBe(5);
  expect(value(families, 'spillway_source_received_size_bytes_total', ofTap)).toBeGreaterThan(5);
  expect(value(families, 'spillway_source_state', { ...ofTap, spillway_state: 'running' })).toBe(1);
  expect(value(families, 'spillway_sink_delivered_events_total', archive)).toBe(5);
  expect(value(families, 'spillway_sink_delivered_events_total', search)).toBe(0);
  expect(value(families, 'spillway_sink_state', { ...search, spillway_state: 'blocked' })).toBe(1);
  expect(value(families, 'spillway_sink_state', { ...search, spillway_state: 'running' })).toBe(0);
  expect(value(families, 'spillway_sink_in_flight', search)).toBe(1);
  expect(value(families, 'spillway_sink_retries_total', search)).toBeGreaterThan(0);
  expect(value(families, 'spillway_buffer_received_events_total', archive)).toBe(5);
  expect(value(families, 'spillway_buffer_backlog_events', archive)).toBe(0);
  expect(value(families, 'spillway_buffer_backlog_events', search)).toBe(5);
  expect(value(families, 'spillway_cursor_oldest_age_seconds', search)).toBeCloseTo(40, 0);
  const groups = families.get('spillway_buffer_group_records')?.samples ?? [];
  expect(groups.filter(({ name }) => name.endsWith('_count')).map((sample) => sample.value)).toEqual([1, 1]);
  const tries = families.get('spillway_sink_delivery_duration_seconds')?.samples ?? [];
  const errorsOf = (id: string): Set<string | undefined> =>
    new Set(
      tries.filter(({ labels }) => labels['otel_component_name'] === id).map(({ labels }) => labels['error_type']),
    );
  expect([errorsOf('archive'), errorsOf('search')]).toEqual([new Set([undefined]), new Set(['blocked'])]);
  blocked.answer = () => ({ kind: 'delivered' });
  await rig.until(() => blocked.received.length === 5);
  expect(value(await familiesOf(rig, pipeline), 'spillway_pipeline_ready')).toBe(1);
  await rig.run(pipeline.stop());
});

test('counts every answer of a sink, and its crashes', async () => {
  const rig = new PipelineRig();
  const tap = new Tap();
  const basin = new Basin();
  const answers: (SinkAnswer | 'crash')[] = [away(), 'crash', { kind: 'rejected', reason: 'bad' }];
  basin.answer = () => {
    const answer = answers.shift() ?? ({ kind: 'delivered' } as const);
    if (answer === 'crash') throw new Error('boom');
    return answer;
  };
  const pipeline = await rig.start(rig.settings(tap, [sinkOf('archive', basin)]));
  await rig.run(tap.emit(1, 1));
  await rig.until(() => answers.length === 0);
  await rig.run(tap.emit(2, 1));
  await rig.until(() => basin.received.length === 1);
  const families = await familiesOf(rig, pipeline);
  const counts = (families.get('spillway_sink_delivery_duration_seconds')?.samples ?? [])
    .filter(({ name }) => name.endsWith('_count'))
    .map(({ labels, value: times }) => [labels['error_type'], times]);
  expect(counts).toEqual([
    ['retryable', 1],
    ['crashed', 1],
    ['rejected', 1],
    [undefined, 1],
  ]);
  expect(value(families, 'spillway_sink_restarts_total')).toBe(1);
  expect(value(families, 'spillway_sink_rejected_events_total')).toBe(1);
  await rig.run(pipeline.stop());
});

test('measures buffers in memory and chains as far as they know themselves', async () => {
  const rig = new PipelineRig();
  const tap = new Tap();
  const basin = new Basin();
  basin.answer = away;
  const sinks = [sinkOf('chain', basin), sinkOf('memory', basin)];
  const buffers = [
    { id: 'chain', stages: [memoryStage(), diskStage()] },
    { id: 'memory', stages: [memoryStage()] },
  ];
  const pipeline = await rig.start(rig.settings(tap, sinks, { buffers }));
  await rig.run(tap.emit(1, 3));
  const families = await familiesOf(rig, pipeline);
  const chain = { otel_component_name: 'chain', otel_component_type: 'overflow_buffer' };
  const memory = { otel_component_name: 'memory', otel_component_type: 'memory_buffer' };
  expect(value(families, 'spillway_buffer_backlog_events', chain)).toBe(3);
  expect(value(families, 'spillway_buffer_backlog_events', memory)).toBe(3);
  expect(value(families, 'spillway_buffer_received_events_total', memory)).toBe(3);
  expect(value(families, 'spillway_buffer_disk_limit_bytes', chain)).toBeGreaterThan(2 ** 20);
  expect(value(families, 'spillway_buffer_received_events_total', chain)).toBe(3);
  expect(value(families, 'spillway_cursor_oldest_age_seconds', memory)).toBeUndefined();
  basin.answer = () => ({ kind: 'delivered' });
  await rig.until(() => basin.received.length === 6);
  await rig.advance(1);
  const later = await familiesOf(rig, pipeline);
  expect(value(later, 'spillway_buffer_acknowledged_events_total', chain)).toBe(3);
  expect(value(later, 'spillway_buffer_acknowledged_events_total', memory)).toBe(3);
  await rig.run(pipeline.abort());
});

test('makes spans of commits and deliveries on request', async () => {
  const rig = new PipelineRig();
  const tap = new Tap();
  const basin = new Basin();
  const answers: SinkAnswer[] = [away()];
  basin.answer = () => answers.shift() ?? { kind: 'delivered' };
  const keeper = new SpanKeeper();
  const telemetry = { spans: { provider: keeper.provider, ratio: 1 } };
  const settings = rig.settings(tap, [sinkOf('archive', basin)]);
  const pipeline = await rig.run(Pipeline.start(settings, { world: worldOf(rig.process), log: rig.log, telemetry }));
  await rig.run(tap.emit(1, 3));
  await rig.until(() => basin.received.length === 3);
  await rig.run(pipeline.stop());
  expect(keeper.spans.every(({ isEnded }) => isEnded)).toBe(true);
  expect(keeper.spans.map(({ name, status }) => [name, status])).toEqual([
    ['spillway.commit', undefined],
    ['spillway.deliver', { code: 2, message: 'away' }],
    ['spillway.deliver', undefined],
  ]);
  expect(keeper.spans[1]?.attributes).toMatchObject({
    'otel.component.name': 'archive',
    'spillway.signal': 'logs',
    'spillway.batch.events': 3,
    'error.type': 'retryable',
  });
});

test('lets its targets have the last values, and waits for them no longer than they deserve', async () => {
  const rig = new PipelineRig();
  const tap = new Tap();
  const start = (end: () => Promise<void>): Promise<Pipeline> =>
    rig.run(
      Pipeline.start(rig.settings(tap, [sinkOf('archive', new Basin())]), {
        world: worldOf(rig.process),
        log: rig.log,
        telemetry: { end },
      }),
    );
  let ends = 0;
  await rig.run(
    (
      await start(async () => {
        ends += 1;
        throw new Error('away');
      })
    ).stop(),
  );
  expect(ends).toBe(1);
  const never = (): Promise<void> => new Promise(() => undefined);
  const patient = await start(never);
  expect(await rig.took(20_000, patient.stop())).toBeCloseTo(5_000, -2);
  const hurried = await start(never);
  expect(await rig.took(20_000, hurried.abort())).toBeLessThan(2_000);
  expect(rig.timers).toBe(0);
});

test('every metric of a pipeline but those that take a minute is there, and nothing else', async () => {
  const rig = new PipelineRig();
  const tap = new Tap();
  const basin = new Basin();
  const pipeline = await rig.start(rig.settings(tap, [sinkOf('archive', basin)]));
  await rig.run(tap.emit(1, 3));
  await rig.until(() => basin.received.length === 3);
  const families = await familiesOf(rig, pipeline);
  const isMissing = (name: string): boolean =>
    name === 'spillway.buffer.time_to_full' || /^(?:otel\.sdk|spillway\.exporter)\./.test(name);
  const expected = metricTable.filter(({ name }) => !isMissing(name)).map(prometheusName);
  expect([...families.keys()]).toEqual(expected);
  await rig.run(pipeline.stop());
});

test('goes on after its end, and leaves no timer behind', async () => {
  const rig = new PipelineRig();
  const tap = new Tap();
  const basin = new Basin();
  const pipeline = await rig.start(rig.settings(tap, [sinkOf('archive', basin)]));
  await rig.run(tap.emit(1, 3));
  await rig.run(pipeline.stop());
  const families = await familiesOf(rig, pipeline);
  expect(value(families, 'spillway_buffer_state', { spillway_state: 'closed' })).toBe(1);
  expect(rig.timers).toBe(0);
});
