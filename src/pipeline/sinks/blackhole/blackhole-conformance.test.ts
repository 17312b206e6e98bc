import { test } from 'vitest';
import { sinkCases } from '../../../testing/conformance/sink-conformance.ts';
import { simulatedWorld } from '../../../testing/pipeline-contexts.ts';
import { blackholeSink } from './blackhole-sink.ts';

const cases = sinkCases(() => ({
  definition: blackholeSink,
  options: { print_interval_secs: 60, rate: 1_000_000 },
  world: simulatedWorld(),
  close: async () => undefined,
}));
for (const { name, run } of cases) test(name, run);
