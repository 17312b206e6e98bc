// What crashes is started again, after a pause that grows with every crash, and takes nobody else down.

import { InvariantViolation } from '../../base/assert.ts';
import { ConfigError } from '../../base/errors.ts';
import type { Clock } from '../../platform/clock.ts';
import { pause } from '../../platform/pause.ts';
import { type Random, randomFraction } from '../../platform/random.ts';
import type { Log } from '../contract/log.ts';

const firstPauseMs = 1_000;
/** What has run for longer than this ran well. */
export const longestPauseMs = 30_000;

export interface SupervisionOptions {
  /** What is supervised, for the log: `source web`. */
  readonly what: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Aborted: what has ended is not started again. */
  readonly stopping: AbortSignal;
  /** It crashed and waits for its next start. */
  readonly crashed: (reason: string) => void;
}

/**
 * Runs `life` until it resolves, again and again while it rejects. Resolves when it has ended by itself or, after
 * `stopping`, in whatever way. Rejects with a ConfigError, which no start will mend, and with a bug of ours.
 */
export async function supervise(life: () => Promise<void>, options: SupervisionOptions): Promise<void> {
  const { what, clock, random, log, stopping, crashed } = options;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const startedMs = clock.monotonic();
    try {
      await life();
      return;
    } catch (cause) {
      if (cause instanceof InvariantViolation || isConfigError(cause)) throw cause;
      if (clock.monotonic() - startedMs > longestPauseMs) pauseMs = firstPauseMs; // It ran well for a while.
      const delayMs = Math.round(pauseMs * (0.5 + randomFraction(random) / 2)); // Not all at the same moment.
      const reason = cause instanceof Error ? cause.message : String(cause);
      if (stopping.aborted) {
        log.warn(`${what} crashed while it was being stopped`, { error: cause });
        return;
      }
      log.error(`${what} crashed, and is started again`, { error: cause, in_ms: delayMs });
      crashed(reason);
      await pause(clock, delayMs, stopping);
      if (stopping.aborted) return;
    }
  }
}

/** By code: it may come from a plugin with another copy of this package. */
function isConfigError(cause: unknown): boolean {
  if (cause instanceof ConfigError) return true;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' && code.startsWith('SPILLWAY_CONFIG_');
}
