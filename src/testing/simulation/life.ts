// One life of a buffer in simulation, from open to close or death: the buffer, the process it runs in, and what its
// user holds in hands. Everything that the buffer says is told to the model.

import { InvariantViolation } from '../../base/assert.ts';
import { StorageError, UsageError } from '../../base/errors.ts';
import type { DiskBuffer } from '../../engine/disk-buffer.ts';
import type { BufferStats } from '../../engine/disk-buffer-stats.ts';
import type { BufferEvents } from '../../engine/events.ts';
import type { Cursor } from '../../engine/ordered-finalizer-cursor.ts';
import type { Delivery } from '../../engine/ordered-finalizer-delivery.ts';
import type { BufferModel } from '../buffer-model.ts';
import { check, type Fate } from '../buffer-model-parts.ts';
import type { SimProcess } from '../sim-process.ts';

/** A delivery that is not settled as a whole. */
export type Hand = { readonly cursor: string; readonly delivery: Delivery; readonly open: Set<number> };

export type LifeOptions = {
  readonly model: BufferModel;
  readonly process: SimProcess;
  readonly buffer: DiskBuffer;
  /** Where cursors certainly are in the ledger. */
  readonly floor: Map<string, number>;
  readonly fail: (cause: unknown) => void;
};

export class Life {
  readonly process: SimProcess;
  readonly buffer: DiskBuffer;
  readonly epoch: number;
  readonly uuid: string;
  readonly cursors: Map<string, Cursor> = new Map();
  readonly hands: Hand[] = [];
  /** What was asked and is not answered: every one of them must be. */
  readonly pending: Map<number, string> = new Map();
  /** How many reads wait, by cursor. */
  readonly reading: Map<string, number> = new Map();
  readonly aborts: AbortController[] = [];
  state: 'open' | 'closing' | 'over' = 'open';
  clean = false;
  /** Whether the ledger can be written at all: until then no cursor that is new is durable. */
  hasPublished: boolean;
  /** Events that were refused at the door. */
  refused: { dropped_newest: number; disk_full: number } = { dropped_newest: 0, disk_full: 0 };
  /** Where cursors are at least after a crash, and what the next publish adds to that. */
  floor: Map<string, number>;
  readonly #start: BufferStats;
  readonly #model: BufferModel;
  readonly #fail: (cause: unknown) => void;
  #nextFloor: Map<string, number>;
  #tickets = 0;
  #announcedId = 0;

  constructor({ model, process, buffer, floor, fail }: LifeOptions) {
    this.#model = model;
    this.process = process;
    this.buffer = buffer;
    this.#fail = fail;
    this.#start = buffer.stats();
    this.epoch = this.#start.epoch;
    this.hasPublished = this.#start.work.publishes > 0;
    this.uuid = this.#start.uuid;
    this.floor = floor;
    this.#nextFloor = new Map(this.floor);
    for (const { name } of this.#start.cursors) this.cursors.set(name, buffer.cursor(name));
    this.#listen();
  }

  get isOver(): boolean {
    return this.state === 'over';
  }

  /** A cursor of this name begins or ends: what was published of another one says nothing. */
  forgetFloor(name: string): void {
    this.floor.delete(name);
    this.#nextFloor.delete(name);
  }

  /** Asks something of the buffer. Answers that come after the process is dead are nobody's. */
  ask<Value>(
    what: string,
    answer: Promise<Value>,
    done: (value: Value) => void,
    refused: (cause: unknown) => void,
  ): void {
    const ticket = this.#tickets++;
    this.pending.set(ticket, what);
    const settle = (tell: () => void): void => {
      this.pending.delete(ticket);
      if (!this.process.isAlive) return;
      try {
        tell();
      } catch (cause) {
        this.#fail(cause);
      }
    };
    answer.then(
      (value) => settle(() => done(value)),
      (cause: unknown) => settle(() => refused(cause)),
    );
  }

  /** What a refusal may be at any time: the buffer is closed, or it has failed and says why. */
  expectEnd(what: string, cause: unknown): void {
    if (cause instanceof UsageError && cause.code === 'SPILLWAY_USAGE_CLOSED' && this.state !== 'open') return;
    const { state, failure } = this.buffer.stats();
    if (cause instanceof StorageError && (state === 'failed' || state === 'closed')) return;
    if (cause instanceof StorageError && cause === failure) return;
    check(false, `${what} was refused in state ${state} with: ${String(cause)}`);
  }

  /** Compares everything the buffer says of itself with what the model says. */
  inspect(): BufferStats {
    const { buffer } = this;
    buffer.recount();
    const stats = buffer.stats();
    const model = this.#model;
    const { written, durable } = stats.frontiers;
    if (written + durable > this.#announcedId) model.announced(written, durable);
    this.#announcedId = written + durable;
    if (this.state === 'over') return stats;
    check(stats.cursors.length === model.cursors.size, `${stats.cursors.length} cursors, not ${model.cursors.size}`);
    for (const cursor of stats.cursors) {
      const expected = model.cursor(cursor.name);
      check(
        cursor.nextId === expected.nextId,
        `cursor ${cursor.name} is at ${cursor.nextId}, expected ${expected.nextId}`,
      );
      this.#compare(`cursor ${cursor.name}`, cursor.sinceOpen, noStart, expected.counts);
      check(cursor.backlog.events === stats.frontiers.reserved - cursor.nextId, `backlog of ${cursor.name}`);
    }
    this.#compareTotals(stats);
    return stats;
  }

  #compareTotals(stats: BufferStats): void {
    const { totals } = stats;
    const before = this.#start.totals;
    const said = { ...totals.removed, acknowledged: totals.acknowledged, damaged: totals.damaged };
    const start = { ...before.removed, acknowledged: before.acknowledged, damaged: before.damaged };
    this.#compare('the buffer', said, start, this.#model.totals);
    for (const reason of ['dropped_newest', 'disk_full'] as const) {
      const events = totals.removed[reason].events - before.removed[reason].events;
      // Counted before the caller is told.
      const isRight = this.pending.size === 0 ? events === this.refused[reason] : events >= this.refused[reason];
      check(isRight, `${reason}: ${events} events, expected ${this.refused[reason]}`);
    }
  }

  #compare(who: string, said: Counts, start: Counts, expected: Counts): void {
    for (const fate of fates) {
      const events = said[fate].events - start[fate].events;
      const bytes = said[fate].bytes - start[fate].bytes;
      check(events === expected[fate].events, `${who}: ${events} events ${fate}, expected ${expected[fate].events}`);
      const isSame = bytes === expected[fate].bytes || !this.#model.bytesKnown;
      check(isSame, `${who}: ${bytes} bytes ${fate}, expected ${expected[fate].bytes}`);
    }
  }

