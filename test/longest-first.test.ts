// The long files of the integration suite start first, and the names in that list are those of files.
import { globSync } from 'node:fs';
import { expect, it } from 'vitest';
import { longFiles, rankOf } from '../scripts/longest-first.ts';
import { root } from './tidy/source.ts';

const paths = globSync('integration/**/*.test.ts', { cwd: root, exclude: ['**/node_modules'] }).map(
  (path) => `/${path}`,
);

it('names files that exist', () => {
  for (const name of longFiles) expect(paths).toContain(`/integration/${name}.test.ts`);
});

it('puts the longest first, then the servers, and what is short last', () => {
  const names = ['opentelemetry-types', 'sinks/redis', 'pipeline-kill', 'kill', 'opentelemetry-faults'];
  const sorted = names.toSorted(
    (left, right) => rankOf(`/integration/${left}.test.ts`) - rankOf(`/integration/${right}.test.ts`),
  );
  expect(sorted).toEqual(['opentelemetry-faults', 'sinks/redis', 'pipeline-kill', 'kill', 'opentelemetry-types']);
});
