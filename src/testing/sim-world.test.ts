import { describe, expect, test } from 'vitest';
import { SimClock, SimulationStuck, SimWorld } from './sim-world.ts';

describe('a step', () => {
  test('runs one thing and everything that follows from it at once', async () => {
    const world = new SimWorld({ seed: 1 });
    const seen: string[] = [];
    world.clock.setTimer(1, () => {
      seen.push('first');
      void Promise.resolve()
        .then(() => undefined)
        .then(() => seen.push('after first'));
    });
    world.clock.setTimer(2, () => seen.push('second'));
    expect(await world.step()).toBe(true);
    expect(seen).toEqual(['first', 'after first']);
    expect(world.timeMs).toBe(1);
    expect(await world.step()).toBe(true);
    expect(seen).toEqual(['first', 'after first', 'second']);
    expect(await world.step()).toBe(false);
    expect(world.stepCount).toBe(2);
  });

  test('throws what the thing throws', async () => {
    const world = new SimWorld({ seed: 1 });
    world.clock.setTimer(1, () => {
      throw new Error('broken');
    });
    await expect(world.step()).rejects.toThrow('broken');
  });
});

describe('the clock', () => {
  test('fires timers in the order of their times, and of the calls where these are the same', async () => {
    const world = new SimWorld({ seed: 1 });
    const seen: number[] = [];
    for (const delayMs of [5, 3, 9, 3, 0, 7])
      world.clock.setTimer(delayMs, () => seen.push(delayMs + seen.length / 10));
    await world.drain();
    expect(seen.map(Math.floor)).toEqual([0, 3, 3, 5, 7, 9]);
    expect(world.timeMs).toBe(9);
  });

  test('keeps the order of a thousand timers', async () => {
    const world = new SimWorld({ seed: 1 });
    const times: number[] = [];
    for (let count = 0; count < 1000; count++) {
      const delayMs = world.random.int(300);
      world.clock.setTimer(delayMs, () => times.push(delayMs));
    }
    await world.drain();
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times).toHaveLength(1000);
  });

  test('runs deferred tasks in the order of the calls, after all promise callbacks', async () => {
    const world = new SimWorld({ seed: 1 });
    const seen: string[] = [];
    for (const name of ['a', 'b', 'c']) world.clock.defer(() => seen.push(name));
    void Promise.resolve().then(() => seen.push('promise'));
    await world.drain();
    expect(seen).toEqual(['promise', 'a', 'b', 'c']);
  });

  test('a cancelled timer does not fire and holds nothing up', async () => {
    const world = new SimWorld({ seed: 1 });
    const timer = world.clock.setTimer(1_000, () => expect.unreachable());
    timer.cancel();
    timer.cancel();
    expect(world.clock.owedCount).toBe(0);
    await world.drain();
    expect(world.timeMs).toBe(0);
  });

  test('a stopped clock owes nothing, now and later', async () => {
    const world = new SimWorld({ seed: 1 });
    const clock = new SimClock(world);
    clock.setTimer(1, () => expect.unreachable());
    clock.defer(() => expect.unreachable());
    clock.stop();
    clock.setTimer(1, () => expect.unreachable());
    await world.drain();
    expect(clock.owedCount).toBe(0);
  });

  test('its wall time jumps when told, its monotonic time never', async () => {
    const world = new SimWorld({ seed: 1, startMs: 1_000_000 });
    world.jumpWallClock(-5_000);
    await world.advance(10.5);
    expect(world.clock.now()).toBe(995_010);
    expect(world.clock.monotonic()).toBe(10.5);
  });

  test('timers can be late, never early', async () => {
    const world = new SimWorld({ seed: 1, timerLatenessMsMax: 5 });
    const lateMs: number[] = [];
    for (let count = 0; count < 100; count++) world.clock.setTimer(10, () => lateMs.push(world.timeMs - 10));
    await world.drain();
    expect(Math.min(...lateMs)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...lateMs)).toBeGreaterThan(4);
    expect(Math.max(...lateMs)).toBeLessThanOrEqual(5);
  });
});

describe('a run', () => {
  test('returns and throws what its promise settles with', async () => {
    const world = new SimWorld({ seed: 1 });
    const later = <T>(value: T): Promise<T> => new Promise((resolve) => world.clock.setTimer(5, () => resolve(value)));
    expect(await world.run(later('value'))).toBe('value');
    await expect(world.run(later(1).then(() => Promise.reject(new Error('no'))))).rejects.toThrow('no');
    expect(await world.run(Promise.resolve(7))).toBe(7);
    expect(world.timeMs).toBe(10);
  });

  test('ends at its predicate and leaves the rest for later', async () => {
    const world = new SimWorld({ seed: 1 });
    let count = 0;
    for (let index = 0; index < 10; index++) world.clock.setTimer(index, () => (count += 1));
    await world.run(() => count === 3);
    expect(count).toBe(3);
    expect(world.pending()).toHaveLength(7);
  });

  test('says what it knows when nothing can end it', async () => {
    const world = new SimWorld({ seed: 'some seed' });
    world.clock.setTimer(3, () => undefined);
    const stuck = world.run(new Promise(() => undefined));
    await expect(stuck).rejects.toThrow(SimulationStuck);
    await expect(stuck).rejects.toThrow(
      /seed some seed .* nothing is left that could end it: step 1, .* timer at 3.000 ms/,
    );
  });

  test('does not turn in circles for ever', async () => {
    const world = new SimWorld({ seed: 1 });
    const again = (): void => {
      world.clock.setTimer(1, again);
    };
    again();
    await expect(world.run(new Promise(() => undefined), { stepsMax: 50 })).rejects.toThrow(
      'after 50 steps it has not ended',
    );
    await expect(world.drain({ stepsMax: 50 })).rejects.toThrow(SimulationStuck);
  });

  test('advance runs what is due and leaves the time where it was asked to', async () => {
    const world = new SimWorld({ seed: 1 });
    const seen: number[] = [];
    for (const delayMs of [1, 10, 10.001]) world.clock.setTimer(delayMs, () => seen.push(delayMs));
    await world.advance(10);
    expect(seen).toEqual([1, 10]);
    expect(world.timeMs).toBe(10);
  });

  test('stops at a failure that was noted on the side', async () => {
    const world = new SimWorld({ seed: 1 });
    world.clock.setTimer(1, () => world.fail(new Error('first')));
    world.clock.setTimer(2, () => expect.unreachable());
    await expect(world.drain()).rejects.toThrow('first');
  });
});
