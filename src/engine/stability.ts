// Chapter 7. Stability: how far the log has come, and who waits for it.
//
// Four frontiers run through the log, each an id: everything below it has come that far.
//
//   reserved >= submitted >= written >= durable
//
// Each only grows, and each can be awaited. Whoever waits joins a group: everybody whose record goes into the same
// write shares one promise, so that a thousand waiters cost one promise and one pass.
//
// I7.1  a frontier never moves back (S27, L29)
// I7.2  reserved >= submitted >= written >= durable
// I7.3  after a failure every waiter above the frontier is rejected with the first cause; what had been reached stays
//       reached (S32, F23, L34)
//
// Next: committer.ts, which moves the frontiers.

import { assert } from '../base/assert.ts';

interface Group {
  /** The largest id that a member waits for. */
  end: number;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

/** A position, given as an id, that only grows and that can be awaited. */
export class Frontier {
  #value: number;
  /** Groups that take nobody in any more, in the order of their ends. */
  readonly #closed: Group[] = [];
  #open: Group | undefined;
  #failure: { readonly cause: unknown } | undefined;

  constructor(value: number) {
    this.#value = value;
  }

  /** Everything below this id has come this far. */
  get value(): number {
    return this.#value;
  }

  /**
   * What the group that has waited longest needs, or undefined if nobody waits. The open one counts: what its members
   * wait for may be written already, and then no write comes that would close it.
   */
  get firstAwaited(): number | undefined {
    return (this.#closed[0] ?? this.#open)?.end;
  }

  /** The largest id that anybody waits for, 0 if nobody does. */
  get lastAwaited(): number {
    return this.#open?.end ?? this.#closed.at(-1)?.end ?? 0;
  }

  /** Undefined if everything below `target` has come this far; otherwise the promise of its group. */
  reach(target: number): Promise<void> | undefined {
    if (target <= this.#value) return undefined;
    if (this.#failure !== undefined) return Promise.reject(this.#failure.cause);
    const last = this.#closed.at(-1);
    if (last !== undefined && target <= last.end) {
      return (this.#closed.find((group) => group.end >= target) as Group).promise;
    }
    this.#open ??= createGroup();
    this.#open.end = Math.max(this.#open.end, target);
    return this.#open.promise;
  }

  /** The open group takes nobody in any more, if all its members wait for no more than `end`. */
  close(end: number): void {
    if (this.#open === undefined || this.#open.end > end) return;
    this.#closed.push(this.#open);
    this.#open = undefined;
  }

  /** Moves to `value` and lets everybody go who waited for no more than that. */
  advance(value: number): void {
    assert(value >= this.#value, 'I7.1: a frontier never moves back', { value, from: this.#value });
    this.#value = value;
    this.close(value);
    while (this.#closed.length > 0 && (this.#closed[0] as Group).end <= value) this.#closed.shift()?.resolve();
  }

  /** Rejects everybody who waits, now and later, with `cause`. The first cause stays. */
  fail(cause: unknown): void {
    this.#failure ??= { cause }; // Stored before anybody is woken, so that nobody starts to wait in between (L34).
    const waiting = this.#open === undefined ? this.#closed : [...this.#closed, this.#open];
    for (const group of waiting) group.reject(this.#failure.cause);
    this.#closed.length = 0;
    this.#open = undefined;
  }
}

/** The four frontiers of one log. */
export class Stability {
  readonly submitted: Frontier;
  readonly written: Frontier;
  readonly durable: Frontier;
  #reserved: number;

  constructor(start: { readonly reserved: number; readonly written: number; readonly durable: number }) {
    assert(start.reserved >= start.written && start.written >= start.durable, 'I7.2: frontiers are ordered', start);
    this.#reserved = start.reserved;
    this.submitted = new Frontier(start.written);
    this.written = new Frontier(start.written);
    this.durable = new Frontier(start.durable);
  }

  /** The id that the next record will get. Moves with every append, so it is a plain number; it is reached at once. */
  get reserved(): number {
    return this.#reserved;
  }

  reserve(nextId: number): void {
    this.#reserved = nextId;
  }

  /**
   * Nobody joins the groups of what was reserved so far. Called at every change of slot: a group never spans two, so
   * that a steady stream of newcomers cannot keep anybody waiting who came before them.
   */
  closeGroups(): void {
    this.written.close(this.#reserved);
    this.durable.close(this.#reserved);
  }

  /** Everything below `end` is in a write now: the groups that wait for it are complete. */
  submit(end: number): void {
    assert(end <= this.#reserved, 'I7.2: submitted <= reserved', { end, reserved: this.#reserved });
    this.written.close(end);
    this.durable.close(end);
    this.submitted.advance(end);
  }

  /** The largest id that anybody waits for to be written or durable, 0 if nobody does. */
  get lastAwaited(): number {
    return Math.max(this.written.lastAwaited, this.durable.lastAwaited);
  }

  advanceWritten(end: number): void {
    assert(end <= this.submitted.value, 'I7.2: written <= submitted', { end });
    this.written.advance(end);
  }

  advanceDurable(end: number): void {
    assert(end <= this.written.value, 'I7.2: durable <= written', { end });
    this.durable.advance(end);
  }

  fail(cause: unknown): void {
    this.submitted.fail(cause);
    this.written.fail(cause);
    this.durable.fail(cause);
  }
}

function createGroup(): Group {
  let resolve!: () => void;
  let reject!: (cause: unknown) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => undefined); // A waiter that was aborted no longer listens; its group's failure is not unhandled.
  return { end: 0, promise, resolve, reject };
}
