// One line for many events of one kind, at most one in ten seconds, so that a sink that refuses everything does not
// fill the host's disk with lines about it. What was not said is said with the next line, or at the end.

import type { Clock } from '../../platform/clock.ts';
import type { Log, LogFields } from '../contract/log.ts';

const pauseMs = 10_000;

export class ThrottledLog {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #message: string;
  #saidAtMs = Number.NEGATIVE_INFINITY;
  #unsaid: { readonly events: number; readonly fields: LogFields } | undefined;

  constructor(options: { readonly clock: Clock; readonly log: Log; readonly message: string }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#message = options.message;
  }

  add(events: number, fields: LogFields): void {
    this.#unsaid = { events: (this.#unsaid?.events ?? 0) + events, fields };
    if (this.#clock.monotonic() - this.#saidAtMs >= pauseMs) this.flush();
  }

  flush(): void {
    if (this.#unsaid === undefined) return;
    this.#log.warn(this.#message, { events: this.#unsaid.events, ...this.#unsaid.fields });
    this.#unsaid = undefined;
    this.#saidAtMs = this.#clock.monotonic();
  }
}
