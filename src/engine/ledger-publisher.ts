// Chapter 5, last part. The publisher decides when the ledger is written: soon after a change, never twice at once, and
// again with backoff when it fails.
//
// A failed publish fails nothing else: appends and reads go on, only what must not happen before it waits (freeing
// segments, the first append of an epoch).
//
// I5.6  data before ledger: `capture` hands out positions that are durable already, or waits until they are. A ledger
//       that points past the data would make recovery step over records that were accepted.
//
// Next: log-buffer.ts, where records gather.

import { mark } from '../base/marks.ts';
import type { Clock, Timer } from '../platform/clock.ts';
import type { EventHub } from './events.ts';
import type { Ledger } from './ledger.ts';
import type { LedgerContent } from './ledger-slot.ts';

const retryMsFirst = 100;
const retryMsMax = 10_000;

export class LedgerPublisher {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #events: EventHub;
  readonly #intervalMs: number;
  readonly #capture: () => Promise<LedgerContent>;
  readonly #published: () => void;
  readonly #failed: () => void;
  #lastFailure: unknown;
  #timer: Timer | undefined;
  #retryMs = retryMsFirst;
  #failing = false;
  /** What whoever comes after `stop` is told. */
  #stopped: { readonly cause: unknown } | undefined;
  /** Changes asked for, and how many of them the newest successful publish covers. */
  #wanted = 0;
  #covered = 0;
  /** Whether the next publish must follow the one under way at once. */
  #hurried = false;
  #run: Promise<void> | undefined;
  readonly #waiting: {
    readonly target: number;
    readonly resolve: () => void;
    readonly reject: (e: unknown) => void;
  }[] = [];

  constructor(options: {
    readonly ledger: Ledger;
    readonly clock: Clock;
    readonly events: EventHub;
    readonly intervalMs: number;
    /** What to publish: positions that are durable (I5.6). May wait for a sync. */
    readonly capture: () => Promise<LedgerContent>;
    readonly published: () => void;
    readonly failed: () => void;
  }) {
    this.#ledger = options.ledger;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#intervalMs = options.intervalMs;
    this.#capture = options.capture;
    this.#published = options.published;
    this.#failed = options.failed;
  }

  /** Why the last attempt failed that did. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** Whether the last attempt failed and none has succeeded since. */
  get failing(): boolean {
    return this.#failing;
  }

  /** Something changed: it will be published within the interval. */
  changed(): void {
    this.#wanted += 1;
    if (this.#timer === undefined && this.#run === undefined && this.#stopped === undefined)
      this.#arm(this.#intervalMs);
  }

  /** Publishes as soon as no other publish runs, without waiting for it. */
  hurry(): void {
    this.#wanted += 1;
    this.#hurried = true;
    if (!this.#failing) this.#start();
  }

  /** Resolves once a publish that captured its content after this call has succeeded, however long that takes. */
  publish(): Promise<void> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped.cause);
    return new Promise((resolve, reject) => {
      this.#wanted += 1;
      this.#waiting.push({ target: this.#wanted, resolve, reject });
      if (!this.#failing) this.#start();
    });
  }

  /** Makes one attempt now, or joins none: resolves with whether it succeeded. Used by open and close. */
  async attempt(): Promise<boolean> {
    while (this.#run !== undefined) await this.#run;
    this.#wanted += 1;
    const target = this.#wanted;
    this.#start();
    await this.#run;
    return this.#covered >= target;
  }

  /** No timer runs on; whoever waits is rejected with `cause`. Resolves when the attempt under way is over. */
  async stop(cause: unknown): Promise<void> {
    this.#stopped = { cause };
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#run !== undefined) await this.#run;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(cause);
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#start();
    });
  }

  #start(): void {
    if (this.#run !== undefined || this.#stopped !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#run = this.#publish().finally(() => {
      this.#run = undefined;
      if (this.#stopped !== undefined || this.#timer !== undefined || this.#covered === this.#wanted) return;
      const atOnce = this.#hurried || this.#waiting.length > 0;
      this.#arm(this.#failing ? this.#retryMs : atOnce ? 0 : this.#intervalMs);
    });
  }

  async #publish(): Promise<void> {
    const target = this.#wanted;
    this.#hurried = false;
    try {
      const content = await this.#capture();
      await this.#ledger.publish(content);
      this.#succeeded(target, content.clean);
    } catch (cause) {
      mark('ledger.publish_failed');
      this.#retryMs = this.#failing ? Math.min(this.#retryMs * 2, retryMsMax) : retryMsFirst;
      this.#failing = true;
      this.#lastFailure = cause;
      this.#failed();
      this.#events.emit('publish_failed', { cause, retryInMs: this.#retryMs });
    }
  }

  #succeeded(target: number, clean: boolean): void {
    if (this.#failing) mark('ledger.publish_recovered');
    this.#failing = false;
    this.#covered = Math.max(this.#covered, target);
    while ((this.#waiting[0]?.target ?? Number.POSITIVE_INFINITY) <= target) this.#waiting.shift()?.resolve();
    this.#events.emit('published', { generation: this.#ledger.generation, clean });
    this.#published();
  }
}
