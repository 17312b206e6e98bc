// The sink that prints: one line an event, for people, or as JSON for other programs.
//
// A batch is delivered when the stream has taken it. A reader that is slow holds the sink up and nothing else: the rest
// stays in the buffer. A reader that has gone blocks it, visibly; what was not printed stays in the buffer, too.

import { z } from 'zod';
import { eachEvent } from '../../../otlp/decode.ts';
import { type OutputResult, type OutputStream, standardOutput } from '../../../platform/output-stream.ts';
import { defineSink, type SinkDefinition } from '../../contract/definition.ts';
import type { Sink, SinkAnswer, SinkBatch } from '../../contract/sink.ts';
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
  create: (options) => new ConsoleSink(options, standardOutput(options.target)),
});

export class ConsoleSink implements Sink {
  /** Lines of two batches must not mix. */
  readonly concurrencyMax = 1;
  readonly #options: Options;
  readonly #output: OutputStream;
  /** A write that the stream had not taken when its batch was given up. */
  #unfinished: Promise<OutputResult> | undefined;

  constructor(options: Options, output: OutputStream) {
    this.#options = options;
    this.#output = output;
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    const text = this.#textOf(batch);
    if (text === undefined) return { kind: 'rejected', reason: `a record is no OTLP request of ${batch.signal}` };
    // Never more than one text in the stream: each retry would otherwise add its own.
    if (this.#unfinished !== undefined) await takenOrAborted(this.#unfinished, signal);
    if (signal.aborted) return { kind: 'retryable', reason: 'stopped before it was printed' };
    const writing = this.#output.write(text);
    this.#unfinished = writing;
    const result = await takenOrAborted(writing, signal);
    if (result !== 'waiting') this.#unfinished = undefined;
    switch (result) {
      case 'written':
        return { kind: 'delivered' };
      case 'closed':
        return { kind: 'blocked', reason: `nobody reads ${this.#output.name} any more; start again with a reader` };
      case 'waiting':
        return { kind: 'retryable', reason: `${this.#output.name} has not taken it yet` };
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

function takenOrAborted(writing: Promise<OutputResult>, signal: AbortSignal): Promise<OutputResult | 'waiting'> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => resolve('waiting');
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    writing.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}
