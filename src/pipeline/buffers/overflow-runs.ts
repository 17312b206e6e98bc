// Which ids of a chain lie in which of its stages: runs, one after the other.
//
//   chain ids   1 ........ 500 | 501 ........ 900 | 901 ...
//   stage       memory, 1..500 | disk, 77..476    | memory, 501.. (begun when all before was settled)
//
// O1  runs follow each other without a gap; the last one has no end yet
// O2  while a run is not settled at every cursor, no run of an earlier stage follows it: so order is kept

import { assert } from '../../base/assert.ts';
import type { DeliveryContract } from '../../stage/buffer-contract.ts';

export interface Run {
  readonly stage: number;
  /** The stage's own id of the run's first event. */
  readonly stageFrom: number;
  /** The chain's id of the same event. */
  readonly from: number;
  /** The chain's id behind the run's last event, once another run has begun. */
  to: number | undefined;
}

export class OverflowRuns {
  #runs: Run[] = [];

  /** Begins a run at this id of the chain; what was the last run ends there. One that stayed empty is forgotten. */
  begin(stage: number, stageFrom: number, from: number): void {
    const last = this.#runs.at(-1);
    if (last !== undefined) {
      assert(from >= last.from, 'O1: runs follow each other', { from, last });
      if (last.from === from) this.#runs.pop();
      else last.to = from;
    }
    this.#runs.push({ stage, stageFrom, from, to: undefined });
  }

  /** The run that takes what comes. */
  get last(): Run {
    return this.#runs.at(-1) as Run;
  }

  get all(): readonly Run[] {
    return this.#runs;
  }

  /** The run that holds this id, or will. */
  at(id: number): Run {
    const found = this.#runs.find(({ from, to }) => id >= from && (to === undefined || id < to));
    assert(found !== undefined, 'O1: every id that is not settled lies in a run', { id });
    return found;
  }

  /** The run that a delivery of this stage belongs to. A stage's run is read up before its next one is begun. */
  ofStage(stage: number, { records: [first] }: DeliveryContract): Run {
    const stageId = first?.id ?? 0;
    const found = this.#runs.findLast((run) => run.stage === stage && stageId >= run.stageFrom);
    assert(found !== undefined, 'O1: every record of a stage lies in a run', { stage, stageId });
    return found;
  }

  /** Forgets the runs below this id. */
  forgetBelow(id: number): void {
    this.#runs = this.#runs.filter(({ to }) => to === undefined || to > id);
  }
}

/** The chain's id for a stage's id. */
export function chainIdOf(run: Run, stageId: number): number {
  return run.from + stageId - run.stageFrom;
}
