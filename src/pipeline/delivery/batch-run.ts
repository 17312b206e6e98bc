// One batch's way through the sink, until every event of it has an answer: sent, sent again, halved, given up.
//
// The parts of a halved batch are sent one after the other, in order, each until it is answered. So a batch takes one
// place however often it is halved, what is delivered is not sent again, and with one place the order is strict.
//
// R1  a dead letter is durable before its record is settled; while none can be written, the sink is blocked
// R2  nothing is settled once the driver is over: what is open then was handed back, and is somebody else's

import { unreachable } from '../../base/assert.ts';
import type { DeliverySettings } from '../contract/settings.ts';
import type { SinkAnswer } from '../contract/sink.ts';
import type { Backoff } from './backoff.ts';
import { BatchAnswers } from './batch-answers.ts';
import type { FormedBatch } from './batch-former.ts';
import { type BatchPart, halve } from './batch-part.ts';
import type { DeadLetter, LetterBox } from './dead-letters.ts';
import type { GuardedSink } from './guarded-sink.ts';
import type { RateLimit } from './rate-limit.ts';
import { JoinedBatch, originOf } from './sink-batch.ts';
import type { SinkCondition } from './sink-condition.ts';
import type { SizeLimit } from './size-limit.ts';
import type { Sleepers } from './sleepers.ts';

/** What the batches of a driver share. */
export interface RunContext {
  readonly settings: DeliverySettings;
  readonly sink: GuardedSink;
  readonly letters: LetterBox;
  readonly backoff: Backoff;
  readonly sizeLimit: SizeLimit;
  readonly rateLimit: RateLimit | undefined;
  readonly condition: SinkCondition;
  readonly sleepers: Sleepers;
  readonly count: Counting;
  /** False once the sink was told to give up. */
  readonly mayBegin: () => boolean;
  /** R2. */
  readonly isOver: () => boolean;
  readonly monotonic: () => number;
}

/** What is counted, in events, and said. */
export interface Counting {
  delivered(part: { readonly events: number; readonly bytes: number }): void;
  refused(events: number, reason: string): void;
  rejected(events: number, reason: string): void;
  retried(): void;
}

/** What follows from an answer: the part is done, it is sent again, or the driver ends and the rest is left open. */
type Step = Ended | 'again';
type Ended = 'done' | 'left';

export class BatchRun {
  readonly #context: RunContext;
  readonly #batch: FormedBatch;
  readonly #answers: BatchAnswers;
  /** Parts to be sent, the next one last. */
  readonly #parts: BatchPart[] = [];
  /** How often it was woken, while it was blocked, because another batch got through. */
  #wokenEarly = 0;

  constructor(batch: FormedBatch, context: RunContext) {
    this.#context = context;
    this.#batch = batch;
    this.#answers = new BatchAnswers(batch);
  }

  /** Resolves when every event is answered or the driver ends. Rejects when the sink crashed. */
  async run(): Promise<void> {
    const batch = this.#batch;
    const end =
      batch.kind === 'unfit'
        ? await this.#giveUpUnfit(batch)
        : await this.#sendAll({ batch: new JoinedBatch(batch.records), first: 0 });
    // What was wrong when the driver ended is not over, and nobody shall read in the log that it is.
    if (end === 'done') this.#context.condition.report(this, undefined);
  }

  async #sendAll(whole: BatchPart): Promise<Ended> {
    const { sizeLimit } = this.#context;
    this.#parts.push(whole);
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      const isKnownTooLarge = sizeLimit.isLearned && part.batch.byteLength > sizeLimit.maxBytes;
      if (isKnownTooLarge && this.#halve(part)) continue;
      if ((await this.#send(part)) === 'left') return 'left';
    }
    return 'done';
  }

  /** Sends a part until it has an answer that is final for it as a whole. */
  async #send(part: BatchPart): Promise<Ended> {
    const { sink, count, rateLimit, monotonic, sleepers, mayBegin, isOver } = this.#context;
    for (let sent = 0, failed = 0; ; sent++) {
      const waitMs = rateLimit?.reserve(monotonic()) ?? 0;
      if (waitMs > 0 && !(await sleepers.sleep(waitMs))) return 'left';
      if (!mayBegin()) return 'left';
      if (sent > 0) count.retried();
      const answer = await sink.deliver(part.batch);
      if (isOver()) return 'left';
      // That it was told to give up must not count as a failure of the batch's.
      if (!mayBegin() && (answer.kind === 'retryable' || answer.kind === 'blocked')) return 'left';
      if (answer.kind === 'retryable') failed += 1;
      const step = await this.#follow(part, answer, failed);
      if (step !== 'again') return step;
    }
  }

