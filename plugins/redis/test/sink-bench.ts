// Sinks for tests, made from options as they stand in a config, and closed together.
import type { Sink, SinkAnswer, SinkBatch } from 'spillway/plugin';
import { realWorld, sampleOriginUuid, testSinkContext } from 'spillway/testing';
import definition from '../src/index.ts';

export interface SinkGiven {
  readonly options: Readonly<Record<string, unknown>>;
  readonly origin?: { readonly buffer?: string; readonly cursor?: string; readonly uuid?: string | undefined };
  readonly timeoutMs?: number;
}

export interface BenchSink {
  deliver(batch: SinkBatch): Promise<SinkAnswer>;
  readonly sink: Sink;
  readonly context: ReturnType<typeof testSinkContext>;
}

export class SinkBench {
  readonly #sinks: Sink[] = [];

  make({ options, origin = {}, timeoutMs = 5_000 }: SinkGiven): BenchSink {
    const from = { uuid: sampleOriginUuid, ...origin };
    const context = testSinkContext({ world: realWorld(), id: 'archive', timeoutMs, origin: from as never });
    const sink = definition.create(definition.schema.parse(options) as never, context as never) as Sink;
    this.#sinks.push(sink);
    return {
      sink,
      context,
      deliver: (batch) => sink.deliver(batch, { signal: new AbortController().signal }),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#sinks.splice(0).map((sink) => sink.close?.()));
  }
}
