import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { loneTests } from './scripts/lone-tests.ts';
import { LongestFirst } from './scripts/longest-first.ts';

// What runs is chosen by two variables that scripts/test.ts sets; docs/testing.md explains both.
const scale = process.env['SPILLWAY_TEST_SCALE'] === 'full' ? 'full' : 'sample';
const suite = process.env['SPILLWAY_TEST_SUITE'] === 'integration' ? 'integration' : 'unit';

const unit = ['src/**/*.test.ts', 'test/**/*.test.ts', 'plugins/*/src/**/*.test.ts', 'examples/*/**/*.test.ts'];
// A few real kills belong to the short run: they need no privileges, and nothing else proves as much in as little time.
const kills = ['integration/**/*kill*.test.ts'];
const onlyFull = ['**/*.full.test.ts', 'test/full/**'];

const sampled = scale === 'sample' ? [...unit, ...kills] : unit;
/** The others share their processes: scripts/lone-tests.ts says why, and which. */
const alone = suite === 'unit' ? loneTests(import.meta.dirname, sampled) : [];

const integration = ['integration/**/*.test.ts'];
// Files that take the machine itself (loop devices, full disks, the power), or measure what a process has of it: one
// after the other, and nothing beside them.
const machine = ['disk-full', 'power-cut', 'soak', 'pipeline-outage'].map((name) => `integration/${name}.test.ts`);
/** Tests of servers wait most of the time: for a start, a time-out, the end of a fault. */
const workersBeside = 2 * availableParallelism();
/** A sample waits, too, for peers that do not answer. At full scale the simulations leave no processor idle. */
const workersForUnits = availableParallelism() + (scale === 'sample' ? 1 : 0);

const excluded = ['**/node_modules/**', '**/dist/**', '**/.cache/**', ...(scale === 'full' ? [] : onlyFull)];

type Project = NonNullable<ViteUserConfig['test']>;
const resolution: ViteUserConfig = {
  resolve: { conditions: ['spillway-source'] },
  ssr: { resolve: { conditions: ['spillway-source'] } },
};

const setup = (name: string): string => join(import.meta.dirname, `test/setup/${name}.ts`);

/** What holds for the tests of any suite. */
const everywhere: Project = {
  setupFiles: [setup('no-output')],
  // Real processes: locks, signals and the descriptor table belong to one. A file has one of its own, or shares it.
  pool: 'forks',
  // The programs that tests start in other processes find TypeScript source by the same condition.
  execArgv: ['--conditions=spillway-source'],
  // A test that passes the second time has not passed.
  retry: 0,
  // One file must not be able to lean on what another one mocked.
  restoreMocks: true,
  unstubEnvs: true,
  // For what hangs, not for what is slow: a machine may have others to serve.
  testTimeout: (scale === 'full' ? 20 : 3) * 60_000,
  hookTimeout: 5 * 60_000,
  expect: { poll: { timeout: 30_000 } },
};

const project = (name: string, own: Project): ViteUserConfig => ({
  ...resolution,
  test: { ...everywhere, name, ...own },
});

const files: Project =
  suite === 'unit'
    ? {
        sequence: { sequencer: LongestFirst },
        projects: [
          project('alone', { include: alone, exclude: excluded, maxWorkers: workersForUnits }),
          project('shared', {
            include: sampled,
            exclude: [...excluded, ...alone],
            maxWorkers: workersForUnits,
            isolate: false,
            setupFiles: [setup('no-output'), setup('no-leaks')],
          }),
        ],
      }
    : {
        sequence: { sequencer: LongestFirst },
        projects: [
          project('beside', {
            include: integration,
            exclude: [...excluded, ...machine],
            maxWorkers: workersBeside,
            sequence: { groupOrder: 0 },
          }),
          project('machine', { include: machine, exclude: excluded, maxWorkers: 1, sequence: { groupOrder: 1 } }),
        ],
      };

const config: ViteUserConfig = defineConfig({
  ...resolution,
  test: {
    ...files,
    reporters: ['dot', join(import.meta.dirname, 'scripts/count-reporter.ts')],
    allowOnly: false,
  },
});

export default config;