  async #follow(part: BatchPart, answer: SinkAnswer, failed: number): Promise<Step> {
    switch (answer.kind) {
      case 'delivered':
        this.#delivered(part, answer.refused);
        return 'done';
      case 'retryable':
        return await this.#afterFailure(part, answer, failed);
      case 'blocked':
        return await this.#afterBlocked(part, answer.reason);
      case 'too_large':
        this.#isAnswered();
        if (part.batch.events > 1) this.#context.sizeLimit.tooLarge(part.batch.byteLength);
        return this.#halve(part) ? 'done' : await this.#giveUp(part, answer.reason);
      case 'rejected':
        this.#isAnswered();
        return this.#halve(part) ? 'done' : await this.#giveUp(part, answer.reason);
      default:
        return unreachable(answer);
    }
  }

  #delivered({ batch, first }: BatchPart, refused: Extract<SinkAnswer, { kind: 'delivered' }>['refused']): void {
    const { count, sizeLimit, sleepers } = this.#context;
    const refusedEvents = Math.max(0, Math.min(batch.events, refused?.events ?? 0));
    count.delivered({ events: batch.events - refusedEvents, bytes: batch.byteLength });
    if (refused !== undefined && refusedEvents > 0) count.refused(refusedEvents, refused.reason);
    sizeLimit.delivered(batch.byteLength);
    this.#isAnswered();
    sleepers.healed();
    this.#answers.delivered({ first, records: batch.records });
  }

  /** The sink looked at what it was given: whatever was wrong with it before is over. */
  #isAnswered(): void {
    const { condition, sink } = this.#context;
    condition.report(this, undefined);
    condition.report(sink, undefined);
  }

  async #afterFailure(
    part: BatchPart,
    { reason, afterMs }: Extract<SinkAnswer, { kind: 'retryable' }>,
    failed: number,
  ): Promise<Step> {
    const { settings, backoff, condition, sleepers, sink } = this.#context;
    const { retryAttempts } = settings.request;
    if (failed > retryAttempts) {
      condition.report(sink, { kind: 'retrying', reason }); // Until it answers anything better, to any batch.
      return await this.#giveUp(part, `given up after ${retryAttempts} retries: ${reason}`);
    }
    condition.report(this, { kind: 'retrying', reason });
    return (await sleepers.sleep(backoff.afterTries(failed, afterMs))) ? 'again' : 'left';
  }

  async #afterBlocked(part: BatchPart, reason: string): Promise<Step> {
    const { settings, condition, sink } = this.#context;
    if (settings.onBlocked === 'dead_letter') {
      condition.report(sink, { kind: 'blocked', reason });
      return await this.#giveUp(part, `the sink was blocked: ${reason}`);
    }
    condition.report(this, { kind: 'blocked', reason });
    return (await this.#waitUntilHealthy()) ? 'again' : 'left';
  }

  /**
   * Waits the longest backoff, less if another batch gets through, and until a check says nothing bad. One that says
   * that waiting helps is asked again as soon as a batch would be sent again: who had to act has acted.
   */
  async #waitUntilHealthy(): Promise<boolean> {
    const { settings, sink, condition, backoff, isOver } = this.#context;
    for (let waitMs = backoff.longestMs, away = 0; ; ) {
      if (!(await this.#sleepUntilHealed(waitMs))) return false;
      if (!settings.healthcheck.enabled) return true;
      const health = await sink.checkHealth();
      if (isOver()) return false;
      if (health.kind === 'healthy') return true;
      away = health.kind === 'retryable' ? away + 1 : 0;
      waitMs = away > 0 ? backoff.afterTries(away) : backoff.longestMs;
      condition.report(this, { kind: away > 0 ? 'retrying' : 'blocked', reason: health.reason });
    }
  }

  /**
   * What others get through says little about a batch that stays blocked for what is in it: each time that it was woken
   * for nothing it sleeps longer before it can be woken again, or it would be sent as often as they are.
   */
  async #sleepUntilHealed(waitMs: number): Promise<boolean> {
    const { sleepers, backoff, monotonic } = this.#context;
    const deafMs = this.#wokenEarly === 0 ? 0 : Math.min(waitMs, backoff.afterTries(this.#wokenEarly));
    if (deafMs > 0 && !(await sleepers.sleep(deafMs))) return false;
    const beganMs = monotonic();
    if (!(await sleepers.sleep(waitMs - deafMs, 'healed'))) return false;
    if (monotonic() - beganMs < waitMs - deafMs) this.#wokenEarly += 1;
    return true;
  }

  /** Whether the part is two parts now. */
  #halve(part: BatchPart): boolean {
    const halves = halve(part);
    if (halves === undefined) return false;
    this.#parts.push(halves[1], halves[0]);
    return true;
  }

  // Giving up.

  async #giveUp({ batch, first }: BatchPart, reason: string): Promise<Ended> {
    const { signal, records } = batch;
    const letters = records.map(({ id, events, origin, bytes }) => ({ signal, id, events, origin, bytes, reason }));
    return await this.#post(letters, first);
  }

  async #giveUpUnfit({ signal, reason, records }: Extract<FormedBatch, { kind: 'unfit' }>): Promise<Ended> {
    const letters = records.map((record) => {
      const { id, events, payload } = record;
      return { signal, id, events, origin: originOf(record), bytes: payload, reason };
    });
    return await this.#post(letters, 0);
  }

  /** R1. `letters[i]` is for the batch's record `first + i`, or for a part of it. */
  async #post(letters: readonly DeadLetter[], first: number): Promise<Ended> {
    const { letters: box, condition, sleepers, backoff, count, isOver } = this.#context;
    for (let done = 0; ; ) {
      const { written, failure } = await box.write(letters.slice(done));
      if (isOver()) return 'left';
      const settled = letters.slice(done, done + written);
      for (const { events, reason } of settled) count.rejected(events, reason);
      if (settled.length > 0)
        this.#answers.rejected({ first: first + done, records: settled }, settled[0]?.reason ?? '');
      done += written;
      if (written > 0) condition.report(this, undefined);
      if (done === letters.length) return 'done';
      condition.report(this, { kind: 'blocked', reason: failure ?? 'the dead letters cannot be written' });
      if (!(await sleepers.sleep(backoff.longestMs))) return 'left';
    }
  }
}
