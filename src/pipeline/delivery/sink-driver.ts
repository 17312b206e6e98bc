// The driver stands between a cursor and a sink: it reads, joins records into batches, has as many of them at the sink
// as there are places, and settles what is answered. All waiting is done here, so that a sink needs no queue.
//
// While all places are taken the next batch forms: one read ends where a chunk of a file does, so what it gives at once
// is often a quarter of a batch, and a peer that takes its time to answer would be asked four times as often.
//
// Memory is bounded by the places and that one batch; what one read gave beyond it waits here, too. Everything else
// stays in the buffer. A sink in trouble is given nothing ahead: it may be away for days. With several places the
// others go on while one batch comes again; how far they may get ahead, and how much a crash then repeats, is the
// buffer's `maxUnsettledBytes`.
//
// I1  at most `places` batches are at the sink; with one place the order is strict, retries included
// I2  at most one read is under way; while all places are taken none begins for a second batch, and none in trouble
// I3  each record handed out is settled once by this driver, or handed back in record order when it ends
// I4  after the end nothing is settled, no timer is left, and the sink is not called again
//
// How it ends:
//   the buffer closes     what is in hand is answered first, then `run` resolves with 'closed'
//   stop()                nothing is read or waited for any more; what is at the sink may finish until the deadline, is
//                         then asked to give up, and has a last second for it; `run` resolves with 'stopped'
//   the sink crashes      what else is at the sink is asked to give up and has that second; `run` rejects
// In the last two cases what has no answer is handed back.

import { InvariantViolation } from '../../base/assert.ts';
import type { Signal } from '../../otlp/signal.ts';
import type { Timer } from '../../platform/clock.ts';
import type { CursorContract, DeliveryContract } from '../../stage/buffer-contract.ts';
import type { Log } from '../contract/log.ts';
import type { DeliverySettings } from '../contract/settings.ts';
import type { Sink } from '../contract/sink.ts';
import type { SinkStatus } from '../contract/status.ts';
import type { World } from '../contract/world.ts';
import { Backoff } from './backoff.ts';
import { BatchFormer, type FormedBatch } from './batch-former.ts';
import { BatchRun, type Counting, type RunContext } from './batch-run.ts';
import { type LetterBox, noLetters } from './dead-letters.ts';
import { GuardedSink, messageOf } from './guarded-sink.ts';
import { RateLimit } from './rate-limit.ts';
import { SinkCondition } from './sink-condition.ts';
import { SizeLimit } from './size-limit.ts';
import { Sleepers } from './sleepers.ts';
import { ThrottledLog } from './throttled-log.ts';

export interface SinkDriverOptions {
  readonly cursor: CursorContract;
  readonly sink: Sink;
  /** What it can take, where the sink itself does not say. Default: all. */
  readonly signals?: readonly Signal[] | undefined;
  readonly settings: DeliverySettings;
  /** Undefined: what is given up is counted and logged, and gone. */
  readonly deadLetters: LetterBox | undefined;
  readonly world: Pick<World, 'clock' | 'random'>;
  readonly log: Log;
}

export type DriverStatus = Pick<
  SinkStatus,
  'reason' | 'sinceMs' | 'delivered' | 'refusedEvents' | 'rejectedEvents' | 'retries' | 'inFlight'
> & { readonly state: 'running' | 'retrying' | 'blocked' };

/** What a sink that was told to give up has left to answer, before its batch is handed back without one. */
const lastMs = 1_000;

type End = { readonly kind: 'stopped' } | { readonly kind: 'crashed'; readonly cause: unknown };

export class SinkDriver {
  readonly #options: SinkDriverOptions;
  readonly #places: number;
  readonly #former: BatchFormer;
  readonly #context: RunContext;
  readonly #counts = { events: 0, bytes: 0, refused: 0, rejected: 0, retries: 0 };
  readonly #refused: ThrottledLog;
  readonly #rejected: ThrottledLog;
  readonly #runs = new Set<BatchRun>();
  /** Deliveries with unsettled records, oldest first. */
  readonly #held = new Set<DeliveryContract>();
  readonly #ended = Promise.withResolvers<'closed' | 'stopped'>();
  #reading: AbortController | undefined;
  #readFailures = 0;
  /** The cursor gives nothing more. */
  #isClosed = false;
  /** All that there will ever be is in the buffer. */
  #isLast = false;
  /** Why nothing new is begun; `#isOver` follows when nothing is under way any more. */
  #end: End | undefined;
  #isOver = false;
  /** Whether the sink may be called: an end still lets a halved batch go on until its deadline. */
  #mayBegin = true;
  /** Set while a batch that is not complete waits for company; `over` when it has waited long enough. */
  #company: Timer | 'over' | undefined;
  #deadline: Timer | undefined;

