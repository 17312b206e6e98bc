// The sink that writes lines to a file: OTLP JSON, one request a line, or text, one event a line.
//
// A batch is delivered when its lines are on stable storage. A batch that failed in between, and one whose answer a
// crash has swallowed, is written again: lines may be there twice, and a file cannot drop repeats. What may go wrong
// with the file itself stands in output-file.ts, what happens to full ones in rotated-files.ts.
//
// Rotation looks at the next batch, never at a timer: a file with nothing new stays. Periods of `every_secs` are
// counted from 1970 on, so that a restart neither rotates nor forgets to.

import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { StorageError } from '../../../base/errors.ts';
import { type Signal, signals } from '../../../otlp/signal.ts';
import {
  defineSink,
  type OptionsProblem,
  type SinkDefinition,
  type SinkSurroundings,
} from '../../contract/definition.ts';
import type { HealthAnswer, Sink, SinkAnswer, SinkBatch, SinkContext } from '../../contract/sink.ts';
import { byteSize, seconds } from '../../contract/values.ts';
import { linesOf } from './line-codec.ts';
import { OutputFile } from './output-file.ts';
import { PathClaims } from './path-claims.ts';
import { hasSignal, problemOfTemplate, renderPath } from './path-template.ts';
import { RotatedFiles } from './rotated-files.ts';

const rotate = z.strictObject({
  max_size: byteSize({ min: 1 }).optional().describe('Puts a file aside before it would pass this size.'),
  every_secs: seconds({ min: 1 }).optional().describe('Puts a file aside when such a period has passed, in UTC.'),
  keep: z.number().int().min(1).optional().describe('How many to keep of those put aside. Default: all.'),
});

const schema = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .superRefine((template, context) => {
        const message = problemOfTemplate(template);
        if (message !== undefined) context.addIssue({ code: 'custom', message });
      })
      .meta({
        format: 'path', // As hostPath(), whose mark a further check would take off: the config makes it absolute.
        description: 'Where to write; %Y %m %d %H %M %S are the time of writing in UTC, {signal} is the signal.',
      }),
    encoding: z
      .strictObject({ codec: z.enum(['otlp_json', 'text']).default('otlp_json').describe('What a line is.') })
      .default({ codec: 'otlp_json' })
      .describe('otlp_json: an OTLP request; text: an event, of a log record its body.'),
    rotate: rotate.default({}).describe('When a file is put aside, as <path>.000001 and so on.'),
    compression: z.enum(['none', 'gzip']).default('none').describe('Of files that rotation has put aside.'),
  })
  .superRefine(({ rotate: { max_size: maxSize, every_secs: everyMs, keep }, compression }, context) => {
    if (maxSize !== undefined || everyMs !== undefined) return;
    const message = 'needs rotate.max_size or rotate.every_secs: without them no file is put aside';
    if (compression !== 'none') context.addIssue({ code: 'custom', path: ['compression'], message });
    if (keep !== undefined) context.addIssue({ code: 'custom', path: ['rotate', 'keep'], message });
  });

type Options = z.output<typeof schema>;

export const fileSink: SinkDefinition = defineSink({
  type: 'file',
  schema,
  check: checkPath,
  create: (options, context) => new FileSink(options, context),
});

/** The claims below would block the second one; what the config says is told before. */
function checkPath({ path }: Options, { earlier, signals: own }: SinkSurroundings<Options>): OptionsProblem[] {
  const other = earlier.find(({ options, signals: others }) => {
    return options.path === path && (!hasSignal(path) || others.some((signal) => own.includes(signal)));
  });
  if (other === undefined) return [];
  return [{ path: ['path'], message: `"${other.id}" writes to it, too; expected a path that is this sink's alone` }];
}

type FailureAnswer = Extract<SinkAnswer, { kind: 'retryable' | 'blocked' }>;

/** All file sinks of this process. */
const claims = new PathClaims();

