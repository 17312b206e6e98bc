// What the sweeps over a whole buffer share: the workload that each case runs, the proof that follows it, and the rules
// that hold at every step in between.
import { crc32 } from 'node:zlib';
import type { DiskBufferOptions } from '../src/index.ts';
import { SeededRandom, type SimDisk, type SimProcess } from '../src/testing/index.ts';
import { Broken, type Journal } from './buffer-journal.ts';
import { BufferLife, bufferPath, cursorNames, smallBuffer } from './buffer-life.ts';
import { seedOr } from './sweep.ts';
import { repositoryFiles } from './tidy/source.ts';

/** More steps than any case takes: what is not over then turns in circles. */
const stepsMax = 300_000;
/** The longest that a record may stay exposed in `interval`: the interval, and two syncs of the simulated disk. */
export const exposedMs: number = smallBuffer.syncIntervalMs + 2 * 10;

/**
 * The seed somebody asked for, else one that follows from the sources: the same sources always run the same sample, and
 * another version of them runs another one.
 */
export function seedOfSources(): number {
  let sum = 0;
  for (const { path, text } of repositoryFiles()) {
    if (/^src\/(base|platform|engine)\/.*\.ts$/.test(path)) sum = crc32(text, sum);
  }
  return seedOr(sum % 1_000_000);
}

/** The cases of a sweep: all of them, the one asked for, or a sample that the seed chooses. */
export function casesOf(fields: {
  readonly count: number;
  readonly sample: number;
  readonly seed: number;
  readonly only: number | undefined;
}): number[] {
  const { count, sample, seed, only } = fields;
  if (only !== undefined) return [only];
  const stride = Math.max(1, count / sample);
  const first = new SeededRandom(seed).fraction() * stride;
  const picked = Array.from({ length: Math.min(count, sample) }, (_, index) => Math.floor(first + index * stride));
  return [...new Set(picked)].filter((number) => number < count);
}

/** Runs until the promise settles. At every step the directory keeps within `maxBytes`. */
export async function runChecked<Value>(disk: SimDisk, until: Promise<Value>): Promise<Value> {
  let settled = false;
  const note = (): void => {
    settled = true;
  };
  until.then(note, note);
  await disk.world.run(
    () => {
      const bytes = disk.bytesBelow(bufferPath);
      if (bytes > smallBuffer.maxBytes) disk.world.fail(new Broken(`${bytes} bytes are in the directory`));
      return settled;
    },
    { stepsMax },
  );
  return await until;
}

/** Runs one case; a rejection that nobody handled belongs to it. */
export async function withoutStrays<Value>(run: () => Promise<Value>): Promise<Value> {
  const strays: unknown[] = [];
  const note = (cause: unknown): void => {
    strays.push(cause);
  };
  process.on('unhandledRejection', note);
  try {
    const value = await run();
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (strays.length > 0) throw new Error(`a rejection was not handled: ${String(strays[0])}`, { cause: strays[0] });
    return value;
  } finally {
    process.off('unhandledRejection', note);
  }
}

/** Two lives of a buffer that rolls segments, fills its budget, publishes, frees, and is closed and opened again. */
export async function workload(life: BufferLife): Promise<void> {
  await life.open();
  let goOn: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  life.consume('fast', 'mixed');
  life.consume('slow', 'mixed', gate);
  await Promise.all([life.append(20), life.append(300, 3), life.append(4_000), life.appendBatch([10, 700, 64])]);
  const copied = [life.tryAppend(100), life.tryAppend(2_000), life.tryAppend(40_000)];
  await Promise.all([life.commit(copied), life.append(60_000, 7), life.append(118_700)]);
  // More than there is room for: the last ones wait until the slow cursor has gone on.
  const full = new Promise<void>((resolve) => life.buffer.events.on('full', () => resolve()));
  const appends = Array.from({ length: 9 }, (_, index) => life.append(100_000 - index, 2));
  const filled = Promise.all(appends);
  await Promise.race([full, filled]);
  goOn();
  await filled;
  await life.append(50);
  await life.close();
  await life.open();
  for (const name of cursorNames) life.consume(name, 'mixed');
  await Promise.all([life.append(30), life.append(70_000), life.append(400)]);
  await life.commit();
  await life.close({ drain: true });
}

/** The first moments after a crash: everything is recovered and delivered while new records come in. */
export async function revival(life: BufferLife): Promise<void> {
  await life.open();
  for (const name of cursorNames) life.consume(name, 'mixed');
  await Promise.all([life.append(60), life.append(100_000, 3), life.append(2_000)]);
  await life.commit();
}

/** Opens what is on the disk, delivers all of it, goes on appending, and closes and opens once more. */
export async function prove(
  disk: SimDisk,
  journal: Journal,
  options: Partial<DiskBufferOptions>,
  process: SimProcess = disk.start(),
): Promise<void> {
  const life = new BufferLife({ disk, process, journal, options });
  const again = async (): Promise<number> => {
    await life.open();
    for (const name of cursorNames) life.consume(name, 'eager');
    await Promise.all([life.append(40), life.appendBatch([300, 8, 90]), life.append(5_000, 4)]);
    await life.commit();
    const { epoch } = life.buffer.stats();
    const refusal = await life.close({ drain: true });
    if (refusal !== undefined) throw refusal;
    journal.expectAllSettled(cursorNames);
    return epoch;
  };
  const first = await runChecked(disk, again());
  const second = await runChecked(disk, again());
  if (first !== second) throw new Broken(`epoch ${second} follows a clean end in epoch ${first}`);
  if (life.refusals.length > 0) throw life.refusals[0];
  if (life.process.clock.owedCount > 0) throw new Broken(`the clock still owes a closed buffer something`);
}
