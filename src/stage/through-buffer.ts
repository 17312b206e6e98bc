// The stage: what a source yields goes into the buffer, and what the buffer holds comes out as deliveries.
//
// Two forms. A source that can wait is given as `input` and pulled; a plain Observable is piped through and must say
// what happens under pressure. The way out is the same, and it is the buffer, not the source, that feeds it: a backlog
// from yesterday comes first, and a source that has nothing to say holds up nothing.
//
// How a stage ends:
//   - the source ends      -> nothing more is taken; complete once everything in the buffer at that moment is settled
//   - the source fails     -> the same, then its error: what was accepted before is not cut off by it
//   - the buffer refuses   -> its error at once (failed, full with `reject`, too large); pressure with 'error' as well
//   - reading fails        -> its error at once
//   - the buffer is closed -> complete, or the source's error if it has failed before
//   - unsubscribed         -> nothing
// In every case what was accepted and is not settled stays in the buffer, and deliveries that are in flight when an
// error or an unsubscription comes are handed back. A next subscription finds all of it.

import { Observable } from 'rxjs';
import { UsageError } from '../base/errors.ts';
import type { BufferContract, DeliveryContract } from './buffer-contract.ts';
import { checkCount, type DeliveryOptions } from './deliveries.ts';
import { Intake, type IntakeEnd, type IntakeTotals, type StageItem, type Tally } from './intake.ts';
import { pull, type StageInput } from './into-buffer.ts';
import { type PressureOptions, PushIntake } from './push-intake.ts';
import { type RunningIntake, StageRun } from './stage-run.ts';

export interface StageOptions extends DeliveryOptions {
  /** Name of the cursor that is read. Default `default`. */
  readonly cursor?: string;
}

export interface PullStageOptions extends StageOptions {
  /** What is pulled, anew for every subscription. A generator can be pulled once. */
  readonly input: StageInput;
}

export interface PushStageOptions extends StageOptions, PressureOptions {}

/** Counted since the stage was made, over all of its subscriptions. */
export interface StageStats extends IntakeTotals {
  /** Taken from the source and never answered, because the stage ended or failed first. */
  readonly abandoned: Tally;
  /** Items taken from the source that the buffer has not answered yet; a pulled item is not counted here. */
  readonly pendingItems: number;
  /** Deliveries emitted and not settled. */
  readonly inFlight: number;
}

export type PullStage = Observable<DeliveryContract> & { stats(): StageStats };

export type PushStage = ((source: Observable<StageItem>) => Observable<DeliveryContract>) & { stats(): StageStats };

/**
 * A stage around `buffer`. With `input` it is an Observable of deliveries; the next item is taken when the buffer has
 * accepted the last one. With `onPressure` and `maxPending` it is an operator for a plain Observable. Either tells by
 * `stats()` what became of the items. Throws a UsageError for an option out of range.
 */
export function throughBuffer(buffer: BufferContract, options: PullStageOptions): PullStage;
export function throughBuffer(buffer: BufferContract, options: PushStageOptions): PushStage;
export function throughBuffer(
  buffer: BufferContract,
  options: PullStageOptions | PushStageOptions,
): PullStage | PushStage {
  checkCount('maxInFlight', options.maxInFlight ?? 1);
  const stage = new Stage(buffer, options);
  const withStats = { stats: () => stage.stats() };
  if ('input' in options) return Object.assign(stage.pulling(options.input), withStats);
  checkCount('maxPending', options.maxPending);
  checkOnPressure(options.onPressure);
  return Object.assign((source: Observable<StageItem>) => stage.pushed(source, options), withStats);
}

function checkOnPressure(value: unknown): void {
  if (value === 'error' || value === 'drop_newest') return;
  throw new UsageError({
    code: 'SPILLWAY_USAGE_OPTION',
    message:
      `Cannot make a stage with onPressure = ${JSON.stringify(value)}: expected 'error' or 'drop_newest', because ` +
      'nothing can pause an Observable. A source that can wait is better given as input',
  });
}

type StartIntake = (ended: (end: IntakeEnd) => void) => RunningIntake;

class Stage {
  readonly #buffer: BufferContract;
  readonly #options: StageOptions;
  readonly #intake: Intake;
  readonly #runs = new Set<StageRun>();

  constructor(buffer: BufferContract, options: StageOptions) {
    this.#buffer = buffer;
    this.#options = options;
    this.#intake = new Intake(buffer);
  }

  pulling(input: StageInput): Observable<DeliveryContract> {
    return this.#running((ended) => {
      const stopped = new AbortController();
      void pull(input, this.#intake, stopped.signal).then(ended);
      return { pendingItems: 0, stop: () => stopped.abort() };
    });
  }

  pushed(source: Observable<StageItem>, options: PressureOptions): Observable<DeliveryContract> {
    return this.#running((ended) => {
      const intake = new PushIntake(this.#intake, options, ended);
      intake.start(source);
      return intake;
    });
  }

  stats(): StageStats {
    let pendingItems = 0;
    let inFlight = 0;
    for (const run of this.#runs) {
      pendingItems += run.pendingItems;
      inFlight += run.inFlight;
    }
    return { ...this.#intake.totals(), abandoned: this.#intake.abandoned, pendingItems, inFlight };
  }

  #running(startIntake: StartIntake): Observable<DeliveryContract> {
    return new Observable((subscriber) => {
      const cursor = this.#buffer.cursor(this.#options.cursor ?? 'default');
      const run = new StageRun(this.#buffer, cursor, this.#options, {
        next: (delivery) => subscriber.next(delivery),
        complete: () => subscriber.complete(),
        error: (cause) => subscriber.error(cause),
      });
      this.#runs.add(run);
      subscriber.add(() => {
        run.stop('hand_back');
        this.#runs.delete(run);
      });
      run.start(startIntake);
    });
  }
}
