// Chapter 13, continued. What an open found: the report of a start, for operators who come later than the events.
//
// Nobody can listen to a buffer before it is open, so what recovery emits meanwhile is gathered here.
//
// Next: disk-buffer-inspection.ts.

import type { SpillwayError } from '../base/errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { EventHub } from './events.ts';
import type { LedgerReading } from './ledger.ts';
import type { Recovered } from './recovery.ts';

export interface OpeningReport {
  /** Whether the last run ended with `close`, so that nothing had to be scanned. */
  readonly clean: boolean;
  /** What was left of the ledger. `new`: there was none, and no segment. `lost`: none, or two bad slots. */
  readonly ledger: 'new' | 'whole' | 'one_slot' | 'lost';
  /** From holding the lock to an open buffer. */
  readonly tookMs: number;
  /** Bytes of frames found behind what the ledger said, which are written again and synced. */
  readonly confirmedBytes: number;
  /** What was damaged, as far as the open looked; at most 100 places. */
  readonly damage: readonly SpillwayError[];
}

const damageMax = 100;

export class OpeningWatch {
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #damage: SpillwayError[] = [];
  readonly #stop: () => void;

  constructor(clock: Clock, events: EventHub) {
    this.#clock = clock;
    this.#startedAt = clock.monotonic();
    this.#stop = events.on('damage', (damage) => {
      if (this.#damage.length < damageMax) this.#damage.push(damage);
    });
  }

  report(recovered: Recovered, reading: LedgerReading): OpeningReport {
    this.#stop();
    return {
      clean: recovered.clean,
      ledger: ledgerOf(recovered, reading),
      tookMs: this.#clock.monotonic() - this.#startedAt,
      confirmedBytes: recovered.repairs.reduce((sum, { from, end }) => sum + end - from, 0),
      damage: this.#damage,
    };
  }
}

/** What is left of a ledger, in one word. */
export function ledgerOf(recovered: Recovered, reading: LedgerReading): OpeningReport['ledger'] {
  if (reading.validSlots === 2) return 'whole';
  if (reading.validSlots === 1) return 'one_slot';
  return recovered.fresh && !reading.existed ? 'new' : 'lost';
}
