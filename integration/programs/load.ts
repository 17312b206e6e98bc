// The process that gets killed. It appends under load, consumes and acknowledges, and reports over standard output what
// it was promised, one line each, in order, at once:
//
//   opening                      a file call follows
//   file <call>                  a call of the file system begins, while opening and closing
//   open <epoch> <next id> <ms>
//   offered <index> <count>      these records are about to be appended, in one call
//   accepted <id> <index> <count> <ms>
//   committed <next id>          everything below was durable when `commit` returned
//   durable <next id>            the durable frontier moved
//   syncing <ms>, synced <ms>    a sync of a segment begins, is over
//   delivered <number> <epoch>-<id>:<name> ...
//   settling <number>            this delivery is about to be acknowledged
//   published <id>               a ledger is on disk that holds a cursor position not below this one
//   lost <reason> <events>, full, stalled, failed, closing, closed, alive
//
// Standard output is a pipe whose writes block, so a line is in the kernel before the next statement runs: what was
// reported survives the process.
import { writeSync } from 'node:fs';
import { type Cursor, type Delivery, DiskBuffer, type DiskBufferOptions } from '../../src/index.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { callsOf, differenceFrom, type Plan, type PlannedCall, recordsOf } from './records.ts';
import { watchedFileSystem } from './watched-files.ts';

export type LoadOptions = {
  readonly plan: Plan;
  readonly life: number;
  readonly buffer: Omit<DiskBufferOptions, 'fileSystem' | 'clock' | 'random'>;
  /** How many appends are under way at once. */
  readonly appenders: number;
  /** After how many records it closes by itself. */
  readonly records: number;
  /** How often an append is followed by a commit. Default 0.02. */
  readonly commitChance?: number;
  /** The name of the cursor that is consumed, if one is. */
  readonly consume?: string;
};

const options = JSON.parse(process.argv[2] ?? '') as LoadOptions;
const { plan, life } = options;
const random = new SeededRandom(`${plan.seed}/load/${life}`);
let phase: 'opening' | 'running' | 'closing' = 'opening';

function report(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done);
}

const now = (): string => (Number(process.hrtime.bigint() / 1_000n) / 1_000).toFixed(3);

function watchCalls(): NonNullable<DiskBufferOptions['fileSystem']> {
  return watchedFileSystem(
    (call, path) => {
      if (phase !== 'running') report(`file ${call}`);
      if (call === 'syncData' && path.endsWith('.seg')) report(`syncing ${now()}`);
    },
    (call, path) => {
      if (call === 'syncData' && path.endsWith('.seg')) report(`synced ${now()}`);
    },
  );
}

function reportEvents(buffer: DiskBuffer): void {
  const { events } = buffer;
  events.on('durable', ({ nextId }) => report(`durable ${nextId}`));
  events.on('lost', (lost) => report(`lost ${lost.reason} ${lost.events}`));
  events.on('full', () => report('full'));
  events.on('stalled', () => report('stalled'));
  events.on('failed', ({ cause }) => report(`failed ${String(cause)}`));
}

/** Reports accepted records; with `memory` only once a commit has covered them. */
class Acceptance {
  readonly #buffer: DiskBuffer;
  #waiting: string[] = [];

  constructor(buffer: DiskBuffer) {
    this.#buffer = buffer;
  }

  add(line: string): void {
    if (options.buffer.durability === 'memory') this.#waiting.push(line);
    else report(line);
  }

  async commit(): Promise<void> {
    const covered = this.#waiting;
    this.#waiting = [];
    const nextId = this.#buffer.stats().frontiers.reserved;
    await this.#buffer.commit();
    for (const line of covered) report(line);
    report(`committed ${nextId}`);
  }
}

