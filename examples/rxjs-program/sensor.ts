// The source: readings of a sensor, a few at a time, for as long as it is switched on. It can wait: the next reading is
// taken when the last one is on disk.
import { setTimeout as delay } from 'node:timers/promises';
import type { Batch } from 'spillway/rxjs';

export interface Reading {
  /** From 1, without a gap. */
  readonly number: number;
  readonly celsius: number;
}

const readingsAtOnce = 10;
const pauseMs = 5;

export interface SensorGiven {
  readonly durationMs: number;
  /** Called with how many readings are on disk: from then on they are promised. */
  readonly accepted: (count: number) => void;
}

export async function* sensor(given: SensorGiven): AsyncGenerator<Batch> {
  const endsMs = performance.now() + given.durationMs;
  for (let number = 0; performance.now() < endsMs; await delay(pauseMs)) {
    const records = Array.from({ length: readingsAtOnce }, () => {
      number += 1;
      const reading: Reading = { number, celsius: 20 + 5 * Math.sin(number / 200) };
      return { payload: new TextEncoder().encode(JSON.stringify(reading)) };
    });
    yield { records, accepted: () => given.accepted(records.length) };
  }
}
