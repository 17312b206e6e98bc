// How far a sweep goes, where its chance comes from, and the one command that repeats what it found.
//
// A sweep is a test that tries many cases: every crash point, every failing call, many seeds. In the short run it tries
// a sample, in the full run all of them. When one fails, the message carries a command; that command sets the variables
// below, and the same test then runs this one case. docs/testing.md tells it to people.
import { relative } from 'node:path';
import { root } from './tidy/source.ts';

export type Scale = 'sample' | 'full';

export const scale: Scale = process.env['SPILLWAY_TEST_SCALE'] === 'full' ? 'full' : 'sample';

/** One figure for the short run, one for the full run. */
export function byScale<Value>(values: Readonly<Record<Scale, Value>>): Value {
  return values[scale];
}

function wholeNumber(name: string): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} is a whole number from 0, found ${text}`);
  return value;
}

/** The seed somebody asked for, else the one of the test: a run that nobody asked to vary is the same every time. */
export function seedOr(usual: number): number {
  return wholeNumber('SPILLWAY_SEED') ?? usual;
}

/** The only case to run, if somebody asked for one. */
export function onlyCase(): number | undefined {
  return wholeNumber('SPILLWAY_CASE');
}

export type Repeatable = {
  /** `import.meta.filename` of the test. */
  readonly file: string;
  /** The name of the test, as `-t` takes it. */
  readonly name: string;
  readonly seed?: number;
  readonly case?: number;
};

/** The command that runs exactly this case again. */
export function repeatCommand({ file, name, seed, case: number }: Repeatable): string {
  const path = relative(root, file);
  const script = path.startsWith('integration/') ? 'npm run test:integration' : 'npm test';
  // A case beyond the sample has its number in the full enumeration only, so the scale belongs to the command.
  const variables = [
    ...(scale === 'full' && script === 'npm test' ? ['SPILLWAY_TEST_SCALE=full'] : []),
    ...(seed === undefined ? [] : [`SPILLWAY_SEED=${seed}`]),
    ...(number === undefined ? [] : [`SPILLWAY_CASE=${number}`]),
  ];
  return [...variables, script, '--', path, '-t', `'${name.replaceAll("'", "'\\''")}'`].join(' ');
}

/** Runs one case of a sweep; what it throws is given the command that repeats it. */
export async function repeatable<Value>(what: Repeatable, run: () => Value | Promise<Value>): Promise<Value> {
  try {
    return await run();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${message}\nrepeat with: ${repeatCommand(what)}`, { cause });
  }
}
