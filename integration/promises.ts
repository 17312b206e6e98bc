// What a buffer has promised over all its lives, as the processes that used it reported it, and whether what is read
// afterwards keeps it. Every rule of docs/guarantees.md that a crash could break is one check here.
import type { DeliveredRecord } from '../src/index.ts';
import { differenceFrom, eventsOf, indexOf, lifeOf, nameOf, type Plan } from './programs/records.ts';

type Accepted = {
  readonly name: number;
  readonly atMs: number;
  /** Whether its loss would break the promise. False: the power was cut before it was due to be durable. */
  owed: boolean;
};

/** What somebody read: all records from a cursor's position to the end of the log. */
export type Reading = {
  readonly cursor: string;
  readonly fromId: number;
  readonly endId: number;
  readonly records: readonly DeliveredRecord[];
  readonly lostEvents: number;
};

export class BrokenPromise extends Error {}

function broken(what: string): never {
  throw new BrokenPromise(what);
}

export class Promises {
  readonly #plan: Plan;
  readonly #consumed: string;
  readonly #powerIsCut: boolean;
  readonly #accepted = new Map<number, Accepted>();
  /** `<epoch>-<id>` -> the record that had this key, over all lives. */
  readonly #keys = new Map<string, number>();
  /** First name of each batch -> how many records belong together. */
  readonly #batches = new Map<number, number>();
  readonly #deliveries = new Map<number, readonly number[]>();
  /** Cursor -> ids that somebody was about to acknowledge for it. */
  readonly #settled = new Map<string, Set<number>>();
  #offered = 0;
  #life = 0;
  #publishedId = 0;
  #durableId = 0;

  /** `consumed` is the cursor that programs/load.ts reads. Only a power cut may make ids go missing. */
  constructor(plan: Plan, consumed: string, { powerIsCut = false }: { readonly powerIsCut?: boolean } = {}) {
    this.#plan = plan;
    this.#consumed = consumed;
    this.#powerIsCut = powerIsCut;
  }

