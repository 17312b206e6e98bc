// Delivers what is in a buffer, in the background, for as long as the buffer is open. The driver of the pipeline does
// the work; here are its settings for an exporter, and what happens when it crashes: it is started again.

import { MiB } from '../base/units.ts';
import type { Log } from '../pipeline/contract/log.ts';
import type { DeliverySettings } from '../pipeline/contract/settings.ts';
import type { Sink } from '../pipeline/contract/sink.ts';
import type { World } from '../pipeline/contract/world.ts';
import { type DriverStatus, SinkDriver } from '../pipeline/delivery/sink-driver.ts';
import { supervise } from '../pipeline/runtime/supervision.ts';
import type { CursorContract } from '../stage/buffer-contract.ts';

export interface DrainOptions {
  readonly cursor: CursorContract;
  readonly sink: Sink;
  readonly timeoutMs: number;
  readonly retryMaxBackoffMs: number;
  readonly world: Pick<World, 'clock' | 'random'>;
  readonly log: Log;
}

/** Events since the drain began. */
export interface DrainCounts {
  readonly delivered: number;
  /** The receiver took the batch without them, and said so. */
  readonly refused: number;
  /** The receiver will not take them as they are. */
  readonly rejected: number;
}

const nothing: DrainCounts = { delivered: 0, refused: 0, rejected: 0 };

export class Drain {
  readonly #options: DrainOptions;
  readonly #stopping = new AbortController();
  #driver: SinkDriver | undefined;
  #past: DrainCounts = nothing;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  /** Goes on until the buffer closes or `stop`. */
  start(): void {
    const { world, log } = this.#options;
    const options = { what: 'delivery', ...world, log, stopping: this.#stopping.signal, crashed: () => undefined };
    this.#ended = supervise(() => this.#live(), options).catch((cause: unknown) => {
      log.error('delivery has ended by a defect; what is exported stays on disk', { error: cause });
    });
  }

  /** What is under way may finish within `afterMs`; the rest is handed back. Never rejects. */
  async stop(afterMs: number): Promise<void> {
    this.#stopping.abort();
    await this.#driver?.stop({ afterMs });
    await this.#ended;
  }

  get counts(): DrainCounts {
    return sumOf(this.#past, this.#driver === undefined ? nothing : countsOf(this.#driver.status()));
  }

  /** What the receiver does. */
  get condition(): Pick<DriverStatus, 'state' | 'reason'> {
    return this.#driver?.status() ?? { state: 'retrying', reason: 'delivery is being started again' };
  }

  async #live(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const { cursor, sink, world, log } = this.#options;
    const driver = new SinkDriver({ cursor, sink, settings: this.#settings(), deadLetters: undefined, world, log });
    this.#driver = driver;
    try {
      await driver.run();
    } finally {
      this.#past = sumOf(this.#past, countsOf(driver.status()));
      this.#driver = undefined;
    }
  }

  #settings(): DeliverySettings {
    const { timeoutMs, retryMaxBackoffMs } = this.#options;
    return {
      // Batches of the SDK are small: after an outage several go in one request.
      batch: { maxBytes: 1 * MiB, maxEvents: 8192, timeoutMs: 0 },
      request: {
        concurrency: 1,
        timeoutMs,
        headers: {},
        rateLimit: undefined,
        retryAttempts: Number.POSITIVE_INFINITY,
        retryInitialBackoffMs: Math.min(1_000, retryMaxBackoffMs),
        retryMaxBackoffMs,
        retryJitter: 'full',
      },
      healthcheck: { enabled: false, isRequired: false },
      onBlocked: 'wait',
      deadLetters: undefined,
    };
  }
}

function countsOf({ delivered, refusedEvents, rejectedEvents }: DriverStatus): DrainCounts {
  return { delivered: delivered.events, refused: refusedEvents, rejected: rejectedEvents };
}

export function sumOf(one: DrainCounts, other: DrainCounts): DrainCounts {
  return {
    delivered: one.delivered + other.delivered,
    refused: one.refused + other.refused,
    rejected: one.rejected + other.rejected,
  };
}
