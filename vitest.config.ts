import { join } from 'node:path';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

// What runs is chosen by two variables that scripts/test.ts sets; docs/testing.md explains both.
const scale = process.env['SPILLWAY_TEST_SCALE'] === 'full' ? 'full' : 'sample';
const suite = process.env['SPILLWAY_TEST_SUITE'] === 'integration' ? 'integration' : 'unit';

const unit = ['src/**/*.test.ts', 'test/**/*.test.ts', 'plugins/*/src/**/*.test.ts', 'examples/*/**/*.test.ts'];
// A few real kills belong to the short run: they need no privileges, and nothing else proves as much in as little time.
const kills = ['integration/**/*kill*.test.ts'];
const onlyFull = ['**/*.full.test.ts', 'test/full/**'];

const sampled = scale === 'sample' ? [...unit, ...kills] : unit;

const config: ViteUserConfig = defineConfig({
  resolve: { conditions: ['spillway-source'] },
  ssr: { resolve: { conditions: ['spillway-source'] } },
  test: {
    include: suite === 'integration' ? ['integration/**/*.test.ts'] : sampled,
    exclude: ['**/node_modules/**', '**/dist/**', '**/.cache/**', ...(scale === 'full' ? [] : onlyFull)],
    setupFiles: [join(import.meta.dirname, 'test/setup/no-output.ts')],
    reporters: ['dot', join(import.meta.dirname, 'scripts/count-reporter.ts')],
    // A real process per file: locks, signals and the descriptor table belong to a process.
    pool: 'forks',
    // The programs that tests start in other processes find TypeScript source by the same condition.
    execArgv: ['--conditions=spillway-source'],
    maxWorkers: 2,
    // A test that passes the second time has not passed.
    retry: 0,
    allowOnly: false,
    // One file must not be able to lean on what another one mocked.
    restoreMocks: true,
    unstubEnvs: true,
    testTimeout: scale === 'full' ? 20 * 60_000 : 20_000,
    hookTimeout: scale === 'full' ? 5 * 60_000 : 20_000,
    // Files that touch the machine itself (loop devices, full disks) would disturb each other.
    fileParallelism: suite !== 'integration',
  },
});

export default config;
