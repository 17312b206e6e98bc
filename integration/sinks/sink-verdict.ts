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

/** Ascending numbers as `3`, `7-12`: what is missing is missing in a row. */
export function rangesOf(numbers: readonly number[]): string[] {
  const ranges: { readonly first: number; last: number }[] = [];
  for (const number of numbers) {
    const range = ranges.at(-1);
    if (range !== undefined && number === range.last + 1) range.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
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
