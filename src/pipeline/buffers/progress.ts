// Those who wait until something has happened inside a buffer, and look whenever something did.

import type { Clock } from '../../platform/clock.ts';

export class Progress {
  readonly #waiting = new Set<() => void>();

  /** Something moved: whoever waits looks again. */
  made(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves once `isDone`, or after `timeoutMs` if that is sooner. */
  async until(isDone: () => boolean, patience?: { readonly clock: Clock; readonly timeoutMs: number }): Promise<void> {
    if (isDone()) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.#waiting.delete(look);
        timer?.cancel();
        resolve();
      };
      const look = (): void => {
        if (isDone()) end();
      };
      const timer = patience?.clock.setTimer(patience.timeoutMs, end);
      this.#waiting.add(look);
    });
  }
}
