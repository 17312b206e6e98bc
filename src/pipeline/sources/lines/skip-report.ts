// Says how much of overlong lines was skipped: not for each of them, for where there is one there are many.

import type { Clock } from '../../../platform/clock.ts';
import type { Log, LogFields } from '../../contract/log.ts';

const intervalMs = 10_000;

export class SkipReport {
  readonly #clock: Clock;
  readonly #log: Log;
  #fields: LogFields = {};
  #bytes = 0;
  #reportedBytes = 0;
  #nextMs = 0;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  add(bytes: number, fields: LogFields = {}): void {
    if (bytes === 0) return;
    this.#bytes += bytes;
    this.#fields = fields;
    if (this.#clock.monotonic() >= this.#nextMs) this.end();
  }

  /** Says what was not said yet. */
  end(): void {
    if (this.#bytes === this.#reportedBytes) return;
    this.#nextMs = this.#clock.monotonic() + intervalMs;
    const skippedBytes = this.#bytes - this.#reportedBytes;
    this.#reportedBytes = this.#bytes;
    const fields = { ...this.#fields, skippedBytes, skippedBytesInAll: this.#bytes };
    this.#log.warn('Cut lines that are longer than max_line_bytes', fields);
  }
}
