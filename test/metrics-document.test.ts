// docs/metrics.md says of every metric what the table says, and names none that is not there.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { metricTable } from '../src/telemetry/metric-table.ts';
import { prometheusName } from '../src/telemetry/prometheus-text.ts';
import { root } from './tidy/source.ts';

const page = readFileSync(join(root, 'docs/metrics.md'), 'utf8');

/** Rows of the tables of metrics: those with six cells, of which the first is a name in backticks. */
function documented(): string[][] {
  return page
    .split('\n')
    .filter((line) => /^\| `(?:spillway|otel)\./.test(line))
    .map((line) => line.split('|').slice(1, -1))
    .filter((cells) => cells.length === 6)
    .map((cells) => cells.map((cell) => cell.trim()));
}

test('says what the table says, row by row, in its order', () => {
  const expected = metricTable.map((metric) => {
    const own = metric.attributes.filter((name) => !name.startsWith('otel.component.'));
    const attributes = own.map((name) => `\`${name}\``).join(', ');
    const { name, kind, unit, description } = metric;
    return [`\`${name}\``, `\`${prometheusName(metric)}\``, kind, `\`${unit}\``, attributes, description];
  });
  expect(documented()).toEqual(expected);
});

test('names no metric and no attribute that does not exist, in the prose and in the table of names of Vector', () => {
  const ofSpans = ['commit', 'deliver', 'group.records', 'signal', 'batch.events', 'batch.size'];
  const known = new Set(metricTable.flatMap(({ name, attributes }) => [name, ...attributes]));
  for (const name of ofSpans) known.add(`spillway.${name}`);
  const named = [...page.matchAll(/`((?:spillway|otel|error)\.[a-z_.]+)`/g)].map(([, name = '']) => name);
  expect(named.length).toBeGreaterThan(metricTable.length);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test('lists every attribute that a metric has', () => {
  const attributes = new Set(metricTable.flatMap((metric) => metric.attributes));
  expect([...attributes].filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
