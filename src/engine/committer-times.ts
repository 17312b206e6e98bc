// Chapter 8, fourth part. What the committer did, counted, and how long it took, for whoever listens.
//
// A group is what shares one promise: with durability `sync` what one sync made durable, otherwise one write. Times are
// taken per group and only while somebody listens, so that a buffer that nobody measures asks its clock for nothing.
//
// What can go wrong: while groups queue up in memory, those who came before a write and were not taken by it count from
// that write on. Under such a load the wait that is told is a lower bound.
//
// Next: committer.ts.

import type { Clock } from '../platform/clock.ts';
import type { EventHub, LogPosition } from './events.ts';
import type { Limits } from './limits.ts';
import type { LogBuffer, WriteJob } from './log-buffer.ts';

interface Group {
  readonly records: number;
  /** When the first of its records came, and when the writing of it began. */
  readonly sinceMs: number;
  readonly beganMs: number;
  readonly endId: number;
}

export class CommitTimes {
  readonly counts: { writes: number; syncs: number } = { writes: 0, syncs: 0 };
  readonly #limits: Limits;
  readonly #clock: Clock;
  readonly #events: EventHub;
  readonly #log: LogBuffer;
  /** Writes whose promise does not hold yet, in the order of the log. */
  readonly #groups: Group[] = [];
  #gatheringMs: number | undefined;

  constructor(options: {
    readonly limits: Limits;
    readonly clock: Clock;
    readonly events: EventHub;
    readonly log: LogBuffer;
  }) {
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#events = options.events;
    this.#log = options.log;
  }

  /** A record was appended; called for the first of a tick at least. */
  gathers(): void {
    if (this.#gatheringMs === undefined && this.#events.listened('committed')) {
      this.#gatheringMs = this.#clock.monotonic();
    }
  }

  writeBegan({ records, end }: WriteJob): void {
    if (records === 0 || !this.#events.listened('committed')) return;
    const now = this.#clock.monotonic();
    this.#groups.push({ records, sinceMs: this.#gatheringMs ?? now, beganMs: now, endId: end.nextId });
    this.#gatheringMs = end.nextId === this.#log.nextId ? undefined : now;
  }

  wrote({ end }: WriteJob): void {
    this.counts.writes += 1;
    if (!this.#limits.readsDurable) this.#holds(end.nextId);
  }

  /** How long a sync took, in milliseconds; undefined if nobody wants to know. */
  async ofSync(syncing: Promise<void>): Promise<number | undefined> {
    const beganMs = this.#events.listened('synced') ? this.#clock.monotonic() : undefined;
    await syncing;
    return beganMs === undefined ? undefined : this.#clock.monotonic() - beganMs;
  }

  synced(from: LogPosition, to: LogPosition, tookMs: number | undefined): void {
    this.counts.syncs += 1;
    const [events, bytes] = [to.nextId - from.nextId, to.payloadBytes - from.payloadBytes];
    if (tookMs !== undefined) this.#events.emit('synced', { tookMs, events, bytes });
    if (this.#limits.readsDurable) this.#holds(to.nextId);
  }

  /** The promise of the buffer's durability holds for everything below this id. */
  #holds(endId: number): void {
    const first = this.#groups[0];
    if (first === undefined || first.endId > endId) return;
    let records = 0;
    while (this.#groups[0] !== undefined && this.#groups[0].endId <= endId) {
      records += this.#groups.shift()?.records ?? 0;
    }
    const now = this.#clock.monotonic();
    this.#events.emit('committed', { records, waitedMs: now - first.sinceMs, tookMs: now - first.beganMs });
  }
}
