import { describe, test } from 'vitest';
import type { OutputResult, OutputStream } from '../../../platform/output-stream.ts';
import { sinkCases } from '../../../testing/conformance/sink-conformance.ts';
import { markersIn } from '../../../testing/otlp-samples.ts';
import { simulatedWorld } from '../../../testing/pipeline-contexts.ts';
import type { SinkContext } from '../../contract/sink.ts';
import { ConsoleSink, consoleSink } from './console-sink.ts';

describe.each(['text', 'json'] as const)('a console with %s', (codec) => {
  const cases = sinkCases(() => {
    let printed = '';
    let answer: () => Promise<OutputResult> = async () => 'written';
    const output: OutputStream = {
      name: 'stdout',
      hasColor: false,
      write: async (text) => {
        const result = await answer();
        if (result === 'written') printed += text;
        return result;
      },
    };
    return {
      definition: {
        ...consoleSink,
        create: (options: never, context: SinkContext) => new ConsoleSink(options, context, output),
      },
      options: { encoding: { codec } },
      world: simulatedWorld(),
      received: async () => markersIn(new TextEncoder().encode(printed)),
      outage: {
        begin: async () => {
          answer = async () => 'closed';
        },
        end: async () => {
          answer = async () => 'written';
        },
      },
      stall: async () => {
        answer = () => new Promise(() => undefined);
      },
      close: async () => undefined,
    };
  });
  for (const { name, run } of cases) test(name, run);
});
