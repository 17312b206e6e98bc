import { expect, test } from 'vitest';
import { readPrometheusText } from '../../test/prometheus-text.ts';
import { type Metric, metricTable } from './metric-table.ts';
import { PrometheusText, prometheusName } from './prometheus-text.ts';

const nobody = { collect: () => undefined };

test('names follow the rules of OpenTelemetry for Prometheus', () => {
  const named = (name: string, unit: string, kind: Metric['kind']): string =>
    prometheusName({ name, unit, kind, attributes: [], description: '' });
  expect(named('spillway.buffer.received.size', 'By', 'counter')).toBe('spillway_buffer_received_size_bytes_total');
  expect(named('spillway.buffer.received.events', '{event}', 'counter')).toBe('spillway_buffer_received_events_total');
  expect(named('spillway.buffer.time_to_full', 's', 'gauge')).toBe('spillway_buffer_time_to_full_seconds');
  expect(named('spillway.buffer.state', '1', 'updowncounter')).toBe('spillway_buffer_state');
  expect(named('a.share', '1', 'gauge')).toBe('a_share_ratio');
  expect(named('a.bytes', 'By', 'gauge')).toBe('a_bytes');
  expect(named('a..b--c', '', 'gauge')).toBe('a_b_c');
});

test('no two rows of the table become one name', () => {
  const names = metricTable.flatMap((metric) => {
    const name = prometheusName(metric);
    return metric.kind === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
  });
  expect(new Set(names).size).toBe(names.length);
});

test('every row can be read again by somebody else, with its help and its type', async () => {
  const text = new PrometheusText();
  for (const { name, kind } of metricTable) if (kind === 'histogram') text.record(name, 0.5, { a: 'b' });
  const families = readPrometheusText(
    await text.render({
      collect: (report) => {
        // In any order: the lines of a family stand together all the same.
        for (const label of ['one', 'two']) {
          for (const { name, kind } of metricTable) if (kind !== 'histogram') report(name, 0.25, { label });
        }
      },
    }),
  );
  const expected = metricTable.map((metric) => [
    prometheusName(metric),
    metric.description,
    metric.kind === 'updowncounter' ? 'gauge' : metric.kind,
  ]);
  expect([...families].map(([name, { help, type }]) => [name, help, type])).toEqual(expected);
  expect(families.get('spillway_buffer_segments')?.samples).toEqual([
    { name: 'spillway_buffer_segments', labels: { label: 'one' }, value: 0.25 },
    { name: 'spillway_buffer_segments', labels: { label: 'two' }, value: 0.25 },
  ]);
});

test('labels survive whatever is in them', async () => {
  const value = 'a "quoted" \\ back\\slash\\n and\na line, } = {';
  const families = readPrometheusText(
    await new PrometheusText().render({
      collect: (report) => report('spillway.buffer.segments', 1, { 'otel.component.name': value }),
    }),
  );
  const [sample] = families.get('spillway_buffer_segments')?.samples ?? [];
  expect(sample?.labels).toEqual({ otel_component_name: value });
});

test('a distribution is cumulative, and ends with all there is', async () => {
  const text = new PrometheusText();
  for (const value of [1, 2, 2.5, 100_000]) text.record('spillway.buffer.group.records', value, { a: 'x' });
  text.record('spillway.buffer.group.records', 1, { a: 'y' });
  const family = readPrometheusText(await text.render(nobody)).get('spillway_buffer_group_records');
  const ofX = (family?.samples ?? []).filter(({ labels }) => labels['a'] === 'x');
  const below = (le: string): number | undefined => ofX.find(({ labels }) => labels['le'] === le)?.value;
  expect([below('1'), below('2'), below('4'), below('65536'), below('+Inf')]).toEqual([1, 2, 3, 3, 4]);
  expect(ofX.find(({ name }) => name.endsWith('_sum'))?.value).toBe(100_005.5);
  expect(ofX.find(({ name }) => name.endsWith('_count'))?.value).toBe(4);
});

test('says nothing where nothing was measured, and what is no number as Prometheus spells it', async () => {
  expect(await new PrometheusText().render(nobody)).toBe('');
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const families = readPrometheusText(
    await new PrometheusText().render({
      collect: (report) => {
        for (const value of odd) report('spillway.cursor.oldest.age', value, { at: String(value) });
      },
    }),
  );
  expect(families.get('spillway_cursor_oldest_age_seconds')?.samples.map(({ value }) => value)).toEqual(odd);
});

test('refuses a name that the table does not have', async () => {
  const strange = {
    collect: (report: (name: string, value: number, attributes: object) => void) => report('no', 1, {}),
  };
  await expect(new PrometheusText().render(strange as never)).rejects.toThrow(/no metric of the table/);
});
