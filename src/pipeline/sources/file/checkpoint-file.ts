// What the file source remembers between two runs: which logs there are, and up to where each is in the pipeline.
//
// A log is recorded before its first line goes out, so that its id never names another; its place follows once a second
// and at the end. A crash repeats the lines of that second; it skips none, because only what was accepted is recorded.
// Bytes that are no checkpoints are kept aside and reported: all files are then new, which repeats, and loses nothing.

import { dirname, join } from 'node:path';
import { z } from 'zod';
import { FormatError } from '../../../base/errors.ts';
import type { Log } from '../../contract/log.ts';
import type { World } from '../../contract/world.ts';
import type { LogMark } from './log-mark.ts';
import type { LogState, TailedLog } from './tailed-log.ts';

const formatVersion = 1;

const count = z.int().min(0);
const markSchema = z.tuple([count, z.literal([0, 1]), count, count, z.string()]);
const logSchema = z.object({
  id: z.string(),
  key: z.string(),
  headEnd: count,
  path: z.string(),
  accepted: markSchema,
  passed: z.array(markSchema),
  owner: z.string().optional(),
  seenMs: count,
});
const fileSchema = z.object({ version: z.int(), logs: z.array(z.unknown()) });

type WrittenMark = z.infer<typeof markSchema>;

/** Between two writes of places; more after a slow one, so that writing never takes more than a tenth of the time. */
const intervalMs = 1_000;
const paceFactor = 10;

export class CheckpointFile {
  readonly #path: string;
  readonly #world: World;
  readonly #log: Log;
  #isDirty = false;
  #nextMs = 0;
  #isFailing = false;
  #hasDirectory = false;

  constructor(options: { readonly directory: string; readonly world: World; readonly log: Log }) {
    this.#path = join(options.directory, 'checkpoints.json');
    this.#world = options.world;
    this.#log = options.log;
  }

  get path(): string {
    return this.#path;
  }

  /** The logs of the last run; undefined if there was none, an empty list if it cannot be read. */
  async load(): Promise<LogState[] | undefined> {
    const text = await this.#world.files.readText(this.#path);
    if (text === undefined) return undefined;
    try {
      return decodeCheckpoints(text, this.#path);
    } catch (error) {
      if (error instanceof FormatError) throw error;
      const aside = `${this.#path}.damaged-${this.#world.clock.now()}`;
      await this.#world.files.rename(this.#path, aside);
      this.#log.error('Checkpoints cannot be read and were put aside: all files are read as if they were new', {
        path: this.#path,
        aside,
        error,
      });
      return [];
    }
  }

  noteChange(): void {
    this.#isDirty = true;
  }

  /** Writes if something has changed and it is time, or if a log waits to be recorded. A failure is tried again. */
  async save(logs: Iterable<TailedLog>, { isLast = false }: { readonly isLast?: boolean } = {}): Promise<void> {
    if (!this.#isDirty) return;
    const now = this.#world.clock.monotonic();
    const all = [...logs];
    const unrecorded = all.filter((log) => !log.isRecorded);
    const isDue = isLast || now >= this.#nextMs || (unrecorded.length > 0 && !this.#isFailing);
    if (!isDue) return;
    this.#isDirty = false;
    try {
      if (!this.#hasDirectory) await this.#world.files.makeDirectories(dirname(this.#path));
      this.#hasDirectory = true;
      await this.#world.files.replaceText(this.#path, encodeCheckpoints(all));
      for (const log of unrecorded) log.isRecorded = true;
      if (this.#isFailing) this.#log.info('Checkpoints are written again', { path: this.#path });
      this.#isFailing = false;
    } catch (error) {
      this.#isDirty = true;
      this.#hasDirectory = false;
      this.#reportFailure(error);
    }
    const ended = this.#world.clock.monotonic();
    this.#nextMs = ended + Math.max(intervalMs, paceFactor * (ended - now));
  }

  #reportFailure(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#log.error('Checkpoints cannot be written: new files wait, and a restart would repeat lines', {
      path: this.#path,
      error,
    });
  }
}

export function encodeCheckpoints(logs: readonly TailedLog[]): string {
  const written = logs.map((log) => {
    const { accepted, passed, ...rest } = log.state();
    return { ...rest, accepted: writtenMark(accepted), passed: passed.map(writtenMark) };
  });
  return `${JSON.stringify({ version: formatVersion, logs: written })}\n`;
}

export function decodeCheckpoints(text: string, path: string): LogState[] {
  const file = fileSchema.parse(JSON.parse(text));
  if (file.version !== formatVersion) {
    throw new FormatError({
      code: 'SPILLWAY_FORMAT_VERSION',
      path,
      message:
        `Could not read the checkpoints ${path}: expected format version ${formatVersion}, found ${file.version}. ` +
        'The source does not start, or it would read all files again. Run the version that wrote them, or remove them.',
    });
  }
  return file.logs.map((log) => {
    const { accepted, passed, owner, ...rest } = logSchema.parse(log);
    return { ...rest, owner, accepted: readMark(accepted), passed: passed.map(readMark) };
  });
}

function writtenMark({ offset, midLine, checkStart, checkLength, checkSum }: LogMark): WrittenMark {
  return [offset, midLine ? 1 : 0, checkStart, checkLength, checkSum];
}

function readMark([offset, midLine, checkStart, checkLength, checkSum]: WrittenMark): LogMark {
  return { offset, midLine: midLine === 1, checkStart, checkLength, checkSum };
}
