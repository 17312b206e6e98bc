// For a LogRecordProcessor of the SDK.

import { Exporter } from './exporter.ts';
import type { BufferedExporterOptions } from './exporter-options.ts';
import type { ResultCallback } from './sdk-types.ts';
import type { SignalStats } from './signal-stats.ts';

/** A LogRecordExporter that stores log records on disk and delivers them in the background. */
export class BufferedLogRecordExporter {
  readonly #exporter: Exporter;

  constructor(options: BufferedExporterOptions) {
    this.#exporter = new Exporter('logs', options);
  }

  /** Calls back with success when the buffer has accepted all of them at its durability. */
  export(logs: readonly unknown[], resultCallback: ResultCallback): void {
    this.#exporter.export(logs, resultCallback);
  }

  /** Commits, then delivers up to `timeoutMillis`; resolves when what was exported is durable. */
  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush();
  }

  /** Commits, delivers for at most five seconds, closes. The rest is delivered after the next start. */
  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  /** What has become of the log records. */
  stats(): SignalStats {
    return this.#exporter.stats();
  }
}
