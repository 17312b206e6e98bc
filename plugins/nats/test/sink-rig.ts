// A sink between a test and the double of a server, with a stream that takes `telemetry.>`.
import type { Sink, SinkAnswer, SinkBatch } from 'spillway/plugin';
import { markersIn, realWorld, sampleOriginUuid, testSinkContext } from 'spillway/testing';
import definition from '../src/index.ts';
import { type Command, NatsDouble } from './nats-double.ts';
import type { StreamDouble } from './stream-double.ts';

export interface Given {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly origin?: { readonly buffer?: string; readonly cursor?: string; readonly uuid?: string | undefined };
  readonly timeoutMs?: number;
}

export type TestContext = ReturnType<typeof testSinkContext>;

export const never: AbortSignal = new AbortController().signal;
export const deliveredAnswer: SinkAnswer = { kind: 'delivered' };

export class SinkRig implements AsyncDisposable {
  readonly server: NatsDouble;
  stream: StreamDouble;
  readonly #sinks: Sink[] = [];

  private constructor(server: NatsDouble) {
    this.server = server;
    this.stream = server.addStream('telemetry', ['telemetry.>']);
  }

  static async start(): Promise<SinkRig> {
    return new SinkRig(await NatsDouble.start());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sinks.splice(0).map((sink) => sink.close?.()));
    await this.server.stop();
  }

  contextOf({ origin = {}, timeoutMs = 5_000 }: Given = {}): TestContext {
    const known = { uuid: sampleOriginUuid, ...origin } as never;
    return testSinkContext({ world: realWorld(), id: 'archive', timeoutMs, origin: known });
  }

  sink(given: Given = {}, context: TestContext = this.contextOf(given)): Sink {
    const keys = { url: this.server.url, subject: 'telemetry.{signal}', ...given.options };
    const sink = definition.create(definition.schema.parse(keys) as never, context as never) as Sink;
    this.#sinks.push(sink);
    return sink;
  }

  get ids(): readonly (string | undefined)[] {
    return this.stream.messages.map(({ headers }) => headers['Nats-Msg-Id']);
  }

  get markers(): readonly string[] {
    return this.stream.messages.flatMap(({ payload }) => markersIn(payload));
  }
}

export function deliver(sink: Sink, batch: SinkBatch): Promise<SinkAnswer> {
  return sink.deliver(batch, { signal: never });
}

/** Keys of consecutive events of the sample buffer. */
export function keysOf(from: number, count: number, epoch: number = 1): string[] {
  return Array.from({ length: count }, (_, index) => `${sampleOriginUuid}/${epoch}-${from + index}`);
}

export function isEvent({ subject }: Command): boolean {
  return subject.startsWith('telemetry.');
}

export function isAsking(what: string): (command: Command) => boolean {
  return ({ subject }) => subject.startsWith(`$JS.API.STREAM.${what}`);
}
