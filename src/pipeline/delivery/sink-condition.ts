// How a sink is doing: the sum of what the batches at it have met. Said in the log once for each change of state or
// reason, not for each try.

import type { Clock } from '../../platform/clock.ts';
import type { Log } from '../contract/log.ts';

export interface Trouble {
  readonly kind: 'retrying' | 'blocked';
  readonly reason: string;
}

const running = { kind: 'running', reason: undefined } as const;

export class SinkCondition {
  readonly #clock: Clock;
  readonly #log: Log;
  /** By who met it, in the order in which they met it first. */
  readonly #troubles = new Map<object, Trouble>();
  #now: Trouble | typeof running = running;
  #sinceMs: number;

  constructor(options: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#sinceMs = options.clock.now();
  }

  get state(): 'running' | Trouble['kind'] {
    return this.#now.kind;
  }

  get reason(): string | undefined {
    return this.#now.reason;
  }

  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** `who` is in this trouble now, or in none. */
  report(who: object, trouble: Trouble | undefined): void {
    if (trouble !== undefined) this.#troubles.set(who, trouble);
    else if (!this.#troubles.delete(who)) return;
    this.#become(this.#worst());
  }

  /** The first of the worst kind: with many batches at the sink, their reasons would take turns otherwise. */
  #worst(): Trouble | typeof running {
    let worst: Trouble | undefined;
    for (const trouble of this.#troubles.values()) {
      if (trouble.kind === 'blocked') return trouble;
      worst ??= trouble;
    }
    return worst ?? running;
  }

  #become(next: Trouble | typeof running): void {
    const before = this.#now;
    if (before.kind === next.kind && before.reason === next.reason) return;
    this.#now = next;
    if (before.kind !== next.kind) this.#sinceMs = this.#clock.now();
    const { reason } = next;
    if (next.kind === 'running') this.#log.info('the sink takes batches again');
    else if (next.kind === 'retrying') this.#log.warn('the sink did not take a batch, which comes again', { reason });
    else this.#log.error('the sink is blocked: nothing leaves the buffer until somebody acts', { reason });
  }
}
