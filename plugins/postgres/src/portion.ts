// How many rows of a batch a statement gets: all of them, until a statement does not get through in time.
//
// A batch that takes longer than there is time for would come again for ever, each time as large, and nothing of it
// would ever stay. So the next statement gets a quarter of what was too much; what it commits stays, and is not sent
// again with the rest. A portion that takes little of the time lets the next one be twice as large, until a batch is
// one statement again. A server that does not answer at all makes portions small as well; that costs a few statements
// once it is back.

/** Of the rows that were too many. */
const shrunk = 1 / 4;
const grown = 2;
/** Of the time, at most, in which a portion must be through for the next one to be larger. */
const quick = 1 / 4;

export class Portion {
  readonly #timeoutMs: number;
  #rowsMax = Number.POSITIVE_INFINITY;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  get rowsMax(): number {
    return this.#rowsMax;
  }

  ranOutOfTime(rows: number): void {
    this.#rowsMax = Math.min(this.#rowsMax, Math.max(1, Math.floor(rows * shrunk)));
  }

  committed({ rows, tookMs }: { readonly rows: number; readonly tookMs: number }): void {
    if (tookMs <= this.#timeoutMs * quick) this.#rowsMax = Math.max(this.#rowsMax, rows * grown);
  }
}

/** Whether another portion, twice as large as one that took so long, may be expected to get through. */
export function leavesTime(leftMs: number, tookMs: number): boolean {
  return leftMs >= tookMs * grown;
}
