// What a server holds in the end, compared with what the pipeline has accepted.

export interface SinkVerdict {
  /** Accepted, and not there. */
  readonly missing: readonly number[];
  /** New numbers that came behind a greater one. A repeat is none, wherever it stands. */
  readonly disorder: readonly number[];
  /** How often a number is there that is there already. */
  readonly repeats: number;
  /** There, and never sent. */
  readonly invented: readonly number[];
}

export interface SinkEvidence {
  readonly accepted: readonly number[];
  /** The greatest number that was sent. What was sent and not accepted may be there. */
  readonly sent: number;
  /** Everything the server holds, in its order. */
  readonly found: readonly number[];
}

export function judge({ accepted, sent, found }: SinkEvidence): SinkVerdict {
  const seen = new Set<number>();
  const disorder: number[] = [];
  const invented: number[] = [];
  let greatest = 0;
  let repeats = 0;
  for (const number of found) {
    if (!Number.isInteger(number) || number < 1 || number > sent) {
      invented.push(number);
      continue;
    }
    if (seen.has(number)) repeats += 1;
    else if (number < greatest) disorder.push(number);
    seen.add(number);
    greatest = Math.max(greatest, number);
  }
  return { missing: accepted.filter((number) => !seen.has(number)), disorder, repeats, invented };
}
