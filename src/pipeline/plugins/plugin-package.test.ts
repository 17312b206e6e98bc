import { expect, it } from 'vitest';
import { entryOf } from './plugin-package.ts';

it.each([
  [{}, 'index.js'],
  [{ main: 'lib/a.js' }, 'lib/a.js'],
  [{ exports: './a.js' }, './a.js'],
  [{ exports: { '.': './a.js' } }, './a.js'],
  [{ exports: { '.': { import: './a.js', default: './b.js' } } }, './a.js'],
  [{ exports: { import: './a.js' } }, './a.js'],
  [{ exports: { require: './b.cjs', default: './a.js' } }, './a.js'],
  [{ exports: { 'spillway-source': './a.ts', default: './a.js' } }, './a.js'],
  [{ exports: { '.': { node: { require: './b.cjs', import: './a.mjs' } } } }, './a.mjs'],
  [{ exports: { '.': { browser: './b.js' } } }, undefined],
  [{ exports: { '.': [{ browser: './b.js' }, './a.js'] } }, './a.js'],
  [{ exports: { '.': null } }, undefined],
  [{ exports: { './sub': './a.js' } }, undefined],
  [{ exports: 'a.js' }, undefined],
  [{ exports: './x/../../a.js' }, undefined],
])('%j is entered at %j', (manifest, expected) => {
  expect(entryOf(manifest, [])).toBe(expected);
});

it('takes the source where the process was told to', () => {
  const manifest = { exports: { '.': { 'spillway-source': './src/index.ts', default: './dist/index.js' } } };
  expect(entryOf(manifest, ['spillway-source'])).toBe('./src/index.ts');
});