  /** How many accepted records may not be lost. */
  get owed(): number {
    let count = 0;
    for (const accepted of this.#accepted.values()) if (accepted.owed) count += 1;
    return count;
  }

  get acceptedCount(): number {
    return this.#accepted.size;
  }

  /** Takes in all that one life has reported. */
  take(life: number, lines: readonly string[]): void {
    this.#life = life;
    this.#offered = 0;
    this.#deliveries.clear();
    for (const line of lines) this.#takeLine(line);
  }

  #takeLine(line: string): void {
    const [kind, ...fields] = line.split(' ');
    const numbers = fields.map(Number);
    const [first = 0, second = 0] = numbers;
    switch (kind) {
      case 'offered':
        this.#offered = first + second;
        this.#batches.set(nameOf(this.#life, first), second);
        return;
      case 'accepted':
        this.#accept(first, second, numbers[2] ?? 0, numbers[3] ?? 0);
        return;
      case 'committed':
      case 'durable':
        this.#durableId = Math.max(this.#durableId, first);
        return;
      case 'delivered':
        this.#deliveries.set(
          first,
          fields.slice(1).map((part) => this.#takeKey(part)),
        );
        return;
      case 'settling':
        this.settling(this.#consumed, this.#deliveries.get(first) ?? []);
        return;
      case 'published':
        this.#publishedId = Math.max(this.#publishedId, first);
        return;
      case 'lost':
        // After a power cut it is judged by what is found.
        if (!this.#powerIsCut) broken(`life ${this.#life} reported: ${line}`);
        return;
      case 'failed':
        broken(`life ${this.#life} reported: ${line}`);
    }
  }

  #accept(firstId: number, index: number, count: number, atMs: number): void {
    let id = firstId;
    for (let record = 0; record < count; record++) {
      const name = nameOf(this.#life, index + record);
      const before = this.#accepted.get(id);
      if (before !== undefined) broken(`id ${id} was given to ${describe(before.name)} and to ${describe(name)}`);
      this.#accepted.set(id, { name, atMs, owed: true });
      id += eventsOf(this.#plan, name);
    }
  }

  /** A record that was delivered, as `<epoch>-<id>:<name>`. Returns its id. */
  #takeKey(part: string): number {
    const [key = '', name = ''] = part.split(':');
    this.#checkKey(key, Number(name));
    return Number(key.slice(key.indexOf('-') + 1));
  }

  #checkKey(key: string, name: number): void {
    const before = this.#keys.get(key);
    if (before !== undefined && before !== name) broken(`key ${key} names ${describe(before)} and ${describe(name)}`);
    this.#keys.set(key, name);
  }

  /**
   * The power was cut: whatever was accepted since `sinceMs` and never reported durable may be lost. Throws if anything
   * older was not durable yet: it was due, even if it should turn out to have survived.
   */
  forgive(sinceMs: number): void {
    for (const [id, accepted] of this.#accepted) {
      if (id < this.#durableId || !accepted.owed) continue;
      if (accepted.atMs < sinceMs) {
        const lateMs = (sinceMs - accepted.atMs).toFixed(1);
        broken(`${describe(accepted.name)}, accepted as ${id}, should have been durable ${lateMs} ms before the cut`);
      }
      accepted.owed = false;
    }
  }

  /** Somebody is about to acknowledge these ids for this cursor. */
  settling(cursor: string, ids: readonly number[]): void {
    const settled = this.#settled.get(cursor) ?? new Set();
    this.#settled.set(cursor, settled);
    for (const id of ids) settled.add(id);
  }

  /** Throws a BrokenPromise unless this reading keeps every promise. What was lost rightfully is forgotten. */
  check(reading: Reading): void {
    const { cursor, fromId, endId, records } = reading;
    if (cursor === this.#consumed && fromId < this.#publishedId) {
      broken(`cursor ${cursor} came back at ${fromId}, a ledger had said ${this.#publishedId}`);
    }
    const found = this.#checkOrder(reading);
    const settled = this.#settled.get(cursor);
    for (const [id, accepted] of this.#accepted) {
      const name = found.get(id);
      if (name === accepted.name || (id < fromId && settled?.has(id))) continue;
      if (accepted.owed) {
        const seen = name === undefined ? `nothing (read from ${fromId} to ${endId})` : describe(name);
        broken(`${describe(accepted.name)} was accepted as ${id}; cursor ${cursor} found ${seen}`);
      }
      if (id >= fromId) this.#accepted.delete(id);
    }
    // What the cursor did not move past counts as never acknowledged from now on.
    for (const id of settled ?? []) if (id >= fromId) settled?.delete(id);
    this.#checkBatches(records);
  }

  /** Ids ascend without gaps, contents are exact, appended order is kept. Returns id -> name. */
  #checkOrder({ cursor, fromId, endId, records, lostEvents }: Reading): Map<number, number> {
    const found = new Map<number, number>();
    const lastIndex = new Map<number, number>();
    let nextId = fromId;
    let missing = 0;
    for (const record of records) {
      const { id, events, metadata: name } = record;
      if (id < nextId) broken(`cursor ${cursor} found record ${id} behind ${nextId}`);
      missing += id - nextId;
      nextId = id + events;
      const life = lifeOf(name);
      if (life > this.#life || (life === this.#life && indexOf(name) >= this.#offered)) {
        broken(`record ${id} is ${describe(name)}, which nobody has appended`);
      }
      const difference = differenceFrom(this.#plan, record);
      if (difference !== undefined) broken(`record ${id}, ${describe(name)}, is not what was appended: ${difference}`);
      const before = lastIndex.get(life) ?? -1;
      if (indexOf(name) <= before) broken(`record ${id} is ${describe(name)}, behind index ${before}`);
      lastIndex.set(life, indexOf(name));
      this.#checkKey(record.key.slice(record.key.indexOf('/') + 1), name);
      found.set(id, name);
    }
    if (nextId !== endId) broken(`cursor ${cursor} ended at ${nextId}, the log ends at ${endId}`);
    if (missing > 0 && !this.#powerIsCut) broken(`${missing} ids are missing behind ${fromId}`);
    if (missing !== lostEvents) broken(`${missing} ids are missing, ${lostEvents} were reported lost`);
    return found;
  }

  #checkBatches(records: readonly DeliveredRecord[]): void {
    const names = new Set(records.map((record) => record.metadata));
    for (const { metadata } of records) {
      const count = this.#batches.get(metadata) ?? 1;
      for (let after = 1; after < count; after++) {
        if (!names.has(metadata + after)) broken(`of the ${count} records of ${describe(metadata)} one is missing`);
      }
    }
  }
}

function describe(name: number): string {
  return `record ${indexOf(name)} of life ${lifeOf(name)}`;
}
