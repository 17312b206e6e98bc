// The source `file`: tails files, remembers how far it came, and follows them through rotation.
//
// Each line becomes a log record with the fingerprint of its log and its offset there. Both together name the line for
// ever: what a crash repeats can be removed by them. While a batch waits for room one more is read, and the patterns
// are searched as usual: files that are rotated meanwhile are noticed and stay open.

import type { Timer } from '../../../platform/clock.ts';
import { defineSource, type SourceDefinition } from '../../contract/definition.ts';
import type { Source, SourceContext } from '../../contract/source.ts';
import { LineEmission } from '../lines/line-emission.ts';
import { CheckpointFile } from './checkpoint-file.ts';
import { type FileSourceOptions, fileSourceOptions, fileSourceSchema } from './file-options.ts';
import { FileTail } from './file-tail.ts';
import { LineBatch } from './line-batch.ts';
import { LogShelf, TailedLog } from './tailed-log.ts';

export const fileSource: SourceDefinition = defineSource({
  type: 'file',
  schema: fileSourceSchema,
  signals: () => ['logs'],
  create: (options, context) => new FileSource(fileSourceOptions(options), context),
});

const pollMs = 100;
/** Searching for files takes no more than a part of the time, however many there are. */
const scanPaceFactor = 5;
/** A log that no file has held for so long is forgotten: should it come back, it would be read again. */
const forgetAfterMs = 7 * 24 * 3_600_000;
const forgetIntervalMs = 3_600_000;

class FileSource implements Source {
  readonly #options: FileSourceOptions;
  readonly #context: SourceContext;
  readonly #checkpoints: CheckpointFile;
  readonly #emission: LineEmission;
  readonly #shelf = new LogShelf();
  #batch = new LineBatch();
  #sending: Promise<void> | undefined;
  /** A batch was not taken: nothing behind it may be sent, or the place of its log would move past it. */
  #isGivenUp = false;
  #failure: { readonly cause: unknown } | undefined;
  #nextForgetMs: number | undefined;
  #wake: () => void = () => undefined;

  constructor(options: FileSourceOptions, context: SourceContext) {
    const { world, log, stateDirectory: directory } = context;
    this.#options = options;
    this.#context = context;
    this.#checkpoints = new CheckpointFile({ directory, world, log });
    this.#emission = new LineEmission(context);
  }

  async run(): Promise<void> {
    const { stopping } = this.#context;
    const states = await this.#checkpoints.load();
    if (!this.#options.ignoreCheckpoints) {
      for (const state of states ?? []) this.#shelf.add(new TailedLog(state, { isRecorded: true }));
    }
    // Even if this run finds no file, the next one is not the first.
    if (states === undefined) this.#checkpoints.noteChange();
    const tail = new FileTail({
      options: this.#options,
      context: this.#context,
      shelf: this.#shelf,
      isFirstRun: states === undefined,
      changed: () => this.#checkpoints.noteChange(),
    });
    const wake = (): void => this.#wake();
    stopping.addEventListener('abort', wake);
    try {
      await this.#tail(tail);
    } finally {
      stopping.removeEventListener('abort', wake);
      await this.#sending;
      await tail.close();
      await this.#checkpoints.save(this.#shelf, { isLast: true });
    }
  }

  async #tail(tail: FileTail): Promise<void> {
    const { stopping, world } = this.#context;
    let nextScanMs = world.clock.monotonic();
    while (!stopping.aborted) {
      if (this.#failure !== undefined) throw this.#failure.cause;
      const startedMs = world.clock.monotonic();
      if (startedMs >= nextScanMs) {
        await tail.scan();
        this.#forgetOld();
        const endedMs = world.clock.monotonic();
        nextScanMs = endedMs + Math.max(this.#options.scanIntervalMs, scanPaceFactor * (endedMs - startedMs));
      }
      await tail.look();
      await this.#checkpoints.save(this.#shelf);
      const hasRead = !this.#batch.isFull && (await tail.read(this.#batch));
      if (this.#isGivenUp) return;
      if (this.#sending === undefined && !this.#batch.isEmpty && (this.#batch.isFull || !hasRead)) this.#send();
      if (hasRead && !this.#batch.isFull) continue;
      const untilScanMs = Math.max(0, nextScanMs - world.clock.monotonic());
      await this.#sleep(tail.isWarm || !this.#batch.isEmpty ? Math.min(pollMs, untilScanMs) : untilScanMs);
    }
  }

  #send(): void {
    const batch = this.#batch;
    this.#batch = new LineBatch();
    const send = async (): Promise<void> => {
      if ((await this.#emission.emit(batch.lines)) === 'stopped') {
        this.#isGivenUp = true;
        return;
      }
      batch.settle();
      this.#checkpoints.noteChange();
    };
    this.#sending = send()
      .catch((cause: unknown) => {
        this.#failure = { cause };
      })
      .finally(() => {
        this.#sending = undefined;
        this.#wake();
      });
  }

  /** Until the time is over, a batch has gone out, or the source is to stop. */
  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const end = (): void => {
        timer?.cancel();
        this.#wake = () => undefined;
        resolve();
      };
      this.#wake = end;
      if (this.#context.stopping.aborted) end();
      else timer = this.#context.world.clock.setTimer(delayMs, end);
    });
  }

  /** Not at once: after a long sleep all are old until their files were looked at. */
  #forgetOld(): void {
    const nowMs = this.#context.world.clock.monotonic();
    this.#nextForgetMs ??= nowMs + forgetIntervalMs;
    if (nowMs < this.#nextForgetMs) return;
    this.#nextForgetMs = nowMs + forgetIntervalMs;
    const since = this.#context.world.clock.now() - forgetAfterMs;
    for (const log of [...this.#shelf]) if (log.seenMs < since) this.#shelf.remove(log);
  }
}
