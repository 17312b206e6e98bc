import { MeterProvider, MetricReader, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { expect, test, vi } from 'vitest';
import { BufferRig } from '../../test/buffer-rig.ts';
import type { MeasuredExporter } from './exporter-metrics.ts';
import { instrument, instrumentExporter } from './instrument.ts';
import { Instruments } from './instruments.ts';
import { metricTable } from './metric-table.ts';

class Reader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {
    // Nothing is kept here.
  }

  protected override async onShutdown(): Promise<void> {
    // Nothing is held here.
  }
}

interface Seen {
  readonly unit: string;
  readonly description: string;
  readonly points: readonly { readonly value: unknown; readonly attributes: object }[];
}

function seenIn({ scopeMetrics }: ResourceMetrics): Map<string, Seen> {
  const seen = new Map<string, Seen>();
  for (const { scope, metrics } of scopeMetrics) {
    expect(scope.name).toBe('spillway');
    for (const { descriptor, dataPoints } of metrics) {
      const points = dataPoints.map(({ value, attributes }) => ({ value, attributes }));
      seen.set(descriptor.name, { unit: descriptor.unit, description: descriptor.description, points });
    }
  }
  return seen;
}

test('gives the SDK every value with its unit, its description and its attributes', async () => {
  const rig = new BufferRig();
  const buffer = await rig.open();
  const reader = new Reader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  const { clock } = rig.process;
  const forget = instrument(buffer, { meterProvider, clock, name: 'spans' });
  await rig.append(buffer, 'one', 'two');
  const { resourceMetrics, errors } = await rig.run(reader.collect());
  expect(errors).toEqual([]);
  const seen = seenIn(resourceMetrics);
  const attributes = { 'otel.component.name': 'spans', 'otel.component.type': 'disk_buffer' };
  expect(seen.get('spillway.buffer.received.events')).toEqual({
    unit: '{event}',
    description: 'Events that were appended.',
    points: [{ value: 2, attributes }],
  });
  expect(seen.get('spillway.buffer.group.records')?.points).toMatchObject([{ value: { count: 1, sum: 2 } }]);
  expect(seen.get('spillway.cursor.backlog.events')?.points).toEqual([
    { value: 2, attributes: { ...attributes, 'spillway.cursor.name': 'default' } },
  ]);
  const asked = vi.spyOn(buffer, 'stats');
  await rig.run(reader.collect());
  expect(asked).toHaveBeenCalledTimes(1);
  forget();
  await rig.append(buffer, 'three');
  const after = seenIn((await rig.run(reader.collect())).resourceMetrics);
  expect(asked).toHaveBeenCalledTimes(1);
  expect(after.get('spillway.buffer.group.records')?.points).toMatchObject([{ value: { count: 1 } }]);
  await meterProvider.shutdown();
});

test('measures an exporter until it is told to stop', async () => {
  const reader = new Reader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  let asked = 0;
  const amounts = { failed: 0, refused: 0, rejected: 0, dropped: 0, damaged: 0 };
  const exporter: MeasuredExporter = {
    stats: () => {
      asked += 1;
      const backlog = { events: 3, bytes: 30 };
      const disk = { usedBytes: 1, maxBytes: 2 };
      return { signal: 'logs', state: 'open', delivered: 5, ...amounts, backlog, disk, delivery: { state: 'running' } };
    },
  };
  const forget = instrumentExporter(exporter, { meterProvider });
  const seen = seenIn((await reader.collect()).resourceMetrics);
  expect(seen.get('otel.sdk.exporter.log.inflight')).toMatchObject({
    unit: '{log_record}',
    points: [{ value: 3, attributes: { 'otel.component.name': 'otlp_http_log_exporter/0' } }],
  });
  forget();
  const before = asked;
  await reader.collect();
  expect(asked).toBe(before);
  await meterProvider.shutdown();
});

test('tells two buffers apart that nobody gave a name', async () => {
  const reader = new Reader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  const rigs = [new BufferRig(), new BufferRig({ seed: 2 })];
  for (const rig of rigs) instrument(await rig.open(), { meterProvider, clock: rig.process.clock });
  const seen = seenIn((await reader.collect()).resourceMetrics);
  const names = seen.get('spillway.buffer.disk.limit')?.points.map(({ attributes }) => Object.values(attributes)[0]);
  expect(new Set(names).size).toBe(2);
  expect(names).toEqual([expect.stringMatching(/^disk_buffer\/\d+$/), expect.stringMatching(/^disk_buffer\/\d+$/)]);
  await meterProvider.shutdown();
});

test('makes an instrument of the right kind for every row of the table', async () => {
  const reader = new Reader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  const instruments = new Instruments(meterProvider);
  instruments.observe({
    collect: (report) => {
      for (const { name, kind } of metricTable) if (kind !== 'histogram') report(name, 1, {});
    },
  });
  for (const { name, kind } of metricTable) if (kind === 'histogram') instruments.record(name, 1, {});
  const { resourceMetrics, errors } = await reader.collect();
  expect(errors).toEqual([]);
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  expect(metrics.map(({ descriptor }) => descriptor.name).sort()).toEqual(metricTable.map(({ name }) => name).sort());
  for (const metric of metrics) {
    const row = metricTable.find(({ name }) => name === metric.descriptor.name);
    const isMonotonic = 'isMonotonic' in metric ? metric.isMonotonic : undefined;
    expect([metric.descriptor.name, isMonotonic]).toEqual([
      metric.descriptor.name,
      { counter: true, updowncounter: false, gauge: undefined, histogram: undefined }[row?.kind ?? 'gauge'],
    ]);
    const [point] = metric.dataPoints;
    const boundaries =
      typeof point?.value === 'object' && 'buckets' in point.value ? point.value.buckets.boundaries : undefined;
    expect(boundaries).toEqual(row?.boundaries);
  }
  await meterProvider.shutdown();
});

test('refuses a name that the table does not have', () => {
  const instruments = new Instruments(new MeterProvider());
  expect(() => instruments.record('spillway.no.such', 1, {})).toThrow(/no histogram/);
});
