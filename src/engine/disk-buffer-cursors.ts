// Chapter 13, continued. The cursors of a buffer, and the accounts they share.
//
// Next: disk-buffer-reclaimer.ts, which frees what all of them have passed.

import { UsageError } from '../base/errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { EventHub } from './events.ts';
import { cursorsMax, type IdRange, type LedgerContent } from './ledger-slot.ts';
import type { ReleasedRun } from './ordered-finalizer.ts';
import type { Accounts } from './ordered-finalizer-accounts.ts';
import { Cursor, type CursorHost, type CursorPosition } from './ordered-finalizer-cursor.ts';
import type { CursorFeed, FeedContext } from './ordered-finalizer-feed.ts';

export class CursorSet implements CursorHost {
  readonly clock: Clock;
  readonly events: EventHub;
  readonly #feed: (name: string, position: CursorPosition, context: FeedContext) => CursorFeed;
  readonly #accounts: Accounts;
  readonly #cursors = new Map<string, Cursor>();
  readonly #required: ReadonlySet<string>;
  readonly #watch: () => () => void;
  readonly #moved: () => void;
  readonly #settled: () => void;
  #unconfirmed: readonly IdRange[];
  /** Position of the slowest of the other cursors, while one of them releases. */
  #othersId = 0;

  constructor(options: {
    readonly clock: Clock;
    readonly events: EventHub;
    /** Names of the cursors that may not be removed. At least one. */
    readonly required: readonly string[];
    /** Makes what gives a cursor its records from `position` on. */
    readonly feed: (name: string, position: CursorPosition, context: FeedContext) => CursorFeed;
    readonly accounts: Accounts;
    readonly unconfirmed: readonly IdRange[];
    readonly watch: () => () => void;
    /** A cursor's position moved. */
    readonly moved: () => void;
    /** Something came back from a consumer. */
    readonly settled: () => void;
  }) {
    this.clock = options.clock;
    this.events = options.events;
    this.#feed = options.feed;
    this.#accounts = options.accounts;
    this.#required = new Set(options.required);
    this.#unconfirmed = options.unconfirmed;
    this.#watch = options.watch;
    this.#moved = options.moved;
    this.#settled = options.settled;
  }

  get all(): readonly Cursor[] {
    return [...this.#cursors.values()];
  }

  get(name: string): Cursor | undefined {
    return this.#cursors.get(name);
  }

  isRequired(name: string): boolean {
    return this.#required.has(name);
  }

  /** Adds a cursor at this position. Reading begins once `usable` has resolved. */
  add(name: string, position: CursorPosition, usable?: Promise<void>): Cursor {
    if (this.#cursors.size >= cursorsMax) {
      throw new UsageError({
        code: 'SPILLWAY_USAGE_CURSOR',
        message:
          `Cannot add the cursor ${name}: this buffer has ${cursorsMax} cursors, the most there can be. ` +
          'Remove one first',
      });
    }
    const feed = (context: FeedContext): CursorFeed => this.#feed(name, position, context);
    const cursor = new Cursor({ name, host: this, position, feed, ...(usable === undefined ? {} : { usable }) });
    this.#cursors.set(name, cursor);
    return cursor;
  }

  /** Takes a cursor out. What only it had not passed has left the buffer now. */
  remove(name: string): Cursor {
    const cursor = this.#cursors.get(name);
    if (cursor === undefined || this.#required.has(name)) {
      const found = cursor === undefined ? 'there is none of that name' : 'it is one of the required cursors';
      throw new UsageError({
        code: 'SPILLWAY_USAGE_CURSOR',
        message: `Cannot remove the cursor ${JSON.stringify(name)}: ${found}`,
      });
    }
    this.#cursors.delete(name);
    const slowest = this.slowest;
    this.#accounts.advanceTo(slowest.nextId, slowest.position.payloadBytes);
    return cursor;
  }

  /** There is always one: at least one cursor is required. */
  get slowest(): Cursor {
    let slowest: Cursor | undefined;
    for (const cursor of this.#cursors.values()) {
      if (slowest === undefined || cursor.nextId < slowest.nextId) slowest = cursor;
    }
    return slowest as Cursor;
  }

  /** Everything readable may have changed: waiting reads look again. */
  wake(): void {
    for (const cursor of this.#cursors.values()) cursor.wake();
  }

  /** Ranges that some cursor has still to meet. */
  get unconfirmed(): readonly IdRange[] {
    const slowestId = this.slowest.nextId;
    this.#unconfirmed = this.#unconfirmed.filter((range) => range.to > slowestId);
    return this.#unconfirmed;
  }

  // What a cursor asks of the buffer.

  cuts(cursor: Cursor): readonly number[] {
    this.#othersId = Number.POSITIVE_INFINITY;
    for (const other of this.#cursors.values()) {
      if (other !== cursor) this.#othersId = Math.min(this.#othersId, other.nextId);
    }
    const countedId = this.#accounts.countedId;
    return countedId < this.#othersId ? [countedId, this.#othersId] : [this.#othersId, countedId];
  }

  released(_cursor: Cursor, run: ReleasedRun): void {
    this.#accounts.released(run, this.#othersId);
  }

  moved(): void {
    this.#moved();
  }

  settled(): void {
    this.#settled();
  }

  rejected(cursor: Cursor, records: number, reason: string): void {
    this.events.emit('rejected', { cursor: cursor.name, records, reason });
  }

  watch(): () => void {
    return this.#watch();
  }

  /** I12.2: what recovery found unconfirmed stays so; everything else that is missing is damage. */
  classify(from: number, to: number): readonly { readonly to: number; readonly reason: 'unconfirmed' | 'damaged' }[] {
    const parts: { to: number; reason: 'unconfirmed' | 'damaged' }[] = [];
    let at = from;
    for (const range of this.#unconfirmed) {
      const start = Math.max(range.from, at);
      const end = Math.min(range.to, to);
      if (start >= end) continue;
      if (start > at) parts.push({ to: start, reason: 'damaged' });
      parts.push({ to: end, reason: 'unconfirmed' });
      at = end;
    }
    if (at < to) parts.push({ to, reason: 'damaged' });
    return parts;
  }
}

/** The id below which, by this ledger, every cursor is through; 0 for a slot that has not been valid. */
export function floorOf(content: LedgerContent | undefined): number {
  if (content === undefined || content.cursors.length === 0) return 0;
  return Math.min(...content.cursors.map((cursor) => cursor.nextId));
}
