// The sink that prints: one line an event, for people, or as JSON for other programs.
//
// A batch is delivered when the stream has taken it. A reader that is slow holds the sink up and nothing else: the rest
// stays in the buffer. A reader that has gone blocks it, visibly; what was not printed stays in the buffer, too.
//
// What the stream has not taken in time cannot be called back: the answer is retryable, and when the same lines come
// again they are not written a second time but waited for.

import { z } from 'zod';
import { eachEvent } from '../../../otlp/decode.ts';
import { type OutputResult, type OutputStream, standardOutput } from '../../../platform/output-stream.ts';
import { pause } from '../../../platform/pause.ts';
import { defineSink, type SinkDefinition } from '../../contract/definition.ts';
import type { SinkSettings } from '../../contract/settings.ts';
import type { Sink, SinkAnswer, SinkBatch, SinkContext } from '../../contract/sink.ts';
import { coloured, eventLine, plain } from './event-line.ts';

interface Options {
  readonly target: 'stdout' | 'stderr';
  readonly encoding: { readonly codec: 'text' | 'json' };
}

const schema = z.strictObject({
  target: z.enum(['stdout', 'stderr']).default('stdout').describe('Where to print.'),
  encoding: z
    .strictObject({ codec: z.enum(['text', 'json']).default('text').describe('What a line is.') })
    .default({ codec: 'text' })
    .describe('text: for people; json: an object with resource, scope and event.'),
});

export const consoleSink: SinkDefinition = defineSink({
  type: 'console',
  schema,
  create: (options, context) => new ConsoleSink(options, context, standardOutput(options.target)),
});

/** Where a sink prints, if it is one of these. */
export function printTargetOf({ definition, options }: SinkSettings): Options['target'] | undefined {
  return definition === consoleSink ? (options as Options).target : undefined;
}

interface Unfinished {
  readonly text: string;
  readonly writing: Promise<OutputResult>;
}

export class ConsoleSink implements Sink {
  /** Lines of two batches must not mix. */
  readonly concurrencyMax = 1;
  readonly #options: Options;
  readonly #context: SinkContext;
  readonly #output: OutputStream;
  /** Given to the stream, and given up by its delivery before the stream had taken it. */
  #unfinished: Unfinished | undefined;

  constructor(options: Options, context: SinkContext, output: OutputStream) {
    this.#options = options;
    this.#context = context;
    this.#output = output;
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    const text = this.#textOf(batch);
    if (text === undefined) return { kind: 'rejected', reason: `a record is no OTLP request of ${batch.signal}` };
    const earlier = this.#unfinished;
    // Never more than one text in the stream: each retry would otherwise add its own.
    if (earlier !== undefined && earlier.text !== text) await this.#taken(earlier, signal);
    if (signal.aborted || (this.#unfinished !== undefined && this.#unfinished.text !== text)) return this.#notYet();
    this.#unfinished ??= { text, writing: this.#output.write(text) };
    switch (await this.#taken(this.#unfinished, signal)) {
      case 'written':
        return { kind: 'delivered' };
      case 'closed':
        return { kind: 'blocked', reason: `nobody reads ${this.#output.name} any more; start again with a reader` };
      case 'waiting':
        return this.#notYet();
    }
  }

  #notYet(): SinkAnswer {
    return { kind: 'retryable', reason: `${this.#output.name} has not taken what it was given` };
  }

  async #taken(unfinished: Unfinished, signal: AbortSignal): Promise<OutputResult | 'waiting'> {
    const { world, timeoutMs } = this.#context;
    const over = new AbortController();
    const late = pause(world.clock, timeoutMs, AbortSignal.any([signal, over.signal])).then(() => 'waiting' as const);
    try {
      const result = await Promise.race([unfinished.writing, late]);
      if (result !== 'waiting') this.#unfinished = undefined;
      return result;
    } finally {
      over.abort();
    }
  }

  #textOf(batch: SinkBatch): string | undefined {
    const paint = this.#output.hasColor ? coloured : plain;
    let text = '';
    for (const { bytes } of batch.records) {
      const events = eachEvent(batch.signal, bytes);
      if (events === undefined) return undefined;
      for (const event of events) {
        const isJson = this.#options.encoding.codec === 'json';
        text += isJson ? JSON.stringify({ signal: batch.signal, ...event }) : eventLine(batch.signal, event, paint);
        text += '\n';
      }
    }
    return text;
  }
}
