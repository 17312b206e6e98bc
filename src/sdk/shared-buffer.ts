// One buffer for several exporters: one path, one limit, one life. It ends when the last exporter that uses it is shut
// down. Inside, each signal has a disk buffer of its own: a receiver that refuses metrics must not hold up spans, and
// what was dropped could not be counted by signal otherwise (docs/decisions/0013).

import { UsageError } from '../base/errors.ts';
import { type Signal, signals } from '../otlp/signal.ts';
import type { Log } from '../pipeline/contract/log.ts';
import type { Sink } from '../pipeline/contract/sink.ts';
import type { ExportSinkOptions } from './export-sink.ts';
import { type BufferSettings, bufferSettings, type Endpoint, type TelemetryBufferOptions } from './exporter-options.ts';
import type { ExporterWorld } from './exporter-world.ts';
import type { Quiet } from './quiet.ts';
import { SignalBuffer } from './signal-buffer.ts';
import type { SignalStats } from './signal-stats.ts';

/** What an exporter gives its buffer. */
export interface Surroundings {
  readonly world: ExporterWorld;
  readonly quiet: Quiet;
  readonly log: Log;
  readonly openSink: (options: ExportSinkOptions) => Promise<Sink>;
}

/** How long a shutdown goes on delivering. What is left stays on disk for the next start. */
const shutdownMs = 5_000;

/** A buffer as one exporter sees it. */
export interface BufferUse {
  readonly buffer: SignalBuffer;
  /** Closes the buffer if nobody else uses it, and flushes it in any case. */
  release(): Promise<void>;
}

/** Given to exporters as their `buffer`. */
export class SharedBuffer {
  readonly #settings: BufferSettings;
  readonly #uses = new Map<Signal, { readonly buffer: SignalBuffer; count: number }>();

  /** @internal Use {@link createTelemetryBuffer}. `parts`: among how many signals `maxBytes` is divided. */
  constructor(options: TelemetryBufferOptions, { parts = signals.length }: { readonly parts?: number } = {}) {
    const settings = bufferSettings(options);
    this.#settings = { ...settings, maxBytes: Math.floor(settings.maxBytes / parts) };
  }

  /** What has become of the items of each signal that an exporter was made for. */
  stats(): readonly SignalStats[] {
    return [...this.#uses.values()].map(({ buffer }) => buffer.stats());
  }

  /** @internal For exporters: the first one for a signal says where it goes. */
  use(endpoint: Endpoint, surroundings: Surroundings): BufferUse {
    const { signal } = endpoint;
    const known = this.#uses.get(signal);
    if (known?.count === 0) throw endedError(signal);
    const use = known ?? { buffer: this.#open(endpoint, surroundings), count: 0 };
    this.#uses.set(signal, use);
    use.count += 1;
    let released: Promise<void> | undefined;
    const release = (): Promise<void> => {
      use.count -= 1;
      return use.count === 0 ? use.buffer.close(shutdownMs) : use.buffer.flush(shutdownMs);
    };
    return {
      buffer: use.buffer,
      release: () => {
        released ??= release();
        return released;
      },
    };
  }

  #open(endpoint: Endpoint, surroundings: Surroundings): SignalBuffer {
    const { signal, timeoutMs, retryMaxBackoffMs } = endpoint;
    const log = surroundings.log.child({ signal });
    const { world, quiet } = surroundings;
    const openSink = (): Promise<Sink> => surroundings.openSink({ endpoint, world, quiet, log });
    const delivery = { timeoutMs, retryMaxBackoffMs, openSink };
    return new SignalBuffer({ signal, settings: this.#settings, ...delivery, world, quiet, log });
  }
}

/**
 * One buffer for exporters of several signals: `maxBytes` is what they take together, a third for each signal. It ends
 * when the last of its exporters is shut down.
 */
export function createTelemetryBuffer(options: TelemetryBufferOptions): SharedBuffer {
  return new SharedBuffer(options);
}

function endedError(signal: Signal): UsageError {
  return new UsageError({
    code: 'SPILLWAY_USAGE_CLOSED',
    message: `Cannot make another exporter of ${signal} with this buffer: the last one was shut down, and it with it`,
  });
}
