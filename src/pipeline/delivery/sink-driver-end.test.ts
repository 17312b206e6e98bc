import { describe, expect, it } from 'vitest';
import { DeliveryRig, type DriverOptions, numbers } from '../../../test/delivery-rig.ts';
import type { CursorContract } from '../../stage/buffer-contract.ts';
import type { SinkAnswer } from '../contract/sink.ts';
import { graceMs } from './guarded-sink.ts';
import type { SinkDriver } from './sink-driver.ts';

const delivered: SinkAnswer = { kind: 'delivered' };

interface Started {
  readonly rig: DeliveryRig;
  readonly driver: SinkDriver;
  readonly running: Promise<'closed' | 'stopped'>;
}

/** A driver at work, its buffer with these records of logs. */
async function started(
  records: readonly number[],
  prepare: (rig: DeliveryRig) => void,
  options: DriverOptions = {},
): Promise<Started> {
  const rig = await DeliveryRig.open();
  await rig.append('logs', ...records);
  prepare(rig);
  const driver = rig.driver(options);
  const running = driver.run();
  running.catch(() => undefined);
  return { rig, driver, running };
}

/** What a driver owes the clock beside the buffer, which owes nothing a while after its last settlement. */
async function expectNothingOwed(rig: DeliveryRig): Promise<void> {
  await rig.advance(5_000);
  expect(rig.rig.process.clock.owedCount).toBe(0);
}

describe('a crash of the sink', () => {
  it('rejects with what it threw, and hands everything back: the next driver gets it in order', async () => {
    const { rig, driver, running } = await started([1, 1, 1, 1, 1, 1, 1, 1], ({ sink }) => {
      sink.answer = (_batch, { events }) => {
        if (events.includes(3)) throw new Error('out of memory');
        return delivered;
      };
    });
    await expect(rig.run(running)).rejects.toThrow('out of memory');
    await expectNothingOwed(rig);
    expect(driver.status()).toMatchObject({ inFlight: 0 });
    rig.sink = rig.newSink();
    const next = rig.driver();
    const again = next.run();
    await rig.drained();
    expect(rig.sink.delivered).toEqual(numbers(1, 8));
    await rig.run(rig.buffer.close());
    expect(await rig.run(again)).toBe('closed');
  });

  it('lets the others answer for a second, and counts what they say', async () => {
    const { rig, running } = await started(
      new Array<number>(6).fill(1),
      (one) => {
        one.sink.answer = async (_batch, { events, signal }) => {
          const [first = 0] = events;
          if (first === 2) {
            await one.after(10);
            throw new Error('crash');
          }
          if (first === 4) return await new Promise(() => undefined); // Never heard of again.
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          await one.after(900);
          return first === 1 ? delivered : { kind: 'retryable', reason: 'aborted' };
        };
      },
      { request: { concurrency: 4 }, batch: { maxEvents: 1 } },
    );
    await expect(rig.run(running)).rejects.toThrow('crash');
    await expectNothingOwed(rig);
    expect(rig.cursor.nextId).toBe(2);
    expect(await rig.remaining()).toEqual([2, 3, 4, 5, 6]);
  });

  it('is not put off by a stop that comes meanwhile', async () => {
    const { rig, driver, running } = await started(
      [1, 1],
      ({ sink }) => {
        sink.answer = (_batch, { number }) =>
          number === 1 ? new Promise(() => undefined) : Promise.reject(new Error('crash'));
      },
      { request: { concurrency: 2 }, batch: { maxEvents: 1 } },
    );
    await rig.advance(100);
    const before = rig.rig.world.timeMs;
    await rig.run(driver.stop({ afterMs: 60_000 }));
    await expect(rig.run(running)).rejects.toThrow('crash');
    expect(rig.rig.world.timeMs - before).toBeLessThan(1_000);
  });

  it('is also an answer that is none, and a call that never ends', async () => {
    const nonsense = await started([1], ({ sink }) => {
      sink.answer = () => ({ kind: 'ok' }) as unknown as SinkAnswer;
    });
    await expect(nonsense.rig.run(nonsense.running)).rejects.toMatchObject({ code: 'SPILLWAY_PLUGIN_FAILED' });

    const silent = await started([1], ({ sink }) => {
      sink.answer = () => new Promise(() => undefined);
    });
    await silent.rig.advance(10_000 + graceMs - 100);
    expect(silent.rig.sink.calls[0]?.signal.aborted).toBe(false);
    await silent.rig.advance(200);
    expect(silent.rig.sink.calls[0]?.signal.aborted).toBe(true);
    await expect(silent.rig.run(silent.running)).rejects.toMatchObject({ code: 'SPILLWAY_PLUGIN_FAILED' });
    await expectNothingOwed(silent.rig);
    expect(await silent.rig.remaining()).toEqual([1]);
  });

  it('is not an answer that comes after the sink was told to give up', async () => {
    const { rig } = await started([1], (one) => {
      one.sink.answer = async (_batch, { signal, number }) => {
        if (number > 1) return delivered;
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return { kind: 'retryable', reason: 'time-out' };
      };
    });
    await rig.drained();
    expect(rig.sink.delivered).toEqual([1]);
  });
});

