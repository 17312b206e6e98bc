// Waiting for a while, unless somebody says that it is over.

import type { Clock } from './clock.ts';

/** Resolves after `delayMs`, or as soon as the signal is aborted. Never rejects; leaves no timer behind. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.setTimer(delayMs, end);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** What the promise came to, or undefined when `delayMs` have passed first. The promise itself goes on. */
export async function within<Value>(
  clock: Clock,
  delayMs: number,
  promise: Promise<Value>,
): Promise<Value | undefined> {
  const over = new AbortController();
  try {
    return await Promise.race([promise, pause(clock, delayMs, over.signal).then(() => undefined)]);
  } finally {
    over.abort();
  }
}

/** Resolves when the promise has settled, or as soon as the signal is aborted. Rejects as the promise does. */
export async function unless(signal: AbortSignal, promise: Promise<unknown>): Promise<void> {
  if (signal.aborted) return;
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