  constructor(options: SinkDriverOptions) {
    const { sink, settings, world, log } = options;
    this.#options = options;
    this.#places = Math.max(1, Math.min(settings.request.concurrency, sink.concurrencyMax ?? Number.POSITIVE_INFINITY));
    const { clock } = world;
    const rejection = options.deadLetters === undefined ? 'events were given up' : 'events went to the dead letters';
    this.#refused = new ThrottledLog({ clock, log, message: 'the peer refused events of batches that it took' });
    this.#rejected = new ThrottledLog({ clock, log, message: rejection });
    this.#context = this.#makeContext();
    const limits = (): { readonly maxBytes: number; readonly maxEvents: number } => ({
      maxBytes: this.#context.sizeLimit.maxBytes,
      maxEvents: settings.batch.maxEvents,
    });
    this.#former = new BatchFormer({ taken: sink.signals ?? options.signals, limits });
  }

  /** Called once. Rejects when the sink crashed; everything without an answer has been handed back then. */
  run(): Promise<'closed' | 'stopped'> {
    this.#go();
    return this.#ended.promise;
  }

  /**
   * Begins nothing more; what is at the sink may finish within `afterMs`. Resolves when the rest is handed back. May be
   * called again with less time. Never rejects.
   */
  async stop({ afterMs }: { readonly afterMs: number }): Promise<void> {
    if (!this.#isOver) {
      this.#beginEnd({ kind: 'stopped' });
      this.#setDeadline(afterMs);
      this.#finishIfIdle();
    }
    await this.#ended.promise.catch(() => undefined); // It is for `run` to tell.
  }

  /** Nothing is appended any more: a batch that is not complete has no company to wait for. */
  expectNoMore(): void {
    this.#isLast = true;
    this.#go();
  }

  status(): DriverStatus {
    const { condition } = this.#context;
    const { events, bytes, refused, rejected, retries } = this.#counts;
    return {
      state: condition.state,
      reason: condition.reason,
      sinceMs: condition.sinceMs,
      delivered: { events, bytes },
      refusedEvents: refused,
      rejectedEvents: rejected,
      retries,
      inFlight: this.#runs.size,
    };
  }

  // Forming and sending.

