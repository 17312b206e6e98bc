import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import { sourceCases } from '../../../testing/conformance/source-conformance.ts';
import { realWorld } from '../../../testing/pipeline-contexts.ts';
import { generateSource } from './generate-source.ts';

const cases = sourceCases(() => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'spillway-generate-conformance-'));
  return {
    definition: generateSource,
    options: { rate: 10_000, batch_events: 10 },
    world: realWorld(),
    stateDirectory,
    close: async () => rmSync(stateDirectory, { recursive: true }),
  };
});
for (const { name, run } of cases) test(name, run);
