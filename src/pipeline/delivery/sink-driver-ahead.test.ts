// The batch that forms while all places are taken: how much it is, when it goes, and what becomes of it when the one
// before it fails, or everything ends.

import { describe, expect, it } from 'vitest';
import { DeliveryRig, type DriverOptions, numbers } from '../../../test/delivery-rig.ts';
import type { CursorContract } from '../../stage/buffer-contract.ts';
import type { SinkAnswer } from '../contract/sink.ts';
import type { SinkDriver } from './sink-driver.ts';

const delivered: SinkAnswer = { kind: 'delivered' };
const away: SinkAnswer = { kind: 'retryable', reason: '503' };

/** A sink that answers when it is told to, and what of the buffer is in the driver's hands meanwhile. */
class Held {
  readonly rig: DeliveryRig;
  readonly driver: SinkDriver;
  readonly running: Promise<'closed' | 'stopped'>;
  readonly #answers: ((answer: SinkAnswer | Error) => void)[] = [];

  private constructor(rig: DeliveryRig, options: DriverOptions) {
    this.rig = rig;
    rig.sink.answer = () =>
      new Promise((resolve, reject) => {
        this.#answers.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
      });
    this.driver = rig.driver(options);
    this.running = this.driver.run();
    this.running.catch(() => undefined);
  }

  /** The first batch is at the sink: a record of so many events for each number. */
  static async begin(records: readonly number[], options: DriverOptions = {}): Promise<Held> {
    const rig = await DeliveryRig.open();
    await rig.append('logs', ...records);
    const held = new Held(rig, options);
    await rig.until(() => rig.sink.calls.length > 0);
    await rig.advance(10);
    return held;
  }

  /** Answers the oldest call that has none, and lets everybody act on it. */
  async answer(answer: SinkAnswer | Error): Promise<void> {
    this.#answers.shift()?.(answer);
    await this.rig.advance(10);
  }

  async append(...records: readonly number[]): Promise<void> {
    for (const events of records) await this.rig.append('logs', events);
    await this.rig.advance(10);
  }

  /** What each call was given, by the numbers of its first and last event. */
  get calls(): (readonly [number | undefined, number | undefined])[] {
    return this.rig.sink.calls.map(({ events }) => [events[0], events.at(-1)]);
  }

  get unsettled(): number {
    return this.rig.buffer.stats().cursors[0]?.unsettledRecords ?? Number.NaN;
  }

  async stop(): Promise<void> {
    await this.rig.run(this.driver.stop({ afterMs: 0 }));
    await this.rig.run(this.running);
    await this.#expectNothingOwed();
  }

  /** Beside the buffer, which owes nothing a while after its last settlement. */
  async #expectNothingOwed(): Promise<void> {
    await this.rig.advance(5_000);
    expect(this.rig.rig.process.clock.owedCount).toBe(0);
  }
}

describe('the batch that forms while another is at the sink', () => {
  it('holds what came meanwhile, however it came, and goes when the place is free', async () => {
    const held = await Held.begin([1]);
    await held.append(1);
    await held.append(2, 1, 1);
    await held.append(1);
    expect(held.calls).toEqual([[1, 1]]);
    expect(held.unsettled).toBe(6);
    await held.answer(delivered);
    expect(held.calls.slice(1)).toEqual([[2, 7]]);
    await held.stop();
  });

  it('is one, within the limits of a batch: the rest stays in the buffer', async () => {
    for (const timeoutMs of [0, 5]) {
      const held = await Held.begin([1], { batch: { maxEvents: 3, timeoutMs } });
      await held.append(...new Array<number>(20).fill(1));
      expect(held.unsettled).toBe(4);
      await held.answer(delivered);
      expect(held.calls.slice(1)).toEqual([[2, 4]]);
      expect(held.unsettled).toBe(6);
      await held.stop();
    }
  });

  it('is one for all places together', async () => {
    const held = await Held.begin([1, 1, 1, 1, 1, 1, 1], { request: { concurrency: 2 }, batch: { maxEvents: 2 } });
    expect(held.calls).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(held.unsettled).toBe(6);
    await held.stop();
  });

  it('is not read for a sink in trouble, which may be away for days', async () => {
    for (const trouble of [away, { kind: 'blocked', reason: '401' } as const]) {
      const held = await Held.begin([1], { batch: { maxEvents: 3 }, request: { retryInitialBackoffMs: 3_600_000 } });
      await held.answer(trouble);
      // The read that was under way may still bring one record; what there is for the next one stays.
      await held.append(1);
      await held.append(1, 1, 1);
      expect(held.unsettled).toBe(2);
      await held.stop();
    }
  });

  it('is read on for when the trouble is over', async () => {
    const held = await Held.begin([1], { batch: { maxEvents: 3 } });
    await held.answer(away);
    await held.append(1, 1, 1, 1, 1);
    await held.rig.advance(200);
    await held.answer(delivered);
    expect(held.calls).toEqual([
      [1, 1],
      [1, 1],
      [2, 2],
    ]);
    expect(held.unsettled).toBe(4);
    await held.answer(delivered);
    expect(held.calls.at(-1)).toEqual([3, 5]);
    await held.stop();
  });

  it('waits for its company from when a place is free, and no longer than a batch that is read then', async () => {
    const held = await Held.begin([1], { batch: { timeoutMs: 1_000 } });
    await held.append(1);
    await held.rig.advance(5_000);
    const freeMs = held.rig.rig.world.timeMs;
    await held.answer(delivered);
    await held.rig.advance(900);
    await held.append(1);
    expect(held.calls).toHaveLength(1);
    await held.rig.until(() => held.rig.sink.calls.length > 1);
    expect(held.calls[1]).toEqual([2, 3]);
    expect((held.rig.sink.calls[1]?.atMs ?? 0) - freeMs).toBeGreaterThan(990);
    expect((held.rig.sink.calls[1]?.atMs ?? 0) - freeMs).toBeLessThan(1_010);
    await held.stop();
  });
});

