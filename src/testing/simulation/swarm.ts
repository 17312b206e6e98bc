// What may happen in a run, drawn once for each seed. Switching things off is as instructive as doing all of them at
// once: a bug that needs a full disk and no reader is never met while somebody always reads.
import { KiB, MiB } from '../../base/units.ts';
import type { DiskBufferOptions, Durability, WhenFull } from '../../engine/limits.ts';
import type { SeededRandom } from '../seeded-random.ts';

export const actionNames = [
  'try_append',
  'append',
  'append_batch',
  'append_large',
  'ready',
  'commit',
  'read',
  'settle',
  'settle_partly',
  'abort',
  'add_cursor',
  'remove_cursor',
  'advance',
  'close',
  'kill',
  'power_cut',
  'jump_clock',
  'drop_caches',
  'flip_bits',
  'bad_sectors',
  'damage_header',
  'damage_ledger',
  'lift_rot',
] as const;
export type ActionName = (typeof actionNames)[number];

export const faultNames = [
  'no_space',
  'write_error',
  'sync_error',
  'read_error',
  'name_error',
  'short',
  'slow',
  'ledger_error',
] as const;
export type FaultName = (typeof faultNames)[number];

export type Swarm = {
  readonly weights: Readonly<Record<ActionName, number>>;
  readonly faults: ReadonlySet<FaultName>;
  readonly durabilities: readonly Durability[];
  readonly policies: readonly WhenFull[];
  readonly timerLatenessMs: number;
  readonly holes: 'zeros' | 'garbage';
  readonly delayedAllocation: boolean;
  readonly maxBytes: number;
  readonly largestPayload: number;
  readonly largestEvents: number;
};

const usualWeights: Readonly<Record<ActionName, number>> = {
  try_append: 40,
  append: 14,
  append_batch: 4,
  append_large: 1,
  ready: 2,
  commit: 3,
  read: 20,
  settle: 18,
  settle_partly: 6,
  abort: 1,
  add_cursor: 0.3,
  remove_cursor: 0.3,
  advance: 6,
  close: 0.5,
  kill: 0.4,
  power_cut: 0.5,
  jump_clock: 0.2,
  drop_caches: 0,
  flip_bits: 0,
  bad_sectors: 0,
  damage_header: 0,
  damage_ledger: 0,
  lift_rot: 0,
};

const troubleWeights: Partial<Record<ActionName, number>> = {
  drop_caches: 0.2,
  flip_bits: 0.1,
  bad_sectors: 0.1,
  damage_header: 0.03,
  damage_ledger: 0.05,
  lift_rot: 0.1,
};

/** Never switched off: without them nothing happens. */
const always: ReadonlySet<ActionName> = new Set(['try_append', 'read', 'settle', 'advance']);

/** Draws what may happen. `trouble`: faults and damage as well; otherwise users, kills and power cuts alone. */
export function drawSwarm(random: SeededRandom, trouble: boolean): Swarm {
  const weights = { ...usualWeights, ...(trouble ? troubleWeights : {}) };
  for (const name of actionNames) {
    const factor = random.pick([0, 0.5, 1, 1, 3]);
    weights[name] *= always.has(name) ? Math.max(0.25, factor) : factor;
  }
  const someOf = <Item>(items: readonly Item[]): readonly Item[] => {
    const some = items.filter(() => random.chance(0.5));
    return some.length === 0 ? [random.pick(items)] : some;
  };
  const faults = new Set(trouble ? someOf(faultNames) : []);
  // What a recovery cannot read gets room for one id a byte (I12.3): enough for ordinary event counts only.
  const mayHide = faults.has('read_error') || faults.has('name_error') || weights.bad_sectors > 0;
  return {
    weights,
    faults,
    durabilities: someOf(['memory', 'os', 'interval', 'sync', 'sync']),
    policies: someOf(['block', 'drop_newest', 'drop_oldest', 'reject']),
    timerLatenessMs: random.pick([0, 2, 20]),
    holes: random.pick(['zeros', 'garbage']),
    delayedAllocation: trouble && random.chance(0.3),
    maxBytes: random.pick([MiB, MiB, 2 * MiB, 4 * MiB]),
    largestPayload: random.pick([64, 600, 600, 6_000]),
    largestEvents: mayHide ? 50 : 2 ** 24,
  };
}

/** Options for the next life: different ones from time to time. */
export function drawOptions(
  random: SeededRandom,
  swarm: Swarm,
  before: DiskBufferOptions | undefined,
): Omit<DiskBufferOptions, 'path'> {
  const maxBytes = random.chance(0.2) ? random.pick([MiB, 2 * MiB, 4 * MiB]) : (before?.maxBytes ?? swarm.maxBytes);
  return {
    maxBytes,
    durability: random.pick(swarm.durabilities),
    whenFull: random.pick(swarm.policies),
    cursors: random.chance(0.1) ? ['default', 'second'] : ['default'],
    segmentBytes: random.pick([128 * KiB, 128 * KiB, maxBytes / 4]),
    frameBytesMax: random.pick([4 * KiB, 4 * KiB, 16 * KiB]),
    maxUnsettledBytes: random.pick([1, 32 * KiB, 16 * MiB]),
    maxUnsyncedBytes: random.pick([64 * KiB, 16 * MiB]),
    lingerMs: random.pick([0, 5]),
    syncIntervalMs: random.pick([10, 100]),
    publishIntervalMs: random.pick([10, 100]),
    closeTimeoutMs: random.pick([0, 50]),
    lockTimeoutMs: 1_000,
  };
}
