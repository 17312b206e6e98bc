// A test that is left out of the full run must be one that does nothing more there.
import { expect, it } from 'vitest';
import { scaledTests } from '../scripts/scaled-tests.ts';
import { repositoryFiles, type SourceFile } from './tidy/source.ts';

const file = (path: string, text: string = ''): SourceFile => ({ path, text });

it('finds tests that ask for the scale, themselves or by what they import, and those of the full run alone', () => {
  const files = [
    file('test/scale.ts', "export const scale = process.env['SPILLWAY_TEST_SCALE'];"),
    file('test/rig.ts', "import { scale } from './scale.ts';\nimport './other.ts';"),
    file('test/other.ts', "export { rig } from './rig.ts';"),
    file('test/direct.test.ts', "import { scale } from './scale.ts';"),
    file('plugins/made-up/src/far.test.ts', "import { rig } from '../../../test/other.ts';"),
    file('src/own.test.ts', "const scale = process.env['SPILLWAY_TEST_SCALE'];"),
    file('src/long.full.test.ts'),
    file('src/same.test.ts', "import { near } from './near.ts';"),
    file('src/near.ts'),
    file('integration/kill.test.ts', "import { scale } from '../test/scale.ts';"),
  ];
  expect(scaledTests(files)).toEqual([
    'plugins/made-up/src/far.test.ts',
    'src/long.full.test.ts',
    'src/own.test.ts',
    'test/direct.test.ts',
  ]);
});

it('finds in this repository every test that names a figure for each scale', () => {
  const found = scaledTests();
  const naming = repositoryFiles().filter(
    ({ path, text }) => /^(?:src|plugins|test)\/.*\.test\.ts$/.test(path) && /\bbyScale\(/.test(text),
  );
  expect(naming.length).toBeGreaterThan(10);
  expect(found).toEqual(
    expect.arrayContaining(naming.map(({ path }) => path).filter((path) => path !== 'test/scaled-tests.test.ts')),
  );
});
