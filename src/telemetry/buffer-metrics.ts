// The metrics of one buffer: what it says of itself, read when somebody collects, and what its events tell between.
//
// Counters begin at 0 with this object, as a meter's do: what happened in earlier runs is in the buffer's own totals.
// Anything that has the shape of a buffer is measured; what it does not know of itself is left out.

import type { EventSource } from '../engine/events.ts';
import type { Amount, LedgerTotals } from '../engine/ledger-slot.ts';
import type { SettlementCounters } from '../engine/ordered-finalizer-accounts.ts';
import type { Clock } from '../platform/clock.ts';
import { FillRates } from './fill-rates.ts';
import { type Attributes, type Report, reportState, type Subject } from './measurement.ts';
import { componentName, componentType, cursorName, lossReason, stateName } from './metric-table.ts';
import type { SampledSpans } from './sampled-spans.ts';

/** How long a collection waits for the disk: when it hangs, the other metrics are wanted most. */
const patienceMs = 1_000;

const states = ['starting', 'open', 'stalled', 'failed', 'closing', 'closed'];

interface MeasuredCursor {
  readonly name: string;
  readonly nextId: number;
  readonly backlog: Amount;
  readonly delivered?: Amount;
  readonly unsettledRecords?: number;
  readonly unsettledBytes?: number;
  readonly openDeliveries?: number;
  readonly retriedRecords?: number;
  readonly sinceOpen?: SettlementCounters;
}

interface MeasuredStats {
  readonly state: string;
  readonly backlog: Amount;
  readonly totals?: LedgerTotals;
  readonly disk: {
    readonly usedBytes: number;
    readonly maxBytes: number;
    readonly headroomBytes?: number;
    readonly quarantineBytes?: number;
    readonly segments?: number;
  };
  readonly work?: { readonly writes: number; readonly syncs: number; readonly publishes: number };
  readonly waitingAppends: number;
  readonly cursors: readonly MeasuredCursor[];
}

/** What is asked of a buffer that is measured. `DiskBuffer` has it. */
export interface MeasuredBuffer {
  readonly events: EventSource;
  stats(): MeasuredStats;
  oldestMs?(cursor: string): Promise<number | undefined>;
  /** What was found when it was opened, before anybody could listen. */
  readonly opening?: { readonly damage: readonly unknown[] };
}

export interface BufferMetricsOptions {
  readonly buffer: MeasuredBuffer;
  readonly name: string;
  readonly type: string;
  readonly clock: Clock;
  /** Takes what has a distribution. */
  readonly record: Report;
  /** Makes spans of commits. Default: none. */
  readonly spans?: SampledSpans | undefined;
}

export class BufferMetrics implements Subject {
  readonly #buffer: MeasuredBuffer;
  readonly #clock: Clock;
  readonly #attributes: Attributes;
  readonly #start: MeasuredStats;
  readonly #rates = new FillRates();
  /** The age of a backlog changes when its cursor moves: until then the disk need not be asked again. */
  readonly #oldest = new Map<string, { readonly nextId: number; readonly appendedMs: number }>();
  readonly #asking = new Map<string, Promise<number | undefined>>();
  readonly #counts = { damage: 0, publishFailures: 0, freedBytes: 0 };
  readonly #forget: readonly (() => void)[];