describe('stop', () => {
  it('lets what is at the sink finish, and sends nothing more', async () => {
    const { rig, driver, running } = await started(
      [1, 1, 1],
      (one) => {
        one.sink.answer = async () => {
          await one.after(500);
          return delivered;
        };
      },
      { batch: { maxEvents: 1 } },
    );
    await rig.advance(100);
    await rig.run(driver.stop({ afterMs: 10_000 }));
    expect(await rig.run(running)).toBe('stopped');
    expect(rig.rig.world.timeMs).toBeLessThan(1_000);
    expect(rig.sink.delivered).toEqual([1]);
    await expectNothingOwed(rig);
    expect(await rig.remaining()).toEqual([2, 3]);
  });

  it('tells the sink at the deadline, and waits a second for its last word', async () => {
    for (const answersWithinMs of [500, 5_000]) {
      const { rig, driver, running } = await started([1], (one) => {
        one.sink.answer = async (_batch, { signal }) => {
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          await one.after(answersWithinMs);
          return delivered;
        };
      });
      await rig.advance(1);
      const before = rig.rig.world.timeMs;
      await rig.run(driver.stop({ afterMs: 2_000 }));
      expect(await rig.run(running)).toBe('stopped');
      expect(rig.rig.world.timeMs - before).toBeCloseTo(answersWithinMs === 500 ? 2_500 : 3_000, -1);
      await expectNothingOwed(rig);
      expect(driver.status().delivered.events).toBe(answersWithinMs === 500 ? 1 : 0); // Too late to count.
      expect(await rig.remaining()).toEqual(answersWithinMs === 500 ? [] : [1]);
    }
  });

  it('may be hurried', async () => {
    const { rig, driver } = await started([1], ({ sink }) => {
      sink.answer = (_batch, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve({ kind: 'retryable', reason: 'aborted' }));
        });
    });
    await rig.advance(1);
    const slow = [driver.stop({ afterMs: Number.POSITIVE_INFINITY }), driver.stop({ afterMs: 600_000 })];
    await rig.advance(1_000);
    await rig.run(driver.stop({ afterMs: 0 }));
    await rig.run(Promise.all(slow));
    await expectNothingOwed(rig);
    expect(await rig.remaining()).toEqual([1]);
  });

  it('does not wait for the time at which a batch would come again', async () => {
    const answers: readonly SinkAnswer[] = [
      { kind: 'retryable', reason: 'away', afterMs: 60_000 },
      { kind: 'blocked', reason: '401' },
    ];
    for (const answer of answers) {
      const { rig, driver } = await started([1], ({ sink }) => {
        sink.answer = () => answer;
      });
      await rig.advance(10);
      const before = rig.rig.world.timeMs;
      await rig.run(driver.stop({ afterMs: 5_000 }));
      expect(rig.rig.world.timeMs - before).toBeLessThan(1);
      expect(driver.status()).toMatchObject({ state: answer.kind === 'blocked' ? 'blocked' : 'retrying' });
      expect(rig.lines('info')).toEqual([]); // Nothing has healed.
      expect(await rig.remaining()).toEqual([1]);
    }
  });

  it('sends the other half of a batch until the deadline, and not after it', async () => {
    for (const [afterMs, sizes] of [
      [5_000, [4, 2, 2]],
      [120, [4, 2]],
    ] as const) {
      const { rig, driver } = await started([2, 2], (one) => {
        one.sink.answer = async (_batch, { events }) => {
          await one.after(100);
          return events.length > 2 ? { kind: 'too_large', reason: '413' } : delivered;
        };
      });
      await rig.advance(10);
      await rig.run(driver.stop({ afterMs }));
      expect(rig.sink.sizes).toEqual(sizes);
      expect(await rig.remaining()).toEqual(afterMs === 120 ? [3, 4] : []);
    }
  });

  it('hands back in record order, and what a read brings while it is being ended as well', async () => {
    for (const endsWithinMs of [300, 3_000]) {
      const rig = await DeliveryRig.open();
      await rig.append('logs', 1, 1, 1, 1);
      rig.sink.answer = (_batch, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve({ kind: 'retryable', reason: 'aborted' }));
        });
      const { cursor } = rig;
      const back: number[] = [];
      let reads = 0;
      const read: CursorContract['read'] = async ({ signal, ...options } = {}) => {
        reads += 1;
        const delivery = await cursor.read(options);
        if (reads === 4) await new Promise((resolve) => signal?.addEventListener('abort', resolve));
        if (reads === 4) await rig.after(endsWithinMs);
        const retry = delivery?.retry.bind(delivery, 0);
        if (delivery !== undefined) {
          delivery.retry = () => {
            back.push(delivery.records[0]?.id ?? 0);
            retry?.();
          };
        }
        return delivery;
      };
      const driver = rig.driver({
        cursor: { name: 'default', nextId: 1, read },
        request: { concurrency: 4 },
        batch: { maxEvents: 1 },
      });
      driver.run().catch(() => undefined);
      await rig.until(() => reads === 4);
      await rig.run(driver.stop({ afterMs: 0 }));
      expect(back).toEqual(endsWithinMs === 300 ? [1, 2, 3, 4] : [1, 2, 3]);
      await rig.advance(5_000);
      expect(back).toEqual([1, 2, 3, 4]);
      expect(await rig.remaining()).toEqual([1, 2, 3, 4]);
    }
  });

  it('does not count it as a failure that the sink was told to give up', async () => {
    const { rig, driver } = await started(
      [1],
      ({ sink }) => {
        sink.answer = (_batch, { signal }) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => resolve({ kind: 'retryable', reason: 'aborted' }));
          });
      },
      { request: { retryAttempts: 0 } },
    );
    await rig.advance(1);
    await rig.run(driver.stop({ afterMs: 10 }));
    expect([rig.letters.events, driver.status().rejectedEvents]).toEqual([[], 0]);
    expect(await rig.remaining()).toEqual([1]);
  });

  it('hands back at any moment what has no answer, in order, and leaves no timer', async () => {
    const moments = [0, 0.005, 0.05, 1, 50, 99, 101, 150, 250, 500, 1_000, 5_000, 29_000, 31_000, 60_000];
    for (const moment of moments) {
      for (const afterMs of [0, 120, 5_000]) {
        const { rig, driver, running } = await started(
          [2, 1, 4, 1, 1, 3],
          (one) => {
            one.sink.answer = async (_batch, { events, number }) => {
              await one.after(number % 4 === 0 ? 100 : 1);
              if (events.length > 3) return { kind: 'too_large', reason: 'too many' };
              if (number % 3 === 0) return { kind: 'retryable', reason: 'away' };
              if (number === 7) return { kind: 'blocked', reason: '401' };
              return events.includes(5) && events.length > 1 ? { kind: 'rejected', reason: 'five' } : delivered;
            };
          },
          { batch: { maxEvents: 6, timeoutMs: 20 }, request: { concurrency: 2 } },
        );
        await rig.advance(moment);
        await rig.run(driver.stop({ afterMs }));
        expect(await rig.run(running)).toBe('stopped');
        const calls = rig.sink.calls.length;
        await expectNothingOwed(rig);
        expect(rig.sink.calls.length).toBe(calls);
        const left = await rig.remaining();
        expect(left).toEqual([...left].sort((one, other) => one - other));
        const answered = new Set([...rig.sink.delivered, ...rig.letters.events]);
        for (const event of numbers(1, 12)) expect(answered.has(event) || left.includes(event)).toBe(true);
      }
    }
  });

  it('ends a sink that crashes meanwhile without a word but in the log', async () => {
    const { rig, driver, running } = await started([1], (one) => {
      one.sink.answer = async () => {
        await one.after(100);
        throw new Error('crash');
      };
    });
    await rig.advance(1);
    await rig.run(driver.stop({ afterMs: 1_000 }));
    expect(await rig.run(running)).toBe('stopped');
    expect(rig.lines('warn')).toEqual(['the sink crashed while it was stopped']);
    expect(await rig.remaining()).toEqual([1]);
  });
});

