import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NodeClock } from './node-clock.ts';
import { assertSupportedPlatform, nodePlatform } from './node-platform.ts';
import { NodeRandom } from './node-random.ts';

describe('the clock', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test('fires after the delay and not before', () => {
    const task = vi.fn();
    new NodeClock().setTimer(100, task);
    vi.advanceTimersByTime(99);
    expect(task).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(task).toHaveBeenCalledTimes(1);
  });

  test.each([2 ** 31 - 1, 2 ** 31, 5 * 2 ** 31])('a delay of %i ms is waited for in full', (delayMs) => {
    const task = vi.fn();
    new NodeClock().setTimer(delayMs, task);
    vi.advanceTimersByTime(delayMs - 1);
    expect(task).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(task).toHaveBeenCalledTimes(1);
  });

  test.each([10, 3 * 2 ** 31])('a timer of %i ms can be cancelled at any time', (delayMs) => {
    const task = vi.fn();
    const timer = new NodeClock().setTimer(delayMs, task);
    vi.advanceTimersByTime(delayMs - 5);
    timer.cancel();
    timer.cancel();
    vi.advanceTimersByTime(10 * delayMs);
    expect(task).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('deferred tasks run after promise callbacks, in the order of the calls', async () => {
  const clock = new NodeClock();
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    clock.defer(() => seen.push('a'));
    clock.defer(() => {
      seen.push('b');
      resolve();
    });
    void Promise.resolve().then(() => seen.push('promise'));
  });
  expect(seen).toEqual(['promise', 'a', 'b']);
});

test('now is an integer, and monotonic time does not go back', () => {
  const clock = new NodeClock();
  expect(Number.isInteger(clock.now())).toBe(true);
  const first = clock.monotonic();
  expect(clock.monotonic()).toBeGreaterThanOrEqual(first);
});

test('random bytes differ', () => {
  const random = new NodeRandom();
  expect(random.bytes(16)).toHaveLength(16);
  expect(random.bytes(16)).not.toEqual(random.bytes(16));
});

test('the platform of this process says who it is', () => {
  const { holder } = nodePlatform();
  expect(holder.pid).toBe(process.pid);
  expect(new Date(holder.started).toISOString()).toBe(holder.started);
});

test('all instances of one process share what it holds', () => {
  expect(nodePlatform().fileSystem.heldDirectories).toBe(nodePlatform().fileSystem.heldDirectories);
});

test('systems that cannot keep the promises are refused', () => {
  for (const platform of ['linux', 'darwin'] as const) assertSupportedPlatform(platform);
  for (const platform of ['win32', 'aix', 'cygwin'] as const) {
    expect(() => assertSupportedPlatform(platform)).toThrow(
      expect.objectContaining({ code: 'SPILLWAY_USAGE_PLATFORM' }),
    );
  }
});
