import { describe, it } from 'vitest';
import { OtlpReceiver } from '../../../../test/otlp-receiver.ts';
import { markersIn, realWorld, type SinkHarness, sinkCases } from '../../../testing/index.ts';
import { otlpSink } from './otlp-sink.ts';

async function harness(compression: string): Promise<SinkHarness> {
  const receiver = await OtlpReceiver.open();
  return {
    definition: otlpSink,
    options: { endpoint: receiver.url, compression },
    world: realWorld(),
    received: async () => receiver.requests.flatMap(({ body }) => markersIn(body)),
    outage: { begin: () => receiver.away(), end: () => receiver.back() },
    stall: async () => receiver.stall(),
    close: () => receiver.close(),
  };
}

describe.each(['gzip', 'zstd', 'none'])('the otlp sink with compression %s', (compression) => {
  for (const { name, run } of sinkCases(() => harness(compression))) it(name, run);
});
