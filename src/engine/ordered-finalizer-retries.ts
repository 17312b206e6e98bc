// Chapter 11, continued. Records that wait to be handed out again: a heap by due time until they are due, and from then
// on one in record order. A consumer that hands everything back has its order again, however often and in however many
// parts others have handed the same records back before.
//
// Next: ordered-finalizer-feed.ts, which makes records of frames.

import type { DeliveredRecord } from './ordered-finalizer-delivery.ts';

/** A record that comes again. */
export interface Retry {
  /** On the monotonic clock, in ms. */
  readonly dueAt: number;
  readonly ticket: number;
  readonly record: DeliveredRecord;
}

export class RetryHeap {
  readonly #waiting: Heap = new Heap((one, other) => one.dueAt < other.dueAt);
  readonly #due: Heap = new Heap((one, other) => one.ticket < other.ticket);

  get length(): number {
    return this.#waiting.length + this.#due.length;
  }

  /** When a record is due next, which may be over; undefined if none waits. */
  get nextDueAt(): number | undefined {
    return (this.#due.first ?? this.#waiting.first)?.dueAt;
  }

  add(retry: Retry): void {
    this.#waiting.add(retry);
  }

  /** Takes up to `count` records of up to `bytes` payload (the first is exempt) that are due, in record order. */
  takeDue(now: number, count: number, bytes: number): Retry[] {
    for (let next = this.#waiting.first; next !== undefined && next.dueAt <= now; next = this.#waiting.first) {
      this.#due.add(this.#waiting.take());
    }
    const due: Retry[] = [];
    let room = bytes;
    for (let next = this.#due.first; next !== undefined; next = this.#due.first) {
      const { length } = next.record.payload;
      if (due.length > 0 && (due.length >= count || length > room)) break;
      room -= length;
      due.push(this.#due.take());
    }
    return due;
  }

  /** Forgets what `keep` refuses. */
  retain(keep: (retry: Retry) => boolean): void {
    this.#waiting.retain(keep);
    this.#due.retain(keep);
  }
}

class Heap {
  readonly #isBefore: (one: Retry, other: Retry) => boolean;
  readonly #heap: Retry[] = [];

  constructor(isBefore: (one: Retry, other: Retry) => boolean) {
    this.#isBefore = isBefore;
  }

  get length(): number {
    return this.#heap.length;
  }

  get first(): Retry | undefined {
    return this.#heap[0];
  }

  add(retry: Retry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(retry);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!this.#isBefore(retry, heap[parent] as Retry)) break;
      heap[at] = heap[parent] as Retry;
      at = parent;
    }
    heap[at] = retry;
  }

  /** Only of a heap that holds something. */
  take(): Retry {
    const heap = this.#heap;
    const first = heap[0] as Retry;
    const moved = heap.pop() as Retry;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const isRight = right < heap.length && this.#isBefore(heap[right] as Retry, heap[left] as Retry);
      const child = isRight ? right : left;
      if (!this.#isBefore(heap[child] as Retry, moved)) break;
      heap[at] = heap[child] as Retry;
      at = child;
    }
    heap[at] = moved;
    return first;
  }

  retain(keep: (retry: Retry) => boolean): void {
    const kept = this.#heap.filter(keep);
    this.#heap.length = 0;
    for (const retry of kept) this.add(retry);
  }
}
