// Pushing: an Observable cannot wait. What it emits while the buffer is busy is kept, `maxPending` items at most; what
// comes on top of that is dropped and counted, or ends the stage, as `onPressure` says.

import { type Observable, Subject, takeUntil } from 'rxjs';
import { UsageError } from '../base/errors.ts';
import { type Acceptance, answer, type Intake, type IntakeEnd, type StageItem } from './intake.ts';

export interface PressureOptions {
  /**
   * What to do with an item that comes while `maxPending` others wait to be accepted. `error`: the stage ends with a
   * UsageError, SPILLWAY_USAGE_PRESSURE. `drop_newest`: the item is dropped and counted.
   */
  readonly onPressure: 'error' | 'drop_newest';
  /** Most items taken from the source and not accepted. */
  readonly maxPending: number;
}

/** Offers what the source emits, in order, one at a time. */
export class PushIntake {
  readonly #intake: Intake;
  readonly #options: PressureOptions;
  readonly #ended: (end: IntakeEnd) => void;
  readonly #queue: StageItem[] = [];
  readonly #aborted = new AbortController();
  readonly #stopped = new Subject<void>();
  #isOffering = false;
  /** The source has ended like this; what is pending is still offered. */
  #sourceEnd: IntakeEnd | undefined;
  #isOver = false;

  constructor(intake: Intake, options: PressureOptions, ended: (end: IntakeEnd) => void) {
    this.#intake = intake;
    this.#options = options;
    this.#ended = ended;
  }

  /** Items taken and not accepted. */
  get pendingItems(): number {
    return this.#queue.length + (this.#isOffering ? 1 : 0);
  }

  start(source: Observable<StageItem>): void {
    // Not the subscription's own unsubscribe: a source that emits while it is subscribed to has not returned one yet.
    source.pipe(takeUntil(this.#stopped)).subscribe({
      next: (item) => this.#take(item),
      complete: () => this.#sourceEnded({ kind: 'ended' }),
      error: (cause: unknown) => this.#sourceEnded({ kind: 'input_failed', cause }),
    });
  }

  /** Takes nothing more; what is pending is abandoned. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopped.next();
    for (const item of this.#queue.splice(0)) this.#intake.abandon(item);
    this.#aborted.abort();
  }

  #take(item: StageItem): void {
    try {
      this.#intake.check(item);
    } catch (cause) {
      this.#end({ kind: 'refused', cause });
      return;
    }
    if (this.pendingItems < this.#options.maxPending) {
      this.#queue.push(item);
      this.#offer();
      return;
    }
    const dropped = this.#intake.dropForPressure(item);
    if (this.#options.onPressure === 'error') this.#end({ kind: 'refused', cause: this.#pressureError() });
    else this.#answer(item, dropped);
  }

  #offer(): void {
    if (this.#isOffering) return;
    const item = this.#queue.shift();
    if (item === undefined) {
      if (this.#sourceEnd !== undefined) this.#end(this.#sourceEnd);
      return;
    }
    this.#isOffering = true;
    this.#intake.offer(item, this.#aborted.signal).then(
      (result) => {
        this.#isOffering = false;
        this.#answer(item, result);
        this.#offer();
      },
      (cause: unknown) => {
        this.#isOffering = false;
        this.#end({ kind: 'refused', cause });
      },
    );
  }

  #answer(item: StageItem, result: Acceptance): void {
    try {
      answer(item, result);
    } catch (cause) {
      this.#end({ kind: 'input_failed', cause });
    }
  }

  #sourceEnded(end: IntakeEnd): void {
    if (this.#isOver) return; // Our own stop completes it as well.
    this.#sourceEnd = end;
    this.#offer();
  }

  #end(end: IntakeEnd): void {
    if (this.#isOver) return;
    this.stop();
    this.#ended(end);
  }

  #pressureError(): UsageError {
    return new UsageError({
      code: 'SPILLWAY_USAGE_PRESSURE',
      message:
        `Cannot take another item: ${this.#options.maxPending} wait for the buffer (maxPending) and onPressure is ` +
        "'error'. What the buffer has accepted stays. Pull from the source instead, with `input`; raise maxPending; " +
        "or choose 'drop_newest'",
    });
  }
}
