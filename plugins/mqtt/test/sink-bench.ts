// A sink in front of a server in this process, as most tests want it.
import type { Clock, Sink, SinkAnswer, SinkBatch, Timer, World } from 'spillway/plugin';
import { realWorld, sampleOriginUuid, type TestSinkContext, testSinkContext } from 'spillway/testing';
import definition from '../src/index.ts';
import { MqttDouble } from './mqtt-double.ts';

export interface Given {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly origin?: { readonly cursor?: string; readonly uuid?: string | undefined };
  readonly timeoutMs?: number;
  /** So many times faster than the real one is the sink's clock. */
  readonly speed?: number;
}

const never = new AbortController().signal;

export class SinkBench {
  readonly server: MqttDouble;
  readonly #sinks: Sink[] = [];
  #context: TestSinkContext | undefined;
  #timers = 0;

  private constructor(server: MqttDouble) {
    this.server = server;
  }

  static async start(): Promise<SinkBench> {
    return new SinkBench(await MqttDouble.start());
  }

  /** Closes the sinks, after which nothing may be left of them. */
  async stop(): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink.close?.()));
    if (this.#timers !== 0) throw new Error(`${this.#timers} timers are left of sinks that are closed`);
    await this.server.stop();
  }

  /** Of the sink that was made last. */
  get context(): TestSinkContext {
    if (this.#context === undefined) throw new Error('no sink was made');
    return this.#context;
  }

  make({ options = {}, origin = {}, timeoutMs = 5_000, speed = 1 }: Given = {}): Sink {
    const { port } = this.server;
    const parsed = definition.schema.parse({ host: '127.0.0.1', port, topic: 'events', ...options });
    const place = { uuid: sampleOriginUuid, ...origin } as { readonly uuid: string };
    this.#context = testSinkContext({ world: this.#world(speed), id: 'archive', timeoutMs, origin: place });
    const sink = definition.create(parsed as never, this.#context as never) as Sink;
    this.#sinks.push(sink);
    return sink;
  }

  #world(speed: number): World {
    const world = realWorld();
    const { clock } = world;
    const hurried: Clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() * speed,
      setTimer: (delayMs, task) => this.#timer(clock, delayMs / speed, task),
      defer: (task) => clock.defer(task),
    };
    return { ...world, clock: hurried };
  }

  /** Counted until it has run or is cancelled. */
  #timer(clock: Clock, delayMs: number, task: () => void): Timer {
    let isPending = true;
    const done = (): void => {
      if (isPending) this.#timers -= 1;
      isPending = false;
    };
    this.#timers += 1;
    const timer = clock.setTimer(delayMs, () => {
      done();
      task();
    });
    return {
      cancel() {
        done();
        timer.cancel();
      },
    };
  }
}

export function deliver(sink: Sink, batch: SinkBatch, signal: AbortSignal = never): Promise<SinkAnswer> {
  return sink.deliver(batch, { signal });
}

/** Delivers until it is delivered, as the driver does, and gives the answers before that. */
export async function deliverInTheEnd(sink: Sink, batch: SinkBatch): Promise<SinkAnswer[]> {
  const answers: SinkAnswer[] = [];
  for (let tries = 0; tries < 10; tries += 1) {
    const answer = await deliver(sink, batch);
    if (answer.kind === 'delivered') return answers;
    answers.push(answer);
  }
  throw new Error(`not delivered: ${JSON.stringify(answers.at(-1))}`);
}
