// Sinks in front of one server, as most tests of streams want them, and what is in the stream.
import type { SinkAnswer, SinkBatch } from 'spillway/plugin';
import { markersIn } from 'spillway/testing';
import { RedisDouble } from './redis-double.ts';
import { type BenchSink, SinkBench, type SinkGiven } from './sink-bench.ts';

export class StreamRig {
  readonly server: RedisDouble;
  readonly #bench = new SinkBench();

  private constructor(server: RedisDouble) {
    this.server = server;
  }

  static async start(): Promise<StreamRig> {
    return new StreamRig(await RedisDouble.start());
  }

  /** Into the stream `events`, unless the options name another. */
  make({ options = {}, ...given }: Partial<SinkGiven> = {}): BenchSink {
    return this.#bench.make({ options: { url: this.server.url, stream: 'events', ...options }, ...given });
  }

  ids(stream: string = 'events'): readonly string[] {
    return this.server.entries(stream).map(({ id }) => id);
  }

  markers(stream: string = 'events'): readonly string[] {
    return this.server.entries(stream).flatMap(({ fields }) => markersIn(fields['data'] ?? ''));
  }

  async stop(): Promise<void> {
    await this.#bench.close();
    await this.server.stop();
  }
}

/** The ids of consecutive events. */
export function idsFrom(first: number, count: number, epoch: number = 1): string[] {
  return Array.from({ length: count }, (_, index) => `${epoch}-${first + index}`);
}

/** Offers each batch until it is taken. Gives the kinds of all answers. */
export async function deliverAll(sink: BenchSink, batches: readonly SinkBatch[]): Promise<SinkAnswer['kind'][]> {
  const kinds: SinkAnswer['kind'][] = [];
  for (const batch of batches) {
    for (let tries = 0; ; tries += 1) {
      const { kind } = await sink.deliver(batch);
      kinds.push(kind);
      if (kind === 'delivered') break;
      if (tries === 5) throw new Error(`a batch is not taken: ${kinds}`);
    }
  }
  return kinds;
}
