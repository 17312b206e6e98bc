// A server in this process and sinks that talk to it, closed when the test is over.
import { type Sink, type SinkAnswer, type SinkBatch, type SinkOrigin, z } from 'spillway/plugin';
import { markersIn, realWorld, sampleOriginUuid, testSinkContext } from 'spillway/testing';
import definition from '../src/index.ts';
import { PostgresDouble, type Row } from './postgres-double.ts';

export const never: AbortSignal = new AbortController().signal;
export const uuid: string = sampleOriginUuid;
export const keyColumns: Readonly<Record<string, string>> = {
  key: 'text',
  epoch: 'bigint',
  id: 'bigint',
  signal: 'text',
  time: 'timestamp with time zone',
  event: 'jsonb',
};

type Context = ReturnType<typeof contextOf>;

interface Given {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
  readonly origin?: Partial<SinkOrigin>;
}

function contextOf({ timeoutMs = 5_000, origin }: Given): ReturnType<typeof testSinkContext> {
  const world = realWorld();
  return testSinkContext({ world, id: 'archive', timeoutMs, ...(origin === undefined ? {} : { origin }) });
}

export class Rig implements AsyncDisposable {
  readonly server: PostgresDouble;
  readonly #sinks: Sink[] = [];
  readonly #contexts: Context[] = [];

  private constructor(server: PostgresDouble) {
    this.server = server;
  }

  /** With a table `events` that fits. */
  static async start(): Promise<Rig> {
    const server = await PostgresDouble.start();
    server.createTable('events', keyColumns, ['key']);
    return new Rig(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink.close?.()));
    await this.server.stop();
  }

  sink(given: Given = {}): Sink {
    const context = contextOf(given);
    const options = { endpoint: this.server.endpoint, table: 'events', ...given.options };
    const parsed = definition.schema.safeParse(options);
    if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
    const sink = definition.create(parsed.data as never, context) as Sink;
    this.#sinks.push(sink);
    this.#contexts.push(context);
    return sink;
  }

  /** Everything that all sinks have logged, as text. */
  get logged(): string {
    return JSON.stringify(this.#contexts.flatMap(({ log }) => log.lines));
  }

  rows(table: string = 'events'): readonly Row[] {
    return this.server.rows(table);
  }

  keys(table: string = 'events'): readonly string[] {
    return this.rows(table).map((row) => (row['key'] ?? '').replace(`${uuid}/`, ''));
  }

  markers(table: string = 'events'): readonly string[] {
    return this.rows(table).flatMap((row) => markersIn(JSON.stringify(row)));
  }
}

export async function deliver(sink: Sink, batch: SinkBatch, signal: AbortSignal = never): Promise<SinkAnswer> {
  return await sink.deliver(batch, { signal });
}

/** As the driver does: until it is delivered. Gives the kinds of all answers. */
export async function deliverAll(sink: Sink, batches: readonly SinkBatch[]): Promise<readonly string[]> {
  const kinds: string[] = [];
  for (const batch of batches) {
    for (let tries = 0; kinds.at(-1) !== 'delivered' || tries === 0; tries += 1) {
      if (tries > 5) throw new Error(`not delivered: ${kinds.join(', ')}`);
      kinds.push((await deliver(sink, batch)).kind);
    }
  }
  return kinds;
}