async function append(buffer: DiskBuffer, call: PlannedCall, acceptance: Acceptance): Promise<void> {
  const records = recordsOf(plan, life, call);
  const [first] = records;
  if (first === undefined) return;
  report(`offered ${call.index} ${records.length}`);
  const single = records.length === 1;
  const result = single ? await buffer.append(first.payload, first) : await buffer.appendBatch(records);
  if (result.status !== 'stored') throw new Error(`dropped: ${result.reason}`);
  acceptance.add(`accepted ${result.recordId} ${call.index} ${records.length} ${now()}`);
}

async function appendAll(buffer: DiskBuffer): Promise<void> {
  const calls = callsOf(plan, life);
  const acceptance = new Acceptance(buffer);
  const work = async (): Promise<void> => {
    for (;;) {
      const call = calls.next().value;
      if (call.index >= options.records) return;
      await append(buffer, call, acceptance);
      if (random.chance(options.commitChance ?? 0.02)) await acceptance.commit();
    }
  };
  await Promise.all(Array.from({ length: options.appenders }, work));
  await acceptance.commit();
}

class Consumer {
  readonly #held = new Set<Promise<void>>();
  /** For how many turns of the event loop a delivery is held at most. */
  readonly #patience = random.pick([1, 10, 100]);
  #number = 0;
  #nextNewId: number;
  #publishedId: number;

  constructor(buffer: DiskBuffer, cursor: Cursor) {
    this.#nextNewId = cursor.nextId;
    this.#publishedId = 0;
    // A publish begins after the one before it has ended: it holds at least the position of that moment, as far as that
    // was durable. While a start confirms what the last life left, a cursor may be ahead of that.
    buffer.events.on('published', () => {
      report(`published ${this.#publishedId}`);
      this.#publishedId = Math.min(cursor.nextId, buffer.stats().frontiers.durable);
    });
  }

  async run(cursor: Cursor): Promise<void> {
    for (;;) {
      const delivery = await cursor.read({ maxRecords: random.between(1, 400), maxBytes: random.int(512 * 1024) });
      if (delivery === undefined) break;
      const number = this.#take(delivery);
      const held = this.#settleLater(number, delivery).finally(() => this.#held.delete(held));
      this.#held.add(held);
    }
    await Promise.all(this.#held);
  }

  #take(delivery: Delivery): number {
    const parts: string[] = [];
    for (const record of delivery.records) {
      const difference = differenceFrom(plan, record);
      if (difference !== undefined) throw new Error(`record ${record.key} is not what was appended: ${difference}`);
      if (record.id > this.#nextNewId) report(`lost gap ${record.id - this.#nextNewId}`);
      if (record.id >= this.#nextNewId) this.#nextNewId = record.id + record.events;
      parts.push(`${record.key.slice(record.key.indexOf('/') + 1)}:${record.metadata}`);
    }
    report(`delivered ${this.#number} ${parts.join(' ')}`);
    return this.#number++;
  }

  /** In any order: what comes back out of order must still move the cursor in order. */
  async #settleLater(number: number, delivery: Delivery): Promise<void> {
    for (let turns = random.int(this.#patience); turns > 0; turns--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (phase === 'running' && random.chance(0.05)) {
      delivery.retry();
      return;
    }
    report(`settling ${number}`);
    delivery.ack();
  }
}

// Where every append waits for room and nobody consumes, nothing else would keep the process alive until it is killed.
// That it says something lets it notice that the test itself is gone, and end with it.
const alive = setInterval(() => report('alive'), 1_000);
report('opening');
const buffer = await DiskBuffer.open({ ...options.buffer, fileSystem: watchCalls() });
reportEvents(buffer);
phase = 'running';
const { epoch, frontiers } = buffer.stats();
report(`open ${epoch} ${frontiers.reserved} ${now()}`);
const cursor = options.consume === undefined ? undefined : buffer.cursor(options.consume);
const consumed = cursor && new Consumer(buffer, cursor).run(cursor);
await appendAll(buffer);
phase = 'closing';
report('closing');
await buffer.close();
await consumed;
clearInterval(alive);
report('closed');