  // What the buffer says by itself.

  #listen(): void {
    const { events } = this.buffer;
    const guard =
      <Value>(tell: (value: Value) => void) =>
      (value: Value): void => {
        if (!this.process.isAlive) return;
        try {
          tell(value);
        } catch (cause) {
          this.#fail(cause);
        }
      };
    events.on(
      'lost',
      guard((loss) => this.#lost(loss)),
    );
    events.on(
      'published',
      guard(({ clean }) => this.#published(clean)),
    );
    events.on(
      'failed',
      guard(({ cause }) => expectStorageError('failed', cause)),
    );
    events.on(
      'publish_failed',
      guard(({ cause }) => expectStorageError('publish_failed', cause)),
    );
  }

  #lost({ reason, events, cursor: name }: BufferEvents['lost']): void {
    if (name === undefined) return;
    const handle = this.cursors.get(name);
    if (handle === undefined) return; // It was removed meanwhile.
    const cursor = this.#model.cursor(name);
    const { unreadId, nextId } = handle;
    if (reason === 'damaged' || reason === 'unconfirmed') {
      this.#model.gap(cursor, unreadId - events, unreadId, reason);
    } else if (reason === 'dropped_oldest') {
      const expected = this.#model.dropped(cursor, nextId);
      check(events === expected, `${events} events were dropped from ${name}, expected ${expected}`);
    }
  }

  #published(clean: boolean): void {
    this.hasPublished = true;
    this.clean = clean;
    this.floor = this.#nextFloor;
    this.#model.published(Math.min(...this.floor.values()));
    const { cursors, frontiers } = this.buffer.stats();
    this.#nextFloor = new Map(cursors.map(({ name, nextId }) => [name, Math.min(nextId, frontiers.durable)]));
  }
}

type Counts = Readonly<Record<Fate, { readonly events: number; readonly bytes: number }>>;

const zero = { events: 0, bytes: 0 };
const noStart: Counts = {
  acknowledged: zero,
  rejected: zero,
  dropped_oldest: zero,
  unconfirmed: zero,
  damaged: zero,
};
const fates = ['acknowledged', 'rejected', 'dropped_oldest', 'unconfirmed', 'damaged'] as const;

/** A bug of ours must not pass for a bad disk. */
function expectStorageError(event: string, cause: unknown): void {
  if (cause instanceof InvariantViolation) throw cause;
  check(cause instanceof StorageError, `the cause of ${event} is ${String(cause)}`);
}
