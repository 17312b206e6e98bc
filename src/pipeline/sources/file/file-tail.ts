// All files that the patterns find, and those that they found: what lies in them, and what is to be read.
//
// A round has three steps. `scan` asks the patterns. `look` opens what may have changed and says which log lies in it.
// `read` takes lines, from a log's own file first. A file may be read for a log that it does not own, a copy, only when
// the own file has no more, and only after the change of owner is on disk: what a crash repeats is then the same.

import type { FoundFile, HostFileFacts } from '../../../platform/host-files.ts';
import type { SourceContext } from '../../contract/source.ts';
import type { CutEnd } from '../lines/line-cutter.ts';
import { SkipReport } from '../lines/skip-report.ts';
import type { FileSourceOptions } from './file-options.ts';
import { FileReader } from './file-reader.ts';
import type { LineBatch } from './line-batch.ts';
import { LogFinder } from './log-finder.ts';
import { endOf } from './log-mark.ts';
import { OpenFiles } from './open-files.ts';
import { type FileChange, TailedFile } from './tailed-file.ts';
import type { LogShelf, TailedLog } from './tailed-log.ts';

/** A file that has grown within this time is looked at with every poll, others with every scan. */
const warmMs = 10_000;
/** And no oftener than that while reading does not pause. */
const warmIntervalMs = 50;

export interface FileTailOptions {
  readonly options: FileSourceOptions;
  readonly context: SourceContext;
  readonly shelf: LogShelf;
  /** There was no run before: files found now were there before us. */
  readonly isFirstRun: boolean;
  /** Something changed that is to be remembered. */
  readonly changed: () => void;
}

export class FileTail {
  readonly #options: FileSourceOptions;
  readonly #context: SourceContext;
  readonly #finder: LogFinder;
  readonly #reader: FileReader;
  readonly #open: OpenFiles;
  readonly #changed: () => void;
  readonly #skips: SkipReport;
  readonly #files = new Map<string, TailedFile>();
  #isFirstScan: boolean;
  #isScanFailing = false;
  #nextWarmLookMs = 0;

  constructor({ options, context, shelf, isFirstRun, changed }: FileTailOptions) {
    this.#options = options;
    this.#context = context;
    this.#finder = new LogFinder(options, context.world, shelf);
    this.#reader = new FileReader(options, context.world.clock);
    this.#open = new OpenFiles(context.world, context.log);
    this.#changed = changed;
    this.#skips = new SkipReport(context.world.clock, context.log);
    this.#isFirstScan = isFirstRun;
  }

