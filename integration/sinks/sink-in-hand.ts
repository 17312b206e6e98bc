// A sink of a plugin as a pipeline makes it, for tests that ask it and nobody else.

import type { SinkDefinition } from '../../src/pipeline/contract/definition.ts';
import type { Sink, SinkAnswer, SinkBatch } from '../../src/pipeline/contract/sink.ts';
import { realWorld, testSinkContext } from '../../src/testing/index.ts';

const never = new AbortController().signal;

export class SinkInHand implements AsyncDisposable {
  readonly #sink: Sink;

  constructor(definition: SinkDefinition, options: Readonly<Record<string, unknown>>) {
    const context = testSinkContext({ world: realWorld(), id: 'proof', timeoutMs: 10_000 });
    this.#sink = definition.create(definition.schema.parse(options) as never, context) as Sink;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sink.close?.();
  }

  deliver(batch: SinkBatch): Promise<SinkAnswer> {
    return this.#sink.deliver(batch, { signal: never });
  }
}
