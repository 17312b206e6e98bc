// The long files of a suite start first, and the names in that list are those of files.
import { globSync } from 'node:fs';
import { expect, it } from 'vitest';
import { longFiles, rankOf } from '../scripts/longest-first.ts';
import { root } from './tidy/source.ts';

const paths = globSync('{src,integration}/**/*.test.ts', { cwd: root, exclude: ['**/node_modules'] }).map(
  (path) => `/${path}`,
);

it('names files that exist', () => {
  const found = longFiles.filter((_, rank) => paths.some((path) => rankOf(path) === rank));
  expect(found).toEqual(longFiles);
});

it('puts the longest first, then the servers, and what is short last', () => {
  const names = ['opentelemetry-types', 'sinks/redis', 'pipeline-kill', 'kill', 'opentelemetry-faults'];
  const sorted = names.toSorted(
    (left, right) => rankOf(`/integration/${left}.test.ts`) - rankOf(`/integration/${right}.test.ts`),
  );
  expect(sorted).toEqual(['opentelemetry-faults', 'sinks/redis', 'pipeline-kill', 'kill', 'opentelemetry-types']);
});
