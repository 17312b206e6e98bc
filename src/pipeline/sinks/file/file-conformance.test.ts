import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { sinkCases } from '../../../testing/conformance/sink-conformance.ts';
import { markersIn } from '../../../testing/otlp-samples.ts';
import { realWorld } from '../../../testing/pipeline-contexts.ts';
import { fileSink } from './file-sink.ts';

describe.each(['otlp_json', 'text'])('a file of %s', (codec) => {
  const cases = sinkCases(() => {
    const folder = mkdtempSync(join(tmpdir(), 'spillway-file-conformance-'));
    const output = join(folder, 'output');
    const path = join(output, 'lines');
    return {
      definition: fileSink,
      options: { path, encoding: { codec } },
      world: realWorld(),
      received: async () => (existsSync(path) ? markersIn(readFileSync(path)) : []),
      outage: {
        begin: async () => {
          if (existsSync(output)) renameSync(output, `${output}.away`);
          writeFileSync(output, 'a file where the folder was');
        },
        end: async () => {
          rmSync(output);
          if (existsSync(`${output}.away`)) renameSync(`${output}.away`, output);
        },
      },
      close: async () => rmSync(folder, { recursive: true }),
    };
  });
  for (const { name, run } of cases) test(name, run);
});