class FileSink implements Sink {
  /** Batches one after the other: a file has one end. */
  readonly concurrencyMax = 1;
  readonly #options: Options;
  readonly #context: SinkContext;
  readonly #rotated: RotatedFiles;
  /** By signal where the path has it, else under ''. */
  readonly #open = new Map<Signal | '', OutputFile>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: Options, context: SinkContext) {
    this.#options = { ...options, path: resolve(options.path) };
    this.#context = context;
    const { compression, rotate } = options;
    this.#rotated = new RotatedFiles({ files: context.world.files, log: context.log, compression, keep: rotate.keep });
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    const lines = linesOf(this.#options.encoding.codec, batch);
    if (lines === undefined) return { kind: 'rejected', reason: `a record is no OTLP request of ${batch.signal}` };
    return await this.#alone(async () => {
      if (signal.aborted) return { kind: 'retryable', reason: 'stopped before it was written' };
      return (await this.#failureOf(() => this.#write(batch.signal, lines))) ?? { kind: 'delivered' };
    });
  }

  async checkHealth(): Promise<HealthAnswer> {
    return await this.#alone(async () => {
      const failure = await this.#failureOf(async () => {
        if (!hasSignal(this.#options.path)) return await this.#fileFor('logs', 0);
        for (const signal of signals) await this.#context.world.files.makeDirectories(dirname(this.#pathFor(signal)));
        return undefined;
      });
      return failure ?? { kind: 'healthy' };
    });
  }

  async close(): Promise<void> {
    await this.#alone(async () => {
      for (const slot of [...this.#open.keys()]) await this.#leave(slot);
    });
    await this.#rotated.close();
  }

  /** A check of health may come while a batch that took too long is still being written. */
  #alone<Value>(work: () => Promise<Value>): Promise<Value> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #failureOf(work: () => Promise<FailureAnswer | OutputFile | undefined>): Promise<FailureAnswer | undefined> {
    try {
      const result = await work();
      return result === undefined || result instanceof OutputFile ? undefined : result;
    } catch (error) {
      if (error instanceof StorageError) return { kind: kindOf(error), reason: error.message };
      throw error;
    }
  }

  async #write(signal: Signal, lines: Uint8Array): Promise<FailureAnswer | undefined> {
    const file = await this.#fileFor(signal, lines.length);
    if (!(file instanceof OutputFile)) return file;
    try {
      await file.append(lines, this.#context.world.clock.now());
    } catch (error) {
      if (!file.isTrusted) await this.#giveUp(signal);
      throw error;
    }
    return undefined;
  }

  /** The file to write so many bytes to now: the open one, or another after rotation, by date or by number. */
  async #fileFor(signal: Signal, byteLength: number): Promise<OutputFile | FailureAnswer> {
    const slot = this.#slotOf(signal);
    const path = this.#pathFor(signal);
    const open = this.#open.get(slot);
    if (open !== undefined && (open.path !== path || !(await open.isStillThere()))) await this.#leave(slot);
    const file = this.#open.get(slot) ?? (await this.#enter(slot, path));
    if (!(file instanceof OutputFile) || !this.#isFull(file, byteLength)) return file;
    await this.#rotate(slot, path);
    return await this.#enter(slot, path);
  }

  async #enter(slot: Signal | '', path: string): Promise<OutputFile | FailureAnswer> {
    const { world, log } = this.#context;
    const reason = `another sink of this process writes to ${path}: give each a path of its own`;
    if (!claims.claim(path, this)) return { kind: 'blocked', reason };
    let file: OutputFile | undefined;
    try {
      file = await OutputFile.open({ files: world.files, path, log });
      if (!claims.claim(file.identity, this)) {
        await file.close();
        file = undefined;
        return { kind: 'blocked', reason };
      }
    } finally {
      if (file === undefined) claims.release(path, this);
    }
    this.#open.set(slot, file);
    this.#rotated.tend(path);
    return file;
  }

  async #leave(slot: Signal | ''): Promise<void> {
    const file = this.#open.get(slot);
    if (file === undefined) return;
    this.#open.delete(slot);
    claims.release(file.identity, this);
    claims.release(file.path, this);
    await file.close();
  }

  async #rotate(slot: Signal | '', path: string): Promise<void> {
    await this.#leave(slot);
    await this.#rotated.putAside(path);
  }

  /** Leaves a file whose bytes are in doubt, under another name if that can be had. */
  async #giveUp(signal: Signal): Promise<void> {
    const path = this.#open.get(this.#slotOf(signal))?.path ?? this.#pathFor(signal);
    try {
      await this.#rotate(this.#slotOf(signal), path);
      this.#context.log.warn('a sync has failed: what comes next goes to a new file', { path });
    } catch (error) {
      this.#context.log.warn('a sync has failed, and the file could not be put aside', { path, error });
    }
  }

  #isFull(file: OutputFile, byteLength: number): boolean {
    const { max_size: maxSize, every_secs: everyMs } = this.#options.rotate;
    if (file.byteLength === 0) return false;
    if (maxSize !== undefined && file.byteLength + byteLength > maxSize) return true;
    if (everyMs === undefined) return false;
    return Math.floor(this.#context.world.clock.now() / everyMs) > Math.floor(file.lastWriteMs / everyMs);
  }

  #slotOf(signal: Signal): Signal | '' {
    return hasSignal(this.#options.path) ? signal : '';
  }

  #pathFor(signal: Signal): string {
    return renderPath(this.#options.path, { signal, nowMs: this.#context.world.clock.now() });
  }
}

/** Time heals a full disk and a failed write; a path that cannot be opened needs somebody. */
function kindOf({ kind, operation }: StorageError): 'retryable' | 'blocked' {
  if (kind === 'full' || kind === 'limit') return 'retryable';
  const isAboutThePath = operation === 'open' || operation === 'make directory' || operation === 'inspect';
  return kind === 'io' && !isAboutThePath ? 'retryable' : 'blocked';
}
