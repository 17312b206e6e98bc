// One subscription to a stage: an intake and a pump with the buffer between them, and the rules by which both end.
//
// R1  the first end decides; nothing is emitted after it
// R2  the end of a source is passed on when the cursor has passed everything that was in the buffer at that moment
// R3  on completion what is in flight is left to its consumer; on error and unsubscription it is handed back
//
// What moves the cursor is mostly the settlements of this very subscription. But another reader of the same cursor, a
// policy that drops, or damage at the end move it too, without a word to us; each shows in the next `published`.

import type { BufferContract, CursorContract, DeliveryContract } from './buffer-contract.ts';
import { type DeliveryOptions, DeliveryPump } from './deliveries.ts';
import type { IntakeEnd } from './intake.ts';

/** An intake that runs. */
export interface RunningIntake {
  /** Items taken and not answered. */
  readonly pendingItems: number;
  /** Takes nothing more. */
  stop(): void;
}

export interface RunObserver {
  next(delivery: DeliveryContract): void;
  complete(): void;
  error(cause: unknown): void;
}

type SourceEnd = Exclude<IntakeEnd, { readonly kind: 'refused' }>;

export class StageRun {
  readonly #buffer: BufferContract;
  readonly #cursor: CursorContract;
  readonly #observer: RunObserver;
  readonly #pump: DeliveryPump;
  readonly #unlisten: (() => void)[] = [];
  #intake: RunningIntake | undefined;
  /** How the source ended, and the id that the cursor has to reach before that is passed on. */
  #draining: { readonly end: SourceEnd; readonly endId: number } | undefined;
  #isOver = false;

  constructor(buffer: BufferContract, cursor: CursorContract, options: DeliveryOptions, observer: RunObserver) {
    this.#buffer = buffer;
    this.#cursor = cursor;
    this.#observer = observer;
    this.#pump = new DeliveryPump(cursor, options, {
      handedOut: (delivery) => observer.next(delivery),
      settled: () => this.#check(),
      closed: () => this.#closed(),
      failed: (cause) => this.#fail(cause),
    });
  }

  get pendingItems(): number {
    return this.#intake?.pendingItems ?? 0;
  }

  get inFlight(): number {
    return this.#pump.inFlight;
  }

  start(startIntake: (ended: (end: IntakeEnd) => void) => RunningIntake): void {
    // The pump notices by itself when it reads next; but while every place is taken it does not read.
    this.#unlisten.push(this.#buffer.events.on('closed', () => this.#closed()));
    this.#pump.start();
    const intake = startIntake((end) => this.#intakeEnded(end));
    this.#intake = intake;
    if (this.#isOver) intake.stop(); // It ended us before it came back to us.
  }

  stop(held: 'leave' | 'hand_back'): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const unlisten of this.#unlisten.splice(0)) unlisten();
    this.#intake?.stop();
    this.#pump.stop(held);
  }

  #intakeEnded(end: IntakeEnd): void {
    if (this.#isOver) return;
    if (end.kind === 'refused') {
      // A closed buffer is no error of ours: it takes nothing more, may go on delivering, and ends the pump itself.
      if (!isClosedError(end.cause)) this.#fail(end.cause);
      return;
    }
    const { state, failure, cursors } = this.#buffer.stats();
    if (state === 'failed') {
      this.#fail(failure); // What was never written cannot be waited for.
      return;
    }
    const own = cursors.find(({ name }) => name === this.#cursor.name);
    this.#draining = { end, endId: own === undefined ? 0 : own.nextId + own.backlog.events };
    this.#unlisten.push(
      this.#buffer.events.on('failed', ({ cause }) => this.#fail(cause)),
      this.#buffer.events.on('published', () => this.#check()),
    );
    this.#check();
  }

  /** R2. */
  #check(): void {
    if (this.#draining === undefined || this.#isOver || this.#cursor.nextId < this.#draining.endId) return;
    this.#finish(this.#draining.end);
  }

  #closed(): void {
    this.#finish(this.#draining?.end ?? { kind: 'ended' });
  }

  #finish(end: SourceEnd): void {
    if (end.kind === 'input_failed') {
      this.#fail(end.cause);
      return;
    }
    if (this.#isOver) return;
    this.stop('leave');
    this.#observer.complete();
  }

  #fail(cause: unknown): void {
    if (this.#isOver) return;
    this.stop('hand_back');
    this.#observer.error(cause);
  }
}

function isClosedError(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'SPILLWAY_USAGE_CLOSED';
}
