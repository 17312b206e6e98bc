// One process that uses a buffer on a simulated disk, with a journal of everything that was promised and came back, and
// with the promise monitor listening. A life ends with `close`, or with the process.
import { InvariantViolation } from '../src/base/assert.ts';
import { type Cursor, type Delivery, DiskBuffer, type DiskBufferOptions, StorageError } from '../src/index.ts';
import { PromiseMonitor, type SeededRandom, type SimDisk, type SimProcess } from '../src/testing/index.ts';
import { Broken, type Journal, type Offer, type Watch } from './buffer-journal.ts';

export const bufferPath = '/data/buffer';
export const cursorNames: readonly string[] = ['fast', 'slow'];
const MiB = 1_048_576;

/** The smallest buffer there is: eight segments, slots of 64 KiB. */
export const smallBuffer: DiskBufferOptions & { readonly maxBytes: number; readonly syncIntervalMs: number } = {
  path: bufferPath,
  maxBytes: MiB,
  segmentBytes: MiB / 8,
  cursors: cursorNames,
  publishIntervalMs: 4,
  syncIntervalMs: 6,
  lingerMs: 2,
  closeTimeoutMs: 50,
  lockTimeoutMs: 0,
};

/** What a consumer does with its deliveries. `eager` acknowledges all at once, `mixed` does everything there is. */
export type Manner = 'eager' | 'mixed';

type Held = { readonly delivery: Delivery; readonly watch: Watch };

export class BufferLife {
  readonly disk: SimDisk;
  readonly process: SimProcess;
  readonly journal: Journal;
  readonly options: DiskBufferOptions;
  /** What an operation rejected with, in order. */
  readonly refusals: unknown[] = [];
  monitor: PromiseMonitor | undefined;
  #buffer: DiskBuffer | undefined;
  #watches: Watch[] = [];
  #held: Held[] = [];
  #consumers: Promise<void>[] = [];
  #draws: SeededRandom;

  constructor(fields: { disk: SimDisk; process: SimProcess; journal: Journal; options?: Partial<DiskBufferOptions> }) {
    this.disk = fields.disk;
    this.process = fields.process;
    this.journal = fields.journal;
    this.options = { ...smallBuffer, ...fields.options };
    this.#draws = fields.disk.world.random.fork('consumers');
  }

  get buffer(): DiskBuffer {
    if (this.#buffer === undefined) throw new Error('the buffer of this life was never opened');
    return this.#buffer;
  }

  async open(): Promise<void> {
    const { fileSystem, clock, random } = this.process;
    const buffer = await DiskBuffer.open({ ...this.options, fileSystem, clock, random });
    this.#buffer = buffer;
    this.monitor = new PromiseMonitor({ buffer, disk: this.disk, directory: bufferPath });
    this.#watches = buffer.stats().cursors.map(({ name, nextId }) => this.journal.watch(name, nextId));
    this.#held = [];
    this.#consumers = [];
    const cursors = new Map(this.#watches.map(({ name }) => [name, buffer.cursor(name)]));
    buffer.events.on('lost', ({ cursor, reason, events }) => {
      const watch = this.#watches.find(({ name }) => name === cursor);
      if (watch === undefined) return;
      const { nextId = 0, unreadId = 0 } = cursors.get(watch.name) ?? {};
      this.#judge(() => {
        if (reason === 'dropped_oldest') this.journal.dropped(watch, nextId);
        else this.journal.lost(watch, reason, unreadId - events, unreadId);
      });
    });
    for (const name of ['failed', 'publish_failed', 'stalled'] as const) {
      buffer.events.on(name, ({ cause }) => this.#expectStorageError(cause));
    }
  }

  // Appending.

  /** Resolves with whether it was stored; a refusal is noted, not thrown. */
  async append(byteLength: number, events = 1): Promise<boolean> {
    const { offer, payload } = this.journal.offer(byteLength, events);
    return await this.#settle([offer], this.buffer.append(payload, { events, metadata: offer.serial }));
  }

  async appendBatch(byteLengths: readonly number[]): Promise<boolean> {
    const made = byteLengths.map((byteLength, index) => this.journal.offer(byteLength, 1 + index));
    const records = made.map(({ offer: { events, serial }, payload }) => ({ payload, events, metadata: serial }));
    return await this.#settle(
      made.map(({ offer }) => offer),
      this.buffer.appendBatch(records),
    );
  }

  /** Copied or not; what was copied is promised by the next `commit` only. */
  tryAppend(byteLength: number): Offer | undefined {
    const { offer, payload } = this.journal.offer(byteLength, 1);
    offer.recordId = this.buffer.stats().frontiers.reserved;
    try {
      const result = this.buffer.tryAppend(payload, { metadata: offer.serial });
      if (result === 'accepted') return offer;
    } catch (cause) {
      this.#refuse(cause);
    }
    offer.state = 'refused';
    return undefined;
  }

  /** Everything accepted, and what is in `copied`, is durable when it resolves. */
  async commit(copied: readonly (Offer | undefined)[] = []): Promise<void> {
    const offers = this.journal.accepted();
    const endId = this.buffer.stats().frontiers.reserved;
    try {
      await this.buffer.commit();
    } catch (cause) {
      return this.#refuse(cause);
    }
    this.monitor?.committed(endId);
    for (const offer of offers) offer.committed = true;
    for (const offer of copied) {
      if (offer === undefined) continue;
      this.journal.accept(offer, offer.recordId, this.disk.world.timeMs);
      offer.committed = true;
    }
  }