  /** Whether anything has changed lately, so that it is worth looking often. */
  get isWarm(): boolean {
    const since = this.#now() - warmMs;
    for (const file of this.#files.values()) if (file.grownMs >= since && file.handle !== undefined) return true;
    return false;
  }

  async close(): Promise<void> {
    this.#skips.end();
    await this.#open.closeAll();
  }

  async scan(): Promise<void> {
    const { include, exclude } = this.#options;
    let found: FoundFile[];
    try {
      found = await this.#context.world.files.find(include, exclude);
    } catch (error) {
      if (!this.#isScanFailing) this.#context.log.warn('Patterns cannot be searched; it is tried again', { error });
      this.#isScanFailing = true;
      return;
    }
    this.#isScanFailing = false;
    const pathsOf = new Map<string, string[]>();
    for (const { path, facts } of found) {
      const paths = pathsOf.get(facts.identity);
      if (paths === undefined) pathsOf.set(facts.identity, [path]);
      else paths.push(path);
      this.#noteFound(path, facts);
    }
    for (const file of this.#files.values()) this.#notePlace(file, pathsOf.get(file.identity));
    this.#isFirstScan = false;
  }

  #noteFound(path: string, facts: HostFileFacts): void {
    const known = this.#files.get(facts.identity);
    if (known !== undefined) {
      if (known.differs(facts)) known.needsLook = true;
      return;
    }
    const file = new TailedFile(facts.identity, path, this.#now());
    file.isOriginal = this.#isFirstScan;
    this.#files.set(file.identity, file);
  }

  #notePlace(file: TailedFile, paths: readonly string[] | undefined): void {
    const [first] = paths ?? [];
    if (first === undefined || paths === undefined) {
      file.isMatched = false;
      file.rotatedMs ??= this.#now();
      file.needsLook = true; // No scan tells of it any more.
      return;
    }
    file.isMatched = true;
    if (file.isFailing) file.needsLook = true;
    if (file.log !== undefined) file.log.seenMs = this.#context.world.clock.now();
    if (file.log === undefined && (file.undecidedMs !== undefined || this.#isQuiet(file))) file.needsLook = true;
    if (paths.includes(file.path)) return;
    file.path = first;
    file.rotatedMs ??= this.#now();
  }

  /** Looks at files that may have changed. */
  async look(): Promise<void> {
    const now = this.#now();
    const isWarmLook = now >= this.#nextWarmLookMs;
    if (isWarmLook) this.#nextWarmLookMs = now + warmIntervalMs;
    for (const file of [...this.#files.values()]) {
      if (this.#context.stopping.aborted) return;
      const isWarm = isWarmLook && file.handle !== undefined && file.grownMs >= now - warmMs;
      if (file.needsLook || isWarm) await this.#lookAt(file);
      if (this.#isOver(file) && !file.isMatched) await this.#letGo(file);
    }
    await this.#open.trim();
  }

  async #lookAt(file: TailedFile): Promise<void> {
    file.needsLook = false; // If it fails the next scan finds it different still.
    if (!(await this.#open.open(file)) || file.handle === undefined) {
      if (!file.isMatched) this.#forget(file); // Its name is gone, and it was not open.
      return;
    }
    const { clock } = this.#context.world;
    try {
      const change = file.note(await file.handle.facts(), { wallMs: clock.now(), ms: clock.monotonic() });
      if (change === 'shrunk') this.#leaveLog(file);
      await this.#nameLog(file, file.isFailing ? 'changed' : change);
      file.isFailing = false;
      file.needsLook = false;
    } catch (error) {
      await this.#reportUnreadable(file, error);
    }
  }

  async #nameLog(file: TailedFile, change: FileChange): Promise<void> {
    const { log } = file;
    if (log !== undefined) {
      const isBehind = file.byteLength < endOf(log.read);
      if (!isBehind && change !== 'same') file.needsRead = true;
      // Shorter than what was read of its log, it is a copy of the beginning. As it changes it may turn out otherwise.
      if (!isBehind || change !== 'changed') return;
    }
    file.log = undefined;
    const startsAtEnd = this.#startsAtEnd(file);
    const result = await this.#finder.find(file, { isFinal: this.#isQuiet(file), startsAtEnd });
    file.isOriginal = false; // What is added to it while it waits comes later.
    if (result.kind === 'waits') return;
    file.log = result.log;
    file.needsRead = true;
    this.#changed();
    if (result.kind === 'new') {
      file.rotatedMs = this.#isQuiet(file) ? file.rotatedMs : undefined;
      this.#context.log.info('Reads a new log', { path: file.path, fingerprint: result.log.id });
      return;
    }
    const isElsewhere = result.log.owner !== file.identity || result.log.path !== file.path;
    if (isElsewhere) file.rotatedMs ??= this.#now();
    this.#context.log.debug('Goes on with a log', { path: file.path, fingerprint: result.log.id });
  }

  #startsAtEnd(file: TailedFile): boolean {
    const { readFrom, ignoreOlderMs } = this.#options;
    if (!file.isFresh) return false;
    if (file.isOriginal && readFrom === 'end') return true;
    return ignoreOlderMs !== undefined && this.#context.world.clock.now() - file.modifiedMs > ignoreOlderMs;
  }

  /** Reads until the batch is full or no file has more. True if there was anything. */
  async read(batch: LineBatch): Promise<boolean> {
    const files = [...this.#files.values()].filter((file) => this.#endFor(file) !== undefined);
    if (this.#options.oldestFirst) files.sort((a, b) => a.modifiedMs - b.modifiedMs);
    let hasRead = false;
    for (const file of files) {
      let hasProgress: boolean;
      do {
        if (batch.isFull || this.#context.stopping.aborted) return hasRead;
        hasProgress = await this.#readFrom(file, batch);
        hasRead ||= hasProgress;
      } while (this.#options.oldestFirst && hasProgress && file.needsRead);
    }
    return hasRead;
  }

  async #readFrom(file: TailedFile, batch: LineBatch): Promise<boolean> {
    const { log } = file;
    const end = this.#endFor(file);
    if (log === undefined || end === undefined || !this.#mayRead(file, log)) return false;
    if (!(await this.#open.open(file))) return false;
    try {
      const result = await this.#reader.read(file, log, end);
      if (result === undefined) {
        this.#leaveLog(file);
        return false;
      }
      file.needsRead = !result.isAtEnd;
      file.isGroupOpen = result.isGroupOpen;
      if (end === 'end_all') file.isFinished = true;
      if (result.mark.offset === log.read.offset) return false;
      this.#skips.add(result.skippedBytes, { path: file.path });
      this.#files.delete(file.identity); // To the end of the row: a file that grows all the time is not the only one.
      this.#files.set(file.identity, file);
      batch.add(log, result);
      log.advance(result.mark);
      return true;
    } catch (error) {
      await this.#reportUnreadable(file, error);
      return false;
    }
  }

  /** How what is there is to be read now: undefined where nothing is to be done. */
  #endFor(file: TailedFile): CutEnd | undefined {
    if (file.log === undefined) return undefined;
    if (file.needsRead) return 'leave';
    if (file.byteLength <= file.log.read.offset) return undefined;
    if (!file.isFinished && this.#isQuiet(file)) return 'end_all';
    const { joining } = this.#options.rules;
    if (!file.isGroupOpen || joining === undefined) return undefined;
    return this.#now() - file.grownMs >= joining.timeoutMs ? 'end_group' : undefined;
  }

  /** A log's own file is read first; another takes over when the own one has no more, and that is recorded before. */
  #mayRead(file: TailedFile, log: TailedLog): boolean {
    if (isOwner(file)) return log.isRecorded;
    if (file.byteLength <= log.read.offset) {
      file.needsRead = false;
      return false;
    }
    const owner = log.owner === undefined ? undefined : this.#files.get(log.owner);
    if (owner !== undefined && owner.log === log && (owner.needsLook || owner.needsRead)) return false;
    log.owner = file.identity;
    log.isRecorded = false;
    this.#changed();
    return false;
  }

  /** The file holds something else than what was read from it. */
  #leaveLog(file: TailedFile): void {
    const { log } = file;
    if (log?.owner === file.identity) log.owner = undefined;
    file.log = undefined;
    file.isFresh = false;
    file.needsLook = true;
    file.needsRead = false;
    file.isGroupOpen = false;
    file.rotatedMs = undefined;
    this.#changed();
    if (log !== undefined) {
      this.#context.log.info('A file was truncated or written anew', { path: file.path, fingerprint: log.id });
    }
  }

  /** Nothing was added for so long after it was renamed, removed or found as a copy, that nothing will be. */
  #isQuiet(file: TailedFile): boolean {
    if (file.rotatedMs === undefined) return false;
    return this.#now() - Math.max(file.rotatedMs, file.grownMs) >= this.#options.rotateWaitMs;
  }

  /** Everything was taken that ever will be. */
  #isOver(file: TailedFile): boolean {
    return this.#isQuiet(file) && !file.needsLook && this.#endFor(file) === undefined;
  }

  async #letGo(file: TailedFile): Promise<void> {
    await this.#open.close(file);
    this.#forget(file);
  }

  #forget(file: TailedFile): void {
    this.#files.delete(file.identity);
    if (file.log?.owner === file.identity) file.log.owner = undefined; // Its inode may be somebody else's soon.
    this.#changed();
  }

  async #reportUnreadable(file: TailedFile, error: unknown): Promise<void> {
    if (!file.isFailing) this.#context.log.warn('A file cannot be read; it is tried again', { path: file.path, error });
    file.isFailing = true;
    file.needsLook = false; // Until the next scan.
    file.needsRead = false;
    await this.#open.close(file);
    if (!file.isMatched) this.#forget(file);
  }

  #now(): number {
    return this.#context.world.clock.monotonic();
  }
}

function isOwner({ log, identity }: TailedFile): boolean {
  return log?.owner === identity;
}