  constructor({ buffer, name, type, clock, record, spans }: BufferMetricsOptions) {
    this.#buffer = buffer;
    this.#clock = clock;
    const attributes = { [componentName]: name, [componentType]: type };
    this.#attributes = attributes;
    this.#start = buffer.stats();
    const counts = this.#counts;
    counts.damage = buffer.opening?.damage.length ?? 0;
    const { events } = buffer;
    this.#forget = [
      events.on('damage', () => {
        counts.damage += 1;
      }),
      events.on('publish_failed', () => {
        counts.publishFailures += 1;
      }),
      events.on('segment_freed', ({ byteLength }) => {
        counts.freedBytes += byteLength;
      }),
      events.on('committed', ({ records, waitedMs, tookMs }) => {
        record('spillway.buffer.append.duration', waitedMs / 1_000, attributes);
        record('spillway.buffer.commit.duration', tookMs / 1_000, attributes);
        record('spillway.buffer.group.records', records, attributes);
        const toMs = clock.now();
        spans?.add({
          name: 'spillway.commit',
          fromMs: toMs - waitedMs,
          toMs,
          attributes: { ...attributes, 'spillway.group.records': records },
          marks: { 'the write begins': toMs - tookMs },
        });
      }),
      events.on('synced', ({ tookMs }) => record('spillway.buffer.sync.duration', tookMs / 1_000, attributes)),
    ];
  }

  async collect(report: Report): Promise<void> {
    const stats = this.#buffer.stats();
    const own: (name: string, value: number | undefined, more?: Attributes) => void = (name, value, more) => {
      if (value !== undefined) report(`spillway.buffer.${name}`, value, { ...this.#attributes, ...more });
    };
    this.#reportTotals(stats, own);
    this.#reportRoom(stats, own);
    const { state, backlog, waitingAppends } = stats;
    own('backlog.events', backlog.events);
    own('backlog.size', backlog.bytes);
    own('waiting_appends', waitingAppends);
    const attributes = this.#attributes;
    reportState({ report, name: 'spillway.buffer.state', key: stateName, states, state, attributes });
    for (const cursor of stats.cursors) this.#reportCursor(cursor, report);
    await this.#reportAges(stats, report);
  }

  /** Stops listening. */
  end(): void {
    for (const forget of this.#forget) forget();
  }

  #reportTotals(
    { totals, work }: MeasuredStats,
    own: (name: string, value: number | undefined, more?: Attributes) => void,
  ): void {
    const before = this.#start.totals;
    if (totals !== undefined && before !== undefined) {
      const count = (name: string, now: Amount, then: Amount, more?: Attributes): void => {
        own(`${name}.events`, Math.max(0, now.events - then.events), more);
        own(`${name}.size`, Math.max(0, now.bytes - then.bytes), more);
      };
      count('received', totals.appended, before.appended);
      count('acknowledged', totals.acknowledged, before.acknowledged);
      const [lost, lostBefore] = [lossesOf(totals), lossesOf(before)];
      for (const [reason, amount] of Object.entries(lost)) {
        count('lost', amount, lostBefore[reason] ?? nothing, { [lossReason]: reason });
      }
    }
    own('damage', this.#counts.damage);
    if (work === undefined) return;
    own('writes', work.writes);
    own('syncs', work.syncs);
    own('publishes', work.publishes);
    own('publish_failures', this.#counts.publishFailures);
  }

  #reportRoom(stats: MeasuredStats, own: (name: string, value: number | undefined) => void): void {
    const { disk, backlog, totals } = stats;
    own('disk.usage', disk.usedBytes);
    own('disk.limit', disk.maxBytes);
    own('disk.headroom', disk.headroomBytes);
    own('quarantine.size', disk.quarantineBytes);
    own('segments', disk.segments);
    const appendedBytes = totals?.appended.bytes ?? 0;
    this.#rates.add({
      atMs: this.#clock.monotonic(),
      backlogEvents: backlog.events,
      backlogBytes: backlog.bytes,
      appendedBytes,
      writtenBytes: disk.usedBytes + this.#counts.freedBytes,
      headroomBytes: disk.headroomBytes ?? disk.maxBytes - disk.usedBytes,
    });
    own('time_to_full', this.#rates.secondsToFull);
    own('time_to_empty', this.#rates.secondsToEmpty);
  }

  #reportCursor(cursor: MeasuredCursor, report: Report): void {
    const { name, backlog, delivered, sinceOpen } = cursor;
    const attributes = this.#ofCursor(name);
    const own = (metric: string, value: number | undefined): void => {
      if (value !== undefined) report(`spillway.cursor.${metric}`, value, attributes);
    };
    own('delivered.events', delivered?.events);
    own('delivered.size', delivered?.bytes);
    own('acknowledged.events', sinceOpen?.acknowledged.events);
    own('acknowledged.size', sinceOpen?.acknowledged.bytes);
    for (const [reason, { events }] of Object.entries(sinceOpen ?? {})) {
      if (reason === 'acknowledged') continue;
      report('spillway.cursor.lost.events', events, { ...attributes, [lossReason]: reason });
    }
    own('retries', cursor.retriedRecords);
    own('backlog.events', backlog.events);
    own('backlog.size', backlog.bytes);
    own('in_flight', cursor.openDeliveries);
    own('unsettled.records', cursor.unsettledRecords);
    own('unsettled.size', cursor.unsettledBytes);
  }

  async #reportAges({ cursors }: MeasuredStats, report: Report): Promise<void> {
    for (const { name, nextId, backlog } of cursors) {
      if (this.#buffer.oldestMs === undefined) return;
      const appendedMs = backlog.events === 0 ? this.#clock.now() : await this.#appendedMs(name, nextId);
      if (appendedMs === undefined) continue;
      // The wall clock may have been set back since.
      const age = Math.max(0, this.#clock.now() - appendedMs) / 1_000;
      report('spillway.cursor.oldest.age', age, this.#ofCursor(name));
    }
  }

  async #appendedMs(cursor: string, nextId: number): Promise<number | undefined> {
    const known = this.#oldest.get(cursor);
    if (known?.nextId === nextId) return known.appendedMs;
    const asking = this.#asking.get(cursor) ?? this.#ask(cursor, nextId);
    const { promise: over, resolve } = Promise.withResolvers<undefined>();
    const timer = this.#clock.setTimer(patienceMs, () => resolve(undefined));
    try {
      return await Promise.race([asking, over]);
    } finally {
      timer.cancel();
    }
  }

  /** One question at a time: a disk that does not answer gets no second one. */
  #ask(cursor: string, nextId: number): Promise<number | undefined> {
    const asking = (async () => {
      try {
        const appendedMs = await this.#buffer.oldestMs?.(cursor);
        if (appendedMs !== undefined) this.#oldest.set(cursor, { nextId, appendedMs });
        return appendedMs;
      } finally {
        this.#asking.delete(cursor);
      }
    })();
    this.#asking.set(cursor, asking);
    return asking;
  }

  #ofCursor(name: string): Attributes {
    return { ...this.#attributes, [cursorName]: name };
  }
}

const nothing: Amount = { events: 0, bytes: 0 };

function lossesOf({ removed, damaged }: LedgerTotals): Readonly<Record<string, Amount>> {
  return { ...removed, damaged };
}
