// What a benchmark is asked for on the command line, and how much work follows from it.
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { GiB, KiB, MiB } from '../../src/base/units.ts';

export type BenchOptions = {
  /** Where the scratch directory is made; it decides which disk is measured. */
  readonly directory: string;
  /** In the order in which the benchmark named them. */
  readonly parts: readonly string[];
  /** Whether the figures go into docs/benchmarks.md. */
  readonly write: boolean;
  readonly smoke: boolean;
  /** How often everything is measured; the best counts. */
  readonly repetitions: number;
  readonly work: Work;
};

/** Amounts of work. Smoke is the least that still runs every line. */
export type Work = {
  readonly calibrationBytes: number;
  readonly calibrationMs: number;
  readonly calibrationRounds: number;
  readonly appendBursts: number;
  readonly commitMs: number;
  readonly cycleBytes: number;
  readonly cycleRecordsMax: number;
  readonly backlogBytes: number;
  readonly loadMs: number;
  readonly memoryBacklogBytes: number;
  readonly pipelineWarmUpMs: number;
  readonly pipelineMs: number;
};

const full: Work = {
  calibrationBytes: 32 * MiB,
  calibrationMs: 100,
  calibrationRounds: 25_000_000, // Some 50 ms: long enough to be interrupted as often as what follows.
  appendBursts: 200,
  commitMs: 1_000,
  cycleBytes: 192 * MiB,
  cycleRecordsMax: 1_500_000,
  backlogBytes: 4.25 * GiB,
  loadMs: 500,
  memoryBacklogBytes: 3 * GiB,
  pipelineWarmUpMs: 500,
  pipelineMs: 1_000,
};

const smoke: Work = {
  calibrationBytes: 256 * KiB,
  calibrationMs: 1,
  calibrationRounds: 100_000,
  appendBursts: 1,
  commitMs: 1,
  cycleBytes: 256 * KiB,
  cycleRecordsMax: 200,
  backlogBytes: 1 * MiB,
  loadMs: 1,
  memoryBacklogBytes: 1 * MiB,
  pipelineWarmUpMs: 1,
  pipelineMs: 1,
};

/** What to vary: all of it, or in a smoke run the first, because one of each kind runs every line. */
export function varied<Value>({ smoke }: BenchOptions, values: readonly Value[]): readonly Value[] {
  return smoke ? values.slice(0, 1) : values;
}

type Offer = {
  /** What --only chooses from. None: everything is measured. */
  readonly parts?: readonly string[];
  readonly repetitions?: number;
};

/** Throws with one line about what was wrong. */
export function parseBenchOptions(args: readonly string[], offer: Offer = {}): BenchOptions {
  const { parts = [], repetitions: usual = 5 } = offer;
  const { values } = parseArgs({
    args: [...args],
    options: {
      smoke: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      dir: { type: 'string', default: tmpdir() },
      only: { type: 'string', default: parts.join() },
      repeat: { type: 'string' },
    },
  });
  const chosen = parts.filter((part) => values.only.split(',').includes(part));
  if (chosen.length === 0 && parts.length > 0)
    throw new Error(`--only takes some of ${parts.join()}, found ${values.only}`);
  if (values.write && values.smoke)
    throw new Error('--write wants full size: figures of a smoke run would be believed');
  const repetitions = Number(values.repeat ?? (values.smoke ? 1 : usual));
  if (!Number.isInteger(repetitions) || repetitions < 1)
    throw new Error(`--repeat takes 1 or more, found ${values.repeat}`);
  const work = values.smoke ? smoke : full;
  return { directory: values.dir, parts: chosen, write: values.write, smoke: values.smoke, repetitions, work };
}
