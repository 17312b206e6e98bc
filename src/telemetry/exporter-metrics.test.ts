import { expect, test } from 'vitest';
import { ExporterRig } from '../../test/exporter-rig.ts';
import { collected, type Point, strayAttributes } from '../../test/telemetry-rig.ts';
import { ExporterMetrics, type MeasuredExporter } from './exporter-metrics.ts';
import { metricTable } from './metric-table.ts';

type Stats = ReturnType<MeasuredExporter['stats']>;

function exporterWith(changes: Partial<Stats>): { readonly stats: () => Stats; now: Stats } {
  const now: Stats = {
    signal: 'traces',
    state: 'open',
    failed: 0,
    delivered: 0,
    refused: 0,
    rejected: 0,
    dropped: 0,
    damaged: 0,
    backlog: { events: 0, bytes: 0 },
    disk: { usedBytes: 16_384, maxBytes: 2 ** 28 },
    delivery: { state: 'running' },
    ...changes,
  };
  const exporter = { now, stats: () => exporter.now };
  return exporter;
}

const ends = (points: readonly Point[], name: string): [string | undefined, number][] =>
  points.filter((point) => point.name === name).map((point) => [point.attributes['error.type'], point.value]);

test('says what became of every item under the names of the conventions', async () => {
  const exporter = exporterWith({
    failed: 1,
    delivered: 20,
    refused: 2,
    rejected: 3,
    dropped: 7,
    damaged: 4,
    backlog: { events: 11, bytes: 1_100 },
    delivery: { state: 'blocked' },
  });
  const points = await collected(new ExporterMetrics(exporter, 'spans'));
  expect(ends(points.all, 'otel.sdk.exporter.span.exported')).toEqual([
    [undefined, 20],
    ['not_stored', 1],
    ['rejected', 5],
    ['dropped_oldest', 7],
    ['damaged', 4],
  ]);
  expect(points.value('otel.sdk.exporter.span.inflight')).toBe(11);
  expect(points.value('spillway.buffer.backlog.size')).toBe(1_100);
  expect(points.value('spillway.buffer.disk.limit')).toBe(2 ** 28);
  expect(points.value('spillway.exporter.state', { 'spillway.state': 'blocked' })).toBe(1);
  expect(points.value('spillway.exporter.state', { 'spillway.state': 'running' })).toBe(0);
  expect(points.value('spillway.buffer.state', { 'spillway.state': 'open' })).toBe(1);
  expect(points.all[0]?.attributes).toEqual({
    'otel.component.name': 'spans',
    'otel.component.type': 'otlp_http_span_exporter',
  });
  expect(strayAttributes(points)).toEqual([]);
});

test('never counts backwards, though what was given up got through', async () => {
  const exporter = exporterWith({ dropped: 7 });
  const metrics = new ExporterMetrics(exporter, 'spans');
  await collected(metrics);
  exporter.now = { ...exporter.now, dropped: 5, delivered: 2 };
  const later = await collected(metrics);
  expect(Object.fromEntries(ends(later.all, 'otel.sdk.exporter.span.exported'))).toMatchObject({
    undefined: 2,
    dropped_oldest: 7,
  });
});

test('has a name for the items of each signal, and all of them are in the table', async () => {
  const named = new Set<string>();
  for (const signal of ['traces', 'logs', 'metrics'] as const) {
    const { names } = await collected(new ExporterMetrics(exporterWith({ signal }), signal));
    for (const name of names) named.add(name);
  }
  const expected = metricTable
    .map(({ name }) => name)
    .filter((name) => /^(?:otel\.sdk|spillway\.exporter)\./.test(name));
  expect([...named].filter((name) => !name.startsWith('spillway.buffer.')).sort()).toEqual(expected.sort());
});

test('follows an exporter whose collector is away and comes back', async () => {
  const rig = new ExporterRig();
  await rig.away();
  const app = rig.start();
  await rig.export(app, [1, 3], [4, 4]);
  await rig.world.advance(60_000);
  const metrics = new ExporterMetrics(app.exporter, 'app');
  const away = await collected(metrics);
  const [metric = ''] = away.names.filter((name) => name.endsWith('.inflight'));
  expect(away.value(metric)).toBe(4);
  expect(away.value('spillway.exporter.state', { 'spillway.state': 'retrying' })).toBe(1);
  rig.back();
  await rig.delivered(4);
  await rig.world.run(app.exporter.shutdown());
  const back = await collected(metrics);
  expect(back.value(metric)).toBe(0);
  expect(ends(back.all, metric.replace('inflight', 'exported'))[0]).toEqual([undefined, 4]);
});
