// Who survives a power cut: everything, nothing, exactly this, or what the seed draws.
import { alignDown } from '../base/units.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { FileChange, FileSurvival } from './sim-file.ts';
import type { NameChange } from './sim-names.ts';
import { sectorBytes } from './sparse-bytes.ts';

/**
 * What the disk may be relied on for; docs/guarantees.md has the full sentences. Each switched off makes
 * the disk worse than the promises of a buffer allow for, which is how tests see that they would notice.
 */
export type Assumptions = {
  /** A sync that succeeds has made bytes and length durable. Off: some syncs lie. */
  readonly a1: boolean;
  /** Unsynced writes are kept or lost, sector by sector. Off: some sectors come out as garbage. */
  readonly a2: boolean;
  /** A sector is written as a whole. Off: it tears at any byte, and what stood before in it may go too. */
  readonly a3: boolean;
  /** A failed sync leaves unsynced bytes unknown. Off: also bytes that were durable in the sectors concerned. */
  readonly a4: boolean;
  /** A name is durable after its directory was synced. Off: some directory syncs lie. */
  readonly a5: boolean;
};

export const allAssumptions: Assumptions = { a1: true, a2: true, a3: true, a4: true, a5: true };

/** A choice of its own for each undecided change; the ids come from `disk.undecided()`. */
export type ExactSurvivors = {
  /** Writes and truncates that reach the disk. Of the writes to one sector, those before a kept one are kept too. */
  readonly writes: ReadonlySet<number>;
  readonly names: ReadonlySet<number>;
};

export type Survivors = 'all' | 'none' | 'random' | ExactSurvivors;

/** What the disk decides by besides the choice of survivors. */
export type SurvivalRules = {
  readonly assumptions: Assumptions;
  readonly holes: 'zeros' | 'garbage';
};

export function fileSurvival(survivors: Survivors, rules: SurvivalRules, draws: SeededRandom): FileSurvival {
  if (survivors === 'all')
    return { everything: 'kept', keptLengths: countOf, keptWrites: (_, changes) => changes.length };
  if (survivors === 'none') return { everything: 'lost', keptLengths: () => 0, keptWrites: () => 0 };
  const hole = rules.holes === 'garbage' ? { hole: () => draws.bytes(sectorBytes) } : {};
  if (survivors !== 'random') {
    const keptUpTo = (changes: readonly FileChange[]): number =>
      changes.findLastIndex((change) => survivors.writes.has(change.id)) + 1;
    return { keptLengths: keptUpTo, keptWrites: (_, changes) => keptUpTo(changes), ...hole };
  }
  return { ...drawnSurvival(draws), ...garbling(rules.assumptions, draws), ...hole };
}

export function nameSurvival(survivors: Survivors, draws: SeededRandom): (change: NameChange) => boolean {
  if (survivors === 'all') return () => true;
  if (survivors === 'none') return () => false;
  if (survivors !== 'random') return (change) => survivors.names.has(change.id);
  const probability = draws.pick([0, 0.2, 0.5, 0.8, 1]);
  return () => draws.chance(probability);
}

/** Extremes are as instructive as mixtures, so they get their share: a whole file lost, kept, or torn everywhere. */
function drawnSurvival(draws: SeededRandom): FileSurvival {
  const keptLengths = (changes: readonly FileChange[]): number => {
    const middle = draws.between(0, changes.length);
    return draws.pick([0, middle, middle, changes.length]);
  };
  const partOfGrowth = (before: number, after: number): number =>
    draws.chance(0.5) ? before : Math.max(before, alignDown(draws.between(before, after), sectorBytes));
  const lengths = { keptLengths, partOfGrowth };
  const style = draws.pick(['nothing', 'everything', 'whole writes', 'sectors', 'sectors'] as const);
  switch (style) {
    case 'nothing':
      return { ...lengths, keptWrites: () => 0 };
    case 'everything':
      return { ...lengths, keptWrites: (_, changes) => changes.length };
    case 'whole writes': {
      const fates = new Map<number, boolean>();
      const isKept = ({ id }: FileChange): boolean => {
        const fate = fates.get(id) ?? draws.chance(0.5);
        fates.set(id, fate);
        return fate;
      };
      return { ...lengths, keptWrites: (_, changes) => changes.findLastIndex(isKept) + 1 };
    }
    case 'sectors': {
      const probability = draws.pick([0.1, 0.5, 0.9]);
      return {
        ...lengths,
        keptWrites: (_, changes) => (draws.chance(probability) ? draws.between(1, changes.length) : 0),
      };
    }
  }
}

/** How sectors look on a disk that breaks A2 or A3. */
function garbling(assumptions: Assumptions, draws: SeededRandom): Pick<FileSurvival, 'garble' | 'spoil'> {
  if (assumptions.a2 && assumptions.a3) return {};
  return {
    garble: (isKept, piece) => {
      if (!assumptions.a2 && draws.chance(0.25)) return draws.bytes(piece.length);
      if (!assumptions.a3 && isKept && piece.length > 1) return piece.subarray(0, draws.between(1, piece.length - 1));
      return undefined;
    },
    spoil: () => (!assumptions.a3 && draws.chance(0.25) ? draws.bytes(sectorBytes) : undefined),
  };
}

function countOf(changes: readonly FileChange[]): number {
  return changes.length;
}
