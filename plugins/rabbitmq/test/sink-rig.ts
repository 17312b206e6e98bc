// A sink on a double of the server, for the tests of one file.
import type { Sink, SinkAnswer, SinkBatch } from 'spillway/plugin';
import { type MemoryLog, markersIn, realWorld, testSinkContext } from 'spillway/testing';
import definition from '../src/index.ts';
import { RabbitmqDouble, type StoredMessage } from './rabbitmq-double.ts';

export interface GivenSink {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
}

/** Timers that are pending, so that a test can see that none is left. */
export interface CountedTimers {
  pending: number;
}

export class SinkRig implements AsyncDisposable {
  readonly server: RabbitmqDouble;
  readonly timers: CountedTimers = { pending: 0 };
  readonly #sinks: Sink[] = [];
  readonly #contexts: ReturnType<typeof testSinkContext>[] = [];

  private constructor(server: RabbitmqDouble) {
    this.server = server;
  }

  /** A server with a queue `events`. */
  static async start(): Promise<SinkRig> {
    const server = await RabbitmqDouble.start();
    server.queue('events');
    return new SinkRig(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink.close?.()));
    await this.server.stop();
  }

  /** Publishes to the queue, unless the options name an exchange. */
  sink({ options = {}, timeoutMs = 5_000 }: GivenSink = {}): Sink {
    const target = 'exchange' in options ? {} : { queue: 'events' };
    const parsed = definition.schema.parse({ connection_string: this.server.url, ...target, ...options });
    const context = testSinkContext({ world: countedWorld(this.timers), id: 'broker', timeoutMs });
    this.#contexts.push(context);
    const sink = definition.create(parsed as never, context) as Sink;
    this.#sinks.push(sink);
    return sink;
  }

  /** Everything that was logged. */
  get logged(): MemoryLog['lines'] {
    return this.#contexts.flatMap(({ log }) => (log as MemoryLog).lines);
  }

  stored(queue = 'events'): readonly StoredMessage[] {
    return this.server.queue(queue);
  }

  markers(queue = 'events'): string[] {
    return this.stored(queue).flatMap(({ body }) => markersIn(body));
  }
}

export function deliver(sink: Sink, batch: SinkBatch, signal?: AbortSignal): Promise<SinkAnswer> {
  return sink.deliver(batch, { signal: signal ?? new AbortController().signal });
}

function countedWorld(timers: CountedTimers): ReturnType<typeof realWorld> {
  const world = realWorld();
  const { clock } = world;
  return {
    ...world,
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      defer: (task) => clock.defer(task),
      setTimer(delayMs, task) {
        timers.pending += 1;
        let isPending = true;
        const end = (): void => {
          if (isPending) timers.pending -= 1;
          isPending = false;
        };
        const timer = clock.setTimer(delayMs, () => {
          end();
          task();
        });
        return {
          cancel() {
            end();
            timer.cancel();
          },
        };
      },
    },
  };
}