  /** Does whatever can be done now. Called whenever something has changed. */
  #go(): void {
    if (this.#end !== undefined || this.#isOver) return;
    const isAlone = this.#isClosed || this.#isLast || this.#options.settings.batch.timeoutMs <= 0;
    while (this.#runs.size < this.#places) {
      const batch = this.#former.take({ asItIs: isAlone || this.#company === 'over' });
      if (batch === undefined) break;
      this.#forgetCompany();
      this.#send(batch);
    }
    const isFree = this.#runs.size < this.#places;
    if (isFree) this.#waitForCompany();
    if (isFree || this.#context.condition.state === 'running') this.#read();
    else this.#reading?.abort();
    this.#finishIfIdle();
  }

  #waitForCompany(): void {
    const { settings, world } = this.#options;
    if (this.#former.isEmpty || this.#company !== undefined || settings.batch.timeoutMs <= 0) return;
    this.#company = world.clock.setTimer(settings.batch.timeoutMs, () => {
      this.#company = 'over';
      this.#go();
    });
  }

  #forgetCompany(): void {
    if (typeof this.#company === 'object') this.#company.cancel();
    this.#company = undefined;
  }

  #send(batch: FormedBatch): void {
    const run = new BatchRun(batch, this.#context);
    this.#runs.add(run);
    const ended = (): void => {
      this.#runs.delete(run);
      for (const { delivery } of batch.slices) if (delivery.unsettled === 0) this.#held.delete(delivery);
    };
    run.run().then(
      () => {
        ended();
        this.#go();
        this.#finishIfIdle();
      },
      (cause: unknown) => {
        ended();
        this.#crashed(cause);
      },
    );
  }

  // Reading.

  #read(): void {
    if (this.#reading !== undefined || this.#isClosed || this.#former.isComplete) return;
    const reading = new AbortController();
    this.#reading = reading;
    this.#options.cursor.read({ ...this.#former.room, signal: reading.signal }).then(
      (delivery) => this.#arrived(delivery),
      (cause: unknown) => this.#readFailed(cause, reading.signal),
    );
  }

  #arrived(delivery: DeliveryContract | undefined): void {
    this.#reading = undefined;
    if (this.#isOver) {
      delivery?.retry(0); // Nobody waited for it any more.
      return;
    }
    this.#readFailures = 0;
    this.#context.condition.report(this, undefined);
    if (delivery === undefined) this.#isClosed = true;
    else {
      this.#held.add(delivery);
      this.#former.add(delivery);
    }
    this.#go();
    this.#finishIfIdle();
  }

  /** The buffer says what is wrong with it; here it is only asked again, because reading may work again. */
  #readFailed(cause: unknown, signal: AbortSignal): void {
    this.#reading = undefined;
    if (signal.aborted || this.#end !== undefined) {
      this.#go();
      this.#finishIfIdle();
      return;
    }
    if (cause instanceof InvariantViolation) {
      this.#crashed(cause);
      return;
    }
    this.#readFailures += 1;
    const { backoff, condition, sleepers } = this.#context;
    condition.report(this, { kind: 'retrying', reason: `the buffer cannot be read: ${messageOf(cause)}` });
    // Held as if it were under way, so that nobody reads meanwhile; what is there of the batch goes out.
    this.#reading = new AbortController();
    sleepers.sleep(backoff.afterTries(this.#readFailures)).then(
      () => {
        this.#reading = undefined;
        this.#go();
        this.#finishIfIdle();
      },
      (error: unknown) => this.#crashed(error),
    );
  }

  // Ending.

  #crashed(cause: unknown): void {
    if (this.#isOver) return;
    if (this.#end === undefined) {
      this.#beginEnd({ kind: 'crashed', cause });
      this.#setDeadline(0);
    } else if (cause instanceof InvariantViolation) {
      this.#end = { kind: 'crashed', cause }; // A bug of ours is told, whatever else has ended us.
    } else if (this.#end.kind === 'stopped') {
      this.#options.log.warn('the sink crashed while it was stopped', { error: cause });
    }
    this.#finishIfIdle();
  }

  #beginEnd(end: End): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#forgetCompany();
    this.#reading?.abort();
    this.#context.sleepers.end();
  }

  /** What is at the sink may finish until then, is then told to give up, and soon after nobody waits for it. */
  #setDeadline(afterMs: number): void {
    if (!this.#mayBegin) return; // It was told already, and has less than that.
    const { clock } = this.#options.world;
    this.#deadline?.cancel();
    const giveUp = (): void => {
      this.#deadline = clock.setTimer(lastMs, () => this.#finish());
      this.#mayBegin = false;
      this.#context.sink.abort();
    };
    if (afterMs <= 0) giveUp();
    else if (Number.isFinite(afterMs)) this.#deadline = clock.setTimer(afterMs, giveUp);
  }

  #finishIfIdle(): void {
    if (this.#isOver || this.#runs.size > 0) return;
    if (this.#end !== undefined) {
      // A read that is being aborted may still bring something, which belongs behind everything else.
      if (this.#reading === undefined) this.#finish();
    } else if (this.#isClosed) this.#finish(); // With every place free, nothing waits for one.
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deadline?.cancel();
    this.#forgetCompany();
    this.#context.sleepers.end();
    this.#context.sink.forget();
    this.#refused.flush();
    this.#rejected.flush();
    for (const delivery of this.#held) if (delivery.unsettled > 0) delivery.retry(0); // I3.
    this.#held.clear();
    if (this.#end?.kind === 'crashed') this.#ended.reject(this.#end.cause);
    else this.#ended.resolve(this.#end === undefined ? 'closed' : 'stopped');
  }

  // Making.

  #makeContext(): RunContext {
    const { sink, settings, deadLetters, world, log } = this.#options;
    const { clock, random } = world;
    const { request, batch } = settings;
    return {
      settings,
      sink: new GuardedSink({ sink, clock, timeoutMs: request.timeoutMs }),
      letters: deadLetters ?? noLetters,
      backoff: new Backoff(request, random),
      sizeLimit: new SizeLimit(batch.maxBytes),
      rateLimit: request.rateLimit === undefined ? undefined : new RateLimit(request.rateLimit),
      condition: new SinkCondition({ clock, log }),
      sleepers: new Sleepers(clock),
      count: this.#counting(),
      mayBegin: () => this.#mayBegin,
      isOver: () => this.#isOver,
      monotonic: () => clock.monotonic(),
    };
  }

  #counting(): Counting {
    const counts = this.#counts;
    return {
      delivered: ({ events, bytes }) => {
        counts.events += events;
        counts.bytes += bytes;
      },
      refused: (events, reason) => {
        counts.refused += events;
        this.#refused.add(events, { reason });
      },
      rejected: (events, reason) => {
        counts.rejected += events;
        this.#rejected.add(events, { reason });
      },
      retried: () => {
        counts.retries += 1;
      },
    };
  }
}