  // Consuming.

  /** Reads until the buffer is closed; `until` lets it begin. */
  consume(name: string, manner: Manner, until: Promise<void> = Promise.resolve()): void {
    const cursor = this.buffer.cursor(name);
    const watch = this.#watches.find((candidate) => candidate.name === name) as Watch;
    const consumer = until.then(() => this.#consume(cursor, watch, manner));
    this.#consumers.push(consumer.catch((cause: unknown) => this.disk.world.fail(cause)));
  }

  /** Ends this life in good order. Resolves with what `close` rejected with, if it did. */
  async close(options: { readonly drain?: boolean } = {}): Promise<unknown> {
    const { buffer } = this;
    buffer.recount();
    let refusal: unknown;
    try {
      await buffer.close(options);
    } catch (cause) {
      this.#refuse(cause);
      refusal = cause;
    }
    await Promise.all(this.#consumers);
    if (options.drain === true && refusal === undefined) this.#expectDrained();
    this.monitor?.end();
    const files = this.disk.openFileCount(this.process);
    if (files > 0) throw new Broken(`the buffer is closed and has ${files} files open`);
    return refusal;
  }

  async #settle(offers: readonly Offer[], appended: ReturnType<DiskBuffer['append']>): Promise<boolean> {
    try {
      const result = await appended;
      if (result.status === 'dropped') {
        for (const offer of offers) offer.state = 'refused';
        return false;
      }
      let { recordId } = result;
      for (const offer of offers) {
        this.journal.accept(offer, recordId, this.disk.world.timeMs);
        recordId += offer.events;
      }
      this.monitor?.accepted(recordId);
      this.#expectExposure();
      return true;
    } catch (cause) {
      this.#refuse(cause);
      return false;
    }
  }

  /** In `interval`, no more than `maxUnsyncedBytes` of what was accepted may be unsynced. */
  #expectExposure(): void {
    if (this.options.durability !== 'interval') return;
    const exposed = this.journal.acceptedBytesFrom(this.buffer.stats().frontiers.durable);
    const most = Math.min(this.options.maxUnsyncedBytes ?? 16 * MiB, (this.options.maxBytes ?? 256 * MiB) / 4);
    if (exposed > most) this.disk.world.fail(new Broken(`${exposed} accepted bytes are not durable, ${most} may be`));
  }

  async #consume(cursor: Cursor, watch: Watch, manner: Manner): Promise<void> {
    for (;;) {
      const delivery = await this.#read(cursor);
      if (delivery === 'failed') continue;
      if (delivery === undefined) break;
      for (const record of delivery.records) this.#judge(() => this.journal.delivered(watch, record));
      if (manner === 'eager') this.#acknowledge({ delivery, watch });
      else this.#mix({ delivery, watch });
    }
    for (const held of this.#held.splice(0)) this.#acknowledge(held);
  }

  async #read(cursor: Cursor): Promise<Delivery | 'failed' | undefined> {
    try {
      return await cursor.read({ maxRecords: this.#draws.between(1, 5) });
    } catch (cause) {
      this.#refuse(cause);
      await new Promise<void>((resolve) => this.process.clock.setTimer(1, resolve));
      return 'failed';
    }
  }

  #mix(held: Held): void {
    const { delivery, watch } = held;
    const manner = this.#draws.int(10);
    if (manner < 3) {
      this.#acknowledge(held);
    } else if (manner < 7) {
      // Settled later, and in another order than handed out.
      this.#held.push(held);
      this.process.clock.setTimer(this.#draws.between(0, 6), () => this.#acknowledgeOneHeld());
    } else if (manner < 8) {
      for (const record of delivery.records) this.journal.retried(watch, record);
      delivery.retry(1);
    } else {
      const results = delivery.records.map((record, index) => {
        if (index % 3 === 0) this.journal.retried(watch, record);
        else this.journal.settled(watch, record);
        return index % 3 === 0 ? { retry: 1 } : index % 3 === 1 ? ('ack' as const) : { reject: 'not for us' };
      });
      delivery.settle(results);
    }
  }

  #acknowledgeOneHeld(): void {
    const at = this.#held.length === 0 ? -1 : this.#draws.int(this.#held.length);
    for (const held of at < 0 ? [] : this.#held.splice(at, 1)) this.#acknowledge(held);
  }

  #acknowledge({ delivery, watch }: Held): void {
    // Before the call: a crash may come with it, and then the acknowledgement counts or does not.
    for (const record of delivery.records) this.journal.settled(watch, record);
    delivery.ack();
  }

  #expectDrained(): void {
    const { frontiers, cursors } = this.buffer.stats();
    for (const { name, expectedId, gapEvents } of this.#watches) {
      const nextId = cursors.find((cursor) => cursor.name === name)?.nextId;
      if (expectedId + gapEvents === frontiers.reserved && nextId === frontiers.reserved) continue;
      const seen = `saw up to ${expectedId} and lost ${gapEvents} more`;
      throw new Broken(`cursor ${name} drained up to ${nextId}, ${seen} of ${frontiers.reserved}`);
    }
  }

  #expectStorageError(cause: unknown): void {
    if (!(cause instanceof StorageError)) this.disk.world.fail(cause);
  }

  #refuse(cause: unknown): void {
    if (cause instanceof InvariantViolation) this.disk.world.fail(cause);
    this.refusals.push(cause);
  }

  #judge(judgement: () => void): void {
    try {
      judgement();
    } catch (cause) {
      this.disk.world.fail(cause);
    }
  }
}
