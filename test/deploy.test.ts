// The dashboard and the alert rules ask for metrics, attributes and states that exist: what does not exist is never
// wrong in Prometheus, only silent.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { metricTable } from '../src/telemetry/metric-table.ts';
import { prometheusName } from '../src/telemetry/prometheus-text.ts';
import { readTable } from './tidy/agreements.ts';
import { root } from './tidy/source.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Dashboard {
  readonly templating: { readonly list: readonly { readonly definition?: string }[] };
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const rules = (parse(read('deploy/prometheus/alerts.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const dashboard = JSON.parse(read('deploy/grafana/spillway.json')) as Dashboard;
const targets = dashboard.panels.flatMap(({ title, targets: asked = [] }) => asked.map((each) => ({ title, ...each })));

/** Every name that Prometheus gets from us, with the labels that it has. */
const labelsByName = new Map<string, readonly string[]>(
  metricTable.flatMap((metric): [string, readonly string[]][] => {
    const name = prometheusName(metric);
    const labels = ['instance', 'job', ...metric.attributes.map((attribute) => attribute.replaceAll('.', '_'))];
    if (metric.kind !== 'histogram') return [[name, labels]];
    return ['_bucket', '_sum', '_count'].map((suffix) => [`${name}${suffix}`, [...labels, 'le']]);
  }),
);

/** What is wrong with an expression: names that nobody gives, and labels that none of its metrics has. */
function wrongIn(expr: string): string[] {
  const names = [...expr.matchAll(/\bspillway_[a-z_]+(?=[{[)\s]|$)/g)].map(([name]) => name);
  const known = names.filter((name) => labelsByName.has(name));
  const labels = new Set(known.flatMap((name) => labelsByName.get(name) ?? []));
  const used = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((one) => one.trim()),
  );
  const matched = [...expr.matchAll(/([a-z_]+)(?:=~|!=|!~|=)"/g)].map(([, label = '']) => label);
  const wrong = [
    ...(known.length === 0 ? ['asks for nothing'] : []),
    ...names.filter((name) => !labelsByName.has(name) && !labels.has(name)),
    ...[...used, ...matched].filter((label) => !labels.has(label)),
  ];
  return [...new Set(wrong)];
}

test('what is wrong is found', () => {
  expect(wrongIn('spillway_buffer_segment')).toEqual(['asks for nothing', 'spillway_buffer_segment']);
  expect(wrongIn('sum by (spillway_state) (spillway_buffer_segments{sink="a"})')).toEqual(['spillway_state', 'sink']);
  expect(wrongIn('spillway_sink_delivery_duration_seconds')).toContain('spillway_sink_delivery_duration_seconds');
});

test.each(rules.map((rule) => [rule.alert, rule] as const))('alert %s asks for what exists', (_name, rule) => {
  expect(wrongIn(rule.expr)).toEqual([]);
  expect(['critical', 'warning']).toContain(rule.labels['severity']);
  expect(Object.keys(rule.annotations).sort()).toEqual(['description', 'summary']);
  // An annotation can only use what the expression keeps.
  const kept =
    /by \(([^)]*)\)/
      .exec(rule.expr)?.[1]
      ?.split(',')
      .map((one) => one.trim()) ?? [];
  const named = Object.values(rule.annotations).flatMap((text) => [...text.matchAll(/\$labels\.(\w+)/g)]);
  expect(named.map(([, label]) => label).filter((label) => !kept.includes(label ?? ''))).toEqual([]);
});

test('there is an alert for everything that somebody must know', () => {
  const asked = rules.map(({ expr }) => expr).join('\n');
  for (const name of [
    'spillway_cursor_oldest_age_seconds',
    'spillway_buffer_time_to_full_seconds',
    'spillway_buffer_lost_events_total',
    'spillway_buffer_damage_total',
    'spillway_sink_state{spillway_state="blocked"}',
    'spillway_buffer_state{spillway_state="failed"}',
  ]) {
    expect(asked).toContain(name);
  }
});

describe('the dashboard', () => {
  test.each(targets.map((target) => [target.title, target] as const))(
    'panel %s asks for what exists',
    (_title, target) => {
      expect(wrongIn(target.expr)).toEqual([]);
      const kept =
        /by \(([^)]*)\)/
          .exec(target.expr)?.[1]
          ?.split(',')
          .map((one) => one.trim()) ?? [];
      const named = [...target.legendFormat.matchAll(/{{(\w+)}}/g)].map(([, label]) => label ?? '');
      expect(named.filter((label) => !kept.includes(label))).toEqual([]);
    },
  );

  test('has panels that neither overlap nor share an id', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { h, w, x, y } }) =>
      Array.from({ length: h * w }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.every(({ gridPos: { w, x } }) => x + w <= 24)).toBe(true);
  });
});

test('states are those of the documents', () => {
  const states = readTable(read('docs/metrics.md'), 'Attributes').get('spillway.state') ?? '';
  const asked = [...rules.map(({ expr }) => expr), ...targets.map(({ expr }) => expr)].join('\n');
  const named = [...asked.matchAll(/spillway_state!?="(\w+)"/g)].map(([, state = '']) => state);
  expect(named.length).toBeGreaterThan(4);
  expect(named.filter((state) => !states.includes(`\`${state}\``))).toEqual([]);
});
