// A buffer for marble diagrams: a list in memory whose promises settle at once, so that virtual time, which promises
// know nothing of, is all the time there is. Records arrive when a test says so, one in a delivery.

import type { BufferContract, CursorContract, DeliveryContract } from '../src/stage/index.ts';

/** What a promise would be if it called back at once. Only `then` with both callbacks, and nothing chained to it. */
class Instant<Value> {
  #answer: { readonly value: Value } | { readonly cause: unknown } | undefined;
  #listener: { settle(value: Value): void; fail(cause: unknown): void } | undefined;

  settle(value: Value): void {
    this.#answer = { value };
    this.#tell();
  }

  fail(cause: unknown): void {
    this.#answer = { cause };
    this.#tell();
  }

  // biome-ignore lint/suspicious/noThenProperty: it stands in for a promise.
  then(settle: (value: Value) => void, fail: (cause: unknown) => void): void {
    this.#listener = { settle, fail };
    this.#tell();
  }

  #tell(): void {
    if (this.#answer === undefined || this.#listener === undefined) return;
    if ('cause' in this.#answer) this.#listener.fail(this.#answer.cause);
    else this.#listener.settle(this.#answer.value);
  }
}

class ListCursor implements CursorContract {
  readonly name = 'default';
  nextId = 1;
  appendedId = 1;
  /** How many reads wait now. */
  reading = 0;
  /** Called in the middle of every settlement, as a buffer's events are. */
  settling: (() => void) | undefined;
  readonly #ready: { readonly id: number; readonly text: string }[] = [];
  /** To be handed out again, in the order in which they came back. */
  readonly #again: { readonly id: number; readonly text: string }[] = [];
  readonly #settled = new Set<number>();
  #waiting: Instant<DeliveryContract | undefined> | undefined;
  #isClosed = false;
  #failure: { readonly cause: unknown } | undefined;

  arrive(text: string): void {
    this.#ready.push({ id: this.appendedId++, text });
    this.#serve();
  }

  close(): void {
    this.#isClosed = true;
    this.#serve();
  }

  /** The read that waits, or else the next one, fails. */
  fail(cause: unknown): void {
    this.#failure = { cause };
    this.#serve();
  }

  read({ signal }: { readonly signal?: AbortSignal } = {}): Promise<DeliveryContract | undefined> {
    const answer = new Instant<DeliveryContract | undefined>();
    this.#waiting = answer;
    this.reading += 1;
    signal?.addEventListener('abort', () => {
      if (this.#waiting !== answer) return;
      this.#waiting = undefined;
      this.reading -= 1;
      answer.fail(signal.reason);
    });
    this.#serve();
    return answer as unknown as Promise<DeliveryContract | undefined>;
  }

  #serve(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const failure = this.#failure;
    const record = failure === undefined && !this.#isClosed ? (this.#again.shift() ?? this.#ready.shift()) : undefined;
    if (failure === undefined && record === undefined && !this.#isClosed) return;
    this.#waiting = undefined;
    this.reading -= 1;
    this.#failure = undefined;
    if (failure !== undefined) waiting.fail(failure.cause);
    else waiting.settle(record === undefined ? undefined : this.#deliver(record));
  }

  #deliver(record: { readonly id: number; readonly text: string }): DeliveryContract {
    const payload = new TextEncoder().encode(record.text);
    let unsettled = 1;
    const settle = (comesAgain: boolean): void => {
      if (unsettled === 0) throw new Error(`record ${record.id} is settled twice`);
      unsettled = 0;
      this.settling?.();
      if (comesAgain) {
        this.#again.push(record);
        this.#serve();
        return;
      }
      this.#settled.add(record.id);
      while (this.#settled.has(this.nextId)) this.nextId += 1;
    };
    return {
      records: [{ id: record.id, events: 1, metadata: 0, payload, key: `list/1-${record.id}` }],
      get unsettled() {
        return unsettled;
      },
      ack: () => settle(false),
      reject: () => settle(false),
      retry: () => settle(true),
      settle: ([result]) => settle(typeof result === 'object' && 'retry' in result),
    };
  }
}

/** Its appends never settle: what a source emits stays pending, and pressure is all there is to see. */
export class MarbleBuffer implements BufferContract {
  readonly list: ListCursor = new ListCursor();
  appends = 0;
  listeners = 0;
  readonly events: BufferContract['events'] = {
    on: () => {
      this.listeners += 1;
      return () => {
        this.listeners -= 1;
      };
    },
  };

  tryAppend(): 'wait' {
    return 'wait';
  }

  async ready(): Promise<void> {
    await new Promise<never>(() => undefined);
  }

  append(): Promise<never> {
    this.appends += 1;
    return new Promise<never>(() => undefined);
  }

  appendBatch(): Promise<never> {
    return this.append();
  }

  commit(): Promise<void> {
    return Promise.resolve();
  }

  cursor(): CursorContract {
    return this.list;
  }

  removeCursor(): Promise<void> {
    return Promise.resolve();
  }

  stats(): ReturnType<BufferContract['stats']> {
    const { name, nextId, appendedId } = this.list;
    const cursors = [{ name, nextId, backlog: { events: appendedId - nextId } }];
    return { state: 'open', failure: undefined, cursors };
  }

  close(): Promise<void> {
    this.list.close();
    return Promise.resolve();
  }
}
