// Waiting for a while, unless somebody says that it is over.

import type { Clock } from '../../platform/clock.ts';

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
