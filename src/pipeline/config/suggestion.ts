// Finds what somebody probably meant when they misspelt a name.

/** The name among those known that is closest to the one given, if it is close enough to be meant. */
export function closest(given: string, known: Iterable<string>): string | undefined {
  if (given.length > 64) return undefined;
  const wanted = plain(given);
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const name of known) {
    const distance = editDistance(wanted, plain(name));
    if (distance < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { name, distance };
  }
  // A third of the letters may be wrong, but not all of a short word.
  if (best !== undefined && best.distance <= Math.max(1, Math.floor(wanted.length / 3))) return best.name;
  const names = [...known];
  return sameThing(given, names) ?? sameWords(given, names);
}

/** What other programs, and people, call the same thing; the first that is known is meant. */
const synonyms: readonly (readonly string[])[] = [
  ['url', 'endpoint', 'connection_string', 'address', 'uri', 'dsn', 'host', 'port', 'servers', 'database', 'db'],
  ['username', 'user', 'login'],
  ['token', 'auth', 'bearer'],
  ['payload', 'encoding', 'codec', 'format'],
  ['quality_of_service', 'qos'],
  ['retry_attempts', 'retries', 'max_retries'],
  ['request', 'retry'],
  ['durability', 'sync', 'fsync'],
  ['dead_letters', 'dlq'],
  ['include', 'path', 'paths', 'files'],
  ['path', 'file', 'filename'],
  ['tls', 'ssl'],
];

function sameThing(given: string, known: readonly string[]): string | undefined {
  const groups = synonyms.filter((names) => names.includes(given.toLowerCase()));
  return groups.flat().find((name) => known.includes(name));
}

const unitWords: ReadonlySet<string> = new Set(['secs', 'seconds', 'sec', 'ms', 'bytes', 'size', 'num', 'count']);

/** `timeout` for `timeout_secs`, `max_size` for `max_bytes`, `list_option` for `list`: the only one that it can be. */
function sameWords(given: string, known: readonly string[]): string | undefined {
  const words = wordsOf(given);
  const stem = withoutUnits(words);
  const same = known.filter((name) => stem.length > 0 && isEqual(withoutUnits(wordsOf(name)), stem));
  const longer = known.filter((name) => isBegin(words, wordsOf(name)) || isBegin(wordsOf(name), words));
  return [same, longer].find(({ length }) => length === 1)?.[0];
}

function wordsOf(name: string): string[] {
  return name.split(/[-_ ]|(?<=[a-z])(?=[A-Z])/).map((word) => word.toLowerCase());
}

function withoutUnits(words: readonly string[]): string[] {
  return words.filter((word) => !unitWords.has(word));
}

function isEqual(words: readonly string[], others: readonly string[]): boolean {
  return words.length === others.length && isBegin(words, others);
}

function isBegin(words: readonly string[], others: readonly string[]): boolean {
  return words.every((word, index) => word === others[index]);
}

/** `; did you mean "buffer"?`, or nothing. */
export function suggestion(given: string, known: Iterable<string>): string {
  const name = closest(given, known);
  return name === undefined ? '' : `; did you mean "${name}"?`;
}

/** `maxSize`, `max-size` and `max_size` are one thought. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '');
}

/** Letters inserted, left out, replaced or swapped with their neighbour. */
function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const isSame = left[row - 1] === right[column - 1];
      let distance = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && isSwapped) distance = Math.min(distance, (beforeLast[column - 2] ?? 0) + 1);
      current.push(distance);
    }
    beforeLast = last;
    last = current;
  }
  return last[right.length] ?? 0;
}
