// Chapter 11, continued. Records that wait to be handed out again: a heap by due time, ties in record order.
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
  readonly #heap: Retry[] = [];

  get length(): number {
    return this.#heap.length;
  }

  /** When the next record is due, or undefined if none waits. */
  get nextDueAt(): number | undefined {
    return this.#heap[0]?.dueAt;
  }

  add(retry: Retry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(retry);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (isBefore(heap[parent] as Retry, retry)) break;
      heap[at] = heap[parent] as Retry;
      at = parent;
    }
    heap[at] = retry;
  }

  /** Takes up to `count` records of up to `bytes` payload (the first is exempt) that are due, in record order. */
  takeDue(now: number, count: number, bytes: number): Retry[] {
    const due: Retry[] = [];
    let room = bytes;
    for (let next = this.#heap[0]; next !== undefined && next.dueAt <= now; next = this.#heap[0]) {
      const { length } = next.record.payload;
      if (due.length > 0 && (due.length >= count || length > room)) break;
      room -= length;
      due.push(this.#take());
    }
    return due.sort((one, other) => one.ticket - other.ticket);
  }

  /** Forgets what `keep` refuses. */
  retain(keep: (retry: Retry) => boolean): void {
    const kept = this.#heap.filter(keep);
    this.#heap.length = 0;
    for (const retry of kept) this.add(retry);
  }

  #take(): Retry {
    const heap = this.#heap;
    const first = heap[0] as Retry;
    const moved = heap.pop() as Retry;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child = right < heap.length && isBefore(heap[right] as Retry, heap[left] as Retry) ? right : left;
      if (isBefore(moved, heap[child] as Retry)) break;
      heap[at] = heap[child] as Retry;
      at = child;
    }
    heap[at] = moved;
    return first;
  }
}

function isBefore(one: Retry, other: Retry): boolean {
  return one.dueAt === other.dueAt ? one.ticket < other.ticket : one.dueAt < other.dueAt;
}