describe('the end of the buffer', () => {
  it('comes when everything in hand is answered, a batch that waits for company included', async () => {
    const { rig, running } = await started(
      [1, 1, 1],
      (one) => {
        one.sink.answer = async (_batch, { number }) => {
          await one.after(500);
          return number === 1 ? { kind: 'retryable', reason: 'away' } : delivered;
        };
      },
      { batch: { timeoutMs: 60_000 } },
    );
    await rig.advance(10);
    await rig.run(rig.buffer.close());
    expect(await rig.run(running)).toBe('closed');
    expect(rig.sink.delivered).toEqual([1, 2, 3]);
    await expectNothingOwed(rig);
  });

  it('is waited for where the buffer cannot be read for a while', async () => {
    const rig = await DeliveryRig.open();
    await rig.append('logs', 1);
    let failures = 2;
    const { cursor } = rig;
    const driver = rig.driver({
      cursor: {
        name: 'default',
        nextId: 1,
        read: async (options) => {
          failures -= 1;
          if (failures >= 0) throw new Error('a bad block');
          return await cursor.read(options);
        },
      },
    });
    const running = driver.run();
    await rig.advance(50);
    expect(driver.status()).toMatchObject({ state: 'retrying', reason: 'the buffer cannot be read: a bad block' });
    await rig.drained();
    expect([driver.status().state, rig.sink.delivered]).toEqual(['running', [1]]);
    await rig.run(rig.buffer.close());
    expect(await rig.run(running)).toBe('closed');
  });
});
