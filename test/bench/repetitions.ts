// Measures many things many times, in turns: A, B, C, A, B, C. Whatever slows the machine down then meets all of them,
// and the best of each is what the code can do.
import { type Calibration, calibrate } from './calibration.ts';
import type { BenchOptions } from './options.ts';

/** One thing to measure. */
export type Case<Outcome> = {
  readonly name: string;
  readonly run: () => Promise<Outcome>;
  /** Larger is better. */
  readonly rank: (outcome: Outcome) => number;
};

export type Measured<Outcome> = {
  readonly name: string;
  readonly best: Outcome;
  /** Taken right before the best repetition. */
  readonly calibration: Calibration;
  /** All of them, in the order in which they were measured. */
  readonly outcomes: readonly Outcome[];
};

type Context = { readonly options: BenchOptions; readonly scratch: string; readonly progress: (line: string) => void };

export async function measureInTurns<Outcome>(
  { options, scratch, progress }: Context,
  cases: readonly Case<Outcome>[],
): Promise<Measured<Outcome>[]> {
  const taken = cases.map(() => [] as { outcome: Outcome; calibration: Calibration }[]);
  for (let repetition = 0; repetition < options.repetitions; repetition++) {
    for (const [index, { name, run }] of cases.entries()) {
      progress(`${repetition + 1}/${options.repetitions} ${name}`);
      const calibration = calibrate(scratch, options.work);
      globalThis.gc?.(); // Nobody pays for the garbage of the one before.
      taken[index]?.push({ outcome: await run(), calibration });
    }
  }
  return cases.map(({ name, rank }, index) => {
    const sorted = (taken[index] ?? []).toSorted((one, other) => rank(other.outcome) - rank(one.outcome));
    const [best] = sorted;
    if (best === undefined) throw new Error(`${name} was not measured`);
    return {
      name,
      best: best.outcome,
      calibration: best.calibration,
      outcomes: (taken[index] ?? []).map((t) => t.outcome),
    };
  });
}

export type Bench = Context;

/** The value below which this share of the sorted samples lies. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
