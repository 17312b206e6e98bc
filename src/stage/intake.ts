// The intake: one item after another is offered to the buffer, counted and answered.
//
// An item is a record, an array of records, or a batch with a callback. Arrays and batches are stored whole or not at
// all. Every item that is taken from a source ends under one heading: accepted, dropped with a reason, or abandoned
// because the stage ended, or failed, before the buffer had answered. So the counters add up to what was taken.

import { UsageError } from '../base/errors.ts';
import type { AppendResult, DropReason } from '../engine/writer.ts';
import type { RecordInput } from '../engine/writer-records.ts';
import type { BufferContract } from './buffer-contract.ts';

/** What became of an item. `pressure`: a plain Observable was faster than the buffer, see `onPressure`. */
export type Acceptance = AppendResult | { readonly status: 'dropped'; readonly reason: StageDropReason };

export type StageDropReason = DropReason | 'pressure';

/** Records that are stored together or not at all, with a place for the answer. */
export interface Batch {
  readonly records: readonly RecordInput[];
  /**
   * Called once when the buffer has answered: stored, or dropped by its policy. A source of its own pace gives its
   * peer credit here. Not called when the append fails or the stage ends before: then nothing was promised. What it
   * throws counts as an error of the source.
   */
  readonly accepted?: (result: Acceptance) => void;
}

/** What flows into a stage. */
export type StageItem = RecordInput | readonly RecordInput[] | Batch;

export interface Tally {
  readonly items: number;
  readonly records: number;
  readonly events: number;
  /** Payload bytes. */
  readonly bytes: number;
}

export interface IntakeTotals {
  readonly accepted: Tally;
  readonly dropped: Readonly<Record<StageDropReason, Tally>>;
}

/** How an intake came to its end. `refused`: by the buffer; `input_failed`: by the source. */
export type IntakeEnd =
  | { readonly kind: 'ended' }
  | { readonly kind: 'input_failed'; readonly cause: unknown }
  | { readonly kind: 'refused'; readonly cause: unknown };

type Count = { -readonly [Name in keyof Tally]: Tally[Name] };

export class Intake {
  readonly #buffer: BufferContract;
  readonly #accepted = createCount();
  readonly #dropped: Readonly<Record<StageDropReason, Count>> = {
    buffer_full: createCount(),
    disk_full: createCount(),
    pressure: createCount(),
  };
  readonly #abandoned = createCount();

  constructor(buffer: BufferContract) {
    this.#buffer = buffer;
  }

  get abandoned(): Tally {
    return { ...this.#abandoned };
  }

  totals(): IntakeTotals {
    const { buffer_full, disk_full, pressure } = this.#dropped;
    return {
      accepted: { ...this.#accepted },
      dropped: { buffer_full: { ...buffer_full }, disk_full: { ...disk_full }, pressure: { ...pressure } },
    };
  }

  /** Throws a UsageError for what is no item: sources without types yield strings, or bytes of a stream. */
  check(item: unknown): asserts item is StageItem {
    if (isItem(item)) return;
    this.#abandoned.items += 1;
    throw new UsageError({
      code: 'SPILLWAY_USAGE_RECORD',
      message:
        `Cannot take an item that is ${describe(item)}: expected a record { payload: Uint8Array, events, metadata }, ` +
        'an array of records, or { records, accepted }. A Readable must be in object mode',
    });
  }

  /** Resolves with the buffer's answer, which is counted. Rejects as `append` does; the item is abandoned then. */
  async offer(item: StageItem, signal: AbortSignal | undefined): Promise<Acceptance> {
    let result: AppendResult;
    try {
      result = await this.#append(item, signal);
    } catch (cause) {
      this.abandon(item);
      throw cause;
    }
    count(result.status === 'stored' ? this.#accepted : this.#dropped[result.reason], item);
    return result;
  }

  /** The item was taken and nobody will answer for it. */
  abandon(item: StageItem): void {
    count(this.#abandoned, item);
  }

  /** The item came while too many others waited. */
  dropForPressure(item: StageItem): Acceptance {
    count(this.#dropped.pressure, item);
    return { status: 'dropped', reason: 'pressure' };
  }

  #append(item: StageItem, signal: AbortSignal | undefined): Promise<AppendResult> {
    const options = signal === undefined ? {} : { signal };
    if ('payload' in item) {
      const { payload, events = 1, metadata = 0 } = item;
      return this.#buffer.append(payload, { events, metadata, ...options });
    }
    return this.#buffer.appendBatch(recordsOf(item), options);
  }
}

/** Tells the source of a batch what became of it. */
export function answer(item: StageItem, result: Acceptance): void {
  if ('records' in item) item.accepted?.(result);
}

function isItem(item: unknown): item is StageItem {
  if (typeof item !== 'object' || item === null) return false;
  if ('payload' in item) return isRecord(item);
  const records = 'records' in item ? item.records : item;
  return Array.isArray(records) && records.every(isRecord);
}

/** As much as counting needs; ranges are the buffer's to check. */
function isRecord(record: unknown): boolean {
  if (typeof record !== 'object' || record === null) return false;
  return 'payload' in record && record.payload instanceof Uint8Array;
}

function describe(item: unknown): string {
  if (item instanceof Uint8Array) return 'bytes';
  return Array.isArray(item) ? 'an array of something else' : `a ${item === null ? 'null' : typeof item}`;
}

function recordsOf(item: StageItem): readonly RecordInput[] {
  if ('payload' in item) return [item];
  return 'records' in item ? item.records : item;
}

function createCount(): Count {
  return { items: 0, records: 0, events: 0, bytes: 0 };
}

function count(tally: Count, item: StageItem): void {
  const records = recordsOf(item);
  tally.items += 1;
  tally.records += records.length;
  for (const { payload, events = 1 } of records) {
    tally.events += events;
    tally.bytes += payload.length;
  }
}
