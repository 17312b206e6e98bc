// A test that needs a process of its own must get one: in a shared one it would pass or fail by its neighbours.
import { expect, it } from 'vitest';
import { loneTests, needsOwnProcess } from '../scripts/lone-tests.ts';
import { root } from './tidy/source.ts';

it.each([
  ['starts a program', "import { spawn } from 'node:child_process';"],
  ['changes the environment', "process.env['A'] = 'b';"],
  ['listens to the process', "process.on('exit', () => {});"],
  ['measures the process', 'process.memoryUsage().rss;'],
  ['replaces a module', "vi.mock('node:fs', { spy: true });"],
  ['puts back the clock', 'vi.useFakeTimers();'],
  ['touches what is global', 'globalThis.fetch = undefined;'],
  ['loads what drives containers', "import { subjects } from '../integration/sinks/subjects.ts';"],
])('gives a process of its own to a file that %s', (_, text) => {
  expect(needsOwnProcess('src/engine/made-up.test.ts', text)).toBe(true);
});

it('gives one to the tests of the platform and of whole programs, whatever is in them', () => {
  const paths = [
    'src/platform/a.test.ts',
    'test/examples/a.test.ts',
    'test/pack/a.test.ts',
    'integration/kill.test.ts',
  ];
  expect(paths.filter((path) => !needsOwnProcess(path, ''))).toEqual([]);
});

it('lets the others share', () => {
  const text = "import { it } from 'vitest';\nconst process = sim.process;\nprocess.clock.advance(process.pid);";
  expect(needsOwnProcess('src/engine/made-up.test.ts', text)).toBe(false);
});

it('finds those of this repository', () => {
  const found = loneTests(root, ['src/**/*.test.ts', 'test/**/*.test.ts']);
  expect(found).toEqual(expect.arrayContaining(['src/platform/node-lock.test.ts', 'test/runner.test.ts']));
  expect(found).not.toContain('src/engine/writer.test.ts');
});
