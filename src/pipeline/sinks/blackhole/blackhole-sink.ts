// The sink that takes everything and keeps nothing: for tests of sources and buffers, and for load.
//
// It counts, and says at intervals what it counted. With `rate` it is as slow as a real sink would be.

import { z } from 'zod';
import { signals } from '../../../otlp/signal.ts';
import type { Timer } from '../../../platform/clock.ts';
import { pause } from '../../../platform/pause.ts';
import { defineSink, type SinkDefinition } from '../../contract/definition.ts';
import type { Sink, SinkAnswer, SinkBatch, SinkContext } from '../../contract/sink.ts';
import { seconds } from '../../contract/values.ts';

const schema = z.strictObject({
  print_interval_secs: seconds()
    .default(0)
    .describe('How often the log says what was taken; 0: never. What is left is said at the end.'),
  rate: z.number().positive().optional().describe('Events it takes in a second. Default: no limit.'),
});

type Options = z.output<typeof schema>;

export const blackholeSink: SinkDefinition = defineSink({
  type: 'blackhole',
  schema,
  create: (options, context) => new BlackholeSink(options, context),
});

class BlackholeSink implements Sink {
  readonly #options: Options;
  readonly #context: SinkContext;
  readonly #events = { logs: 0, traces: 0, metrics: 0 };
  #batches = 0;
  #bytes = 0;
  #batchesSaid = 0;
  /** On the monotonic clock: until then `rate` is used up. */
  #freeFromMs = 0;
  #timer: Timer | undefined;

  constructor(options: Options, context: SinkContext) {
    this.#options = options;
    this.#context = context;
    this.#schedule();
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    if (!(await this.#hasPassed(batch.events, signal))) return { kind: 'retryable', reason: 'stopped while it waited' };
    this.#events[batch.signal] += batch.events;
    this.#bytes += batch.byteLength;
    this.#batches += 1;
    return { kind: 'delivered' };
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    if (this.#options.print_interval_secs > 0) this.#say();
  }

  /** Waits as long as so many events take. Concurrent batches queue up behind each other. */
  async #hasPassed(events: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    const { clock } = this.#context.world;
    const { rate } = this.#options;
    if (rate === undefined) return true;
    const takesMs = (events / rate) * 1000;
    this.#freeFromMs = Math.max(this.#freeFromMs, clock.monotonic()) + takesMs;
    await pause(clock, this.#freeFromMs - clock.monotonic(), signal);
    if (!signal.aborted) return true;
    this.#freeFromMs -= takesMs; // It comes again, and is paid for then.
    return false;
  }

  #schedule(): void {
    const intervalMs = this.#options.print_interval_secs;
    if (intervalMs === 0) return;
    this.#timer = this.#context.world.clock.setTimer(intervalMs, () => {
      this.#say();
      this.#schedule();
    });
  }

  #say(): void {
    if (this.#batches === this.#batchesSaid) return;
    this.#batchesSaid = this.#batches;
    const events = signals.reduce((sum, signal) => sum + this.#events[signal], 0);
    const facts = { events, ...this.#events, batches: this.#batches, bytes: this.#bytes };
    this.#context.log.info('taken and dropped since start', facts);
  }
}