describe('when the batch before it fails, it waits', () => {
  it('until that one has come again', async () => {
    const held = await Held.begin([1, 1], { batch: { maxEvents: 2 } });
    await held.append(1, 1, 1);
    await held.answer(away);
    await held.rig.advance(200);
    await held.answer(away);
    await held.rig.advance(400);
    await held.answer(delivered);
    await held.answer(delivered);
    await held.answer(delivered);
    expect(held.calls).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
      [3, 4],
      [5, 5],
    ]);
    expect(held.rig.sink.delivered).toEqual(numbers(1, 5));
    await held.stop();
  });

  it('until every part of that one is answered, and is halved unsent if it is known to be too large now', async () => {
    const held = await Held.begin([1, 1, 1, 1], { batch: { maxEvents: 4 } });
    await held.append(1, 1, 1, 1);
    await held.answer({ kind: 'too_large', reason: '413' });
    for (let count = 0; count < 4; count++) await held.answer(delivered);
    expect(held.calls).toEqual([
      [1, 4],
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ]);
    await held.stop();
  });

  it('until the event that was refused is a dead letter', async () => {
    const held = await Held.begin([1, 1], { batch: { maxEvents: 2 } });
    await held.append(1, 1);
    await held.answer({ kind: 'rejected', reason: 'bad' });
    await held.answer({ kind: 'rejected', reason: 'bad' });
    expect(held.rig.letters.events).toEqual([1]);
    await held.answer(delivered);
    await held.answer(delivered);
    expect(held.rig.sink.delivered).toEqual([2, 3, 4]);
    await held.stop();
  });
});

describe('when everything ends, it is handed back', () => {
  it('behind the batch that was at the sink: the next driver gets both in order', async () => {
    for (const end of ['stop', 'crash'] as const) {
      const held = await Held.begin([1, 1], { batch: { maxEvents: 2 } });
      await held.append(1, 1, 1);
      expect(held.unsettled).toBe(4);
      if (end === 'stop') await held.stop();
      else {
        await held.answer(new Error('out of memory'));
        await expect(held.rig.run(held.running)).rejects.toThrow('out of memory');
      }
      expect(await held.rig.remaining()).toEqual(numbers(1, 5));
    }
  });

  it('is not sent once it was told to stop, though what is at the sink may still be answered', async () => {
    const held = await Held.begin([1], {});
    await held.append(1, 1);
    const stopped = held.driver.stop({ afterMs: 10_000 });
    await held.answer(delivered);
    await held.rig.run(stopped);
    expect(held.calls).toHaveLength(1);
    expect(await held.rig.remaining()).toEqual([2, 3]);
  });

  it('is delivered before a buffer that is drained has closed', async () => {
    const held = await Held.begin([1], {});
    await held.append(1, 1);
    const closed = held.rig.buffer.close({ drain: true });
    await held.answer(delivered);
    await held.answer(delivered);
    await held.rig.run(closed);
    expect(await held.rig.run(held.running)).toBe('closed');
    expect(held.rig.sink.delivered).toEqual([1, 2, 3]);
  });
});

it('does not hurt the batch at the sink when it cannot be read, and is read later', async () => {
  const rig = await DeliveryRig.open();
  await rig.append('logs', 1, 1);
  let reads = 0;
  const cursor: CursorContract = {
    name: 'default',
    get nextId() {
      return rig.cursor.nextId;
    },
    async read(options) {
      reads += 1;
      if (reads === 2) throw new Error('EIO');
      return await rig.cursor.read(options);
    },
  };
  rig.sink.answer = async () => {
    await rig.after(50);
    return delivered;
  };
  const driver = rig.driver({ cursor, batch: { maxEvents: 1 } });
  const running = driver.run();
  await rig.advance(10);
  expect(driver.status()).toMatchObject({ state: 'retrying', reason: 'the buffer cannot be read: EIO', inFlight: 1 });
  await rig.drained();
  expect(driver.status()).toMatchObject({ state: 'running', retries: 0, delivered: { events: 2 } });
  await rig.run(driver.stop({ afterMs: 0 }));
  await rig.run(running);
});
