// What is still to happen in a simulated world, ordered by virtual time and, at the same time, by the order of the
// calls.
//
// A binary heap: worlds with thousands of pending calls are stepped millions of times.

export type SimEvent = {
  readonly atMs: number;
  /** Grows with every event of a world; breaks ties, so that the order never depends on the heap. */
  readonly sequence: number;
  /** For the list that a deadlock prints: `write /data/1.seg`, `timer`, `deferred task`. */
  readonly what: string;
  readonly where: string;
  /** Whether it would keep a real process alive; a cancelled timer or the call of a dead process does not. */
  live: boolean;
  readonly run: () => void;
};

export class EventQueue {
  readonly #heap: SimEvent[] = [];

  push(event: SimEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as SimEvent;
      if (!isBefore(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  /** The next live event, which stays in the queue. Events that are no longer live are dropped on the way. */
  peek(): SimEvent | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.live) return first;
      this.#removeFirst();
    }
  }

  /** Takes the next live event out. */
  take(): SimEvent | undefined {
    const first = this.peek();
    if (first !== undefined) this.#removeFirst();
    return first;
  }

  /** All live events, in the order in which they would happen. */
  pending(): SimEvent[] {
    return this.#heap.filter((event) => event.live).sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const moved = heap.pop();
    if (moved === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as SimEvent, heap[child] as SimEvent)) child += 1;
      if (!isBefore(heap[child] as SimEvent, moved)) break;
      heap[at] = heap[child] as SimEvent;
      at = child;
    }
    heap[at] = moved;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
