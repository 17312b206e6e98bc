// Which log lies in a file?
//
// By its first lines (`checksum`) or its inode (`device_and_inode`) a file may hold one of the logs that are known; a
// check of the bytes before the place up to which that log was read decides. So a renamed file, a copy that
// copy-and-truncate has made, and a file that was only moved go on where reading stopped, whatever their names, and a
// file whose content was replaced begins anew. Two logs that begin with the same lines are told apart by what follows,
// and have ids of their own.
//
// What cannot be told apart: files with the same bytes throughout; a copy is not to be read twice.

import type { World } from '../../contract/world.ts';
import type { FileSourceOptions } from './file-options.ts';
import { checkLengthMax, checkSumOf, endOf, firstMark, type LogMark, markAt } from './log-mark.ts';
import type { TailedFile } from './tailed-file.ts';
import { type LogShelf, newLog, type TailedLog } from './tailed-log.ts';

interface Head {
  readonly key: string;
  readonly end: number;
  /** From the first byte of the file, read together with what the key was made of. */
  readonly bytes: Buffer;
}

/** Where reading begins in a new log, and what else is known of its beginning. */
interface Start {
  readonly start: LogMark;
  readonly passed: readonly LogMark[];
}

export interface FindOptions {
  /** Nothing will be added to it: what is there will do, even without the end of a line. */
  readonly isFinal: boolean;
  readonly startsAtEnd: boolean;
}

/** `waits`: nothing can be said yet, and nothing may be read. */
export type FindResult = { readonly kind: 'waits' } | { readonly kind: 'known' | 'new'; readonly log: TailedLog };

/** A longer first line is known by its beginning. */
const headBytesMax = 64 * 1024;
const headBytesFirst = 4 * 1024;
/** How long a file that may be the beginning of a copy is given to grow. */
const undecidedMs = 5_000;
/** Of so many lines of a new log the ends are remembered. */
const firstLinesMax = 4;

export class LogFinder {
  readonly #options: FileSourceOptions;
  readonly #world: World;
  readonly #shelf: LogShelf;

  constructor(options: FileSourceOptions, world: World, shelf: LogShelf) {
    this.#options = options;
    this.#world = world;
    this.#shelf = shelf;
  }

  /** The file is open, and its facts were taken just now. */
  async find(file: TailedFile, options: FindOptions): Promise<FindResult> {
    const head = file.byteLength === 0 ? undefined : await this.#head(file, options);
    if (head === undefined) return { kind: 'waits' };
    const known = (await this.#knownIn(file, head)) ?? (await this.#copiedIn(file, head));
    if (known === 'undecided' && !options.isFinal && !this.#isWaitOver(file)) return { kind: 'waits' };
    file.undecidedMs = undefined;
    if (known !== undefined && known !== 'undecided') return { kind: 'known', log: known };
    const start = options.startsAtEnd ? await this.#lastLineStart(file) : this.#firstOf(head.bytes);
    return { kind: 'new', log: this.#bear(file, head, start) };
  }

  async #head(file: TailedFile, { isFinal }: FindOptions): Promise<Head | undefined> {
    const { strategy, ignoredHeaderBytes, lines } = this.#options.fingerprint;
    for (let length = headBytesFirst; length <= headBytesMax; length *= 4) {
      const target = Buffer.alloc(ignoredHeaderBytes + length);
      const bytes = target.subarray(0, await file.read(target, 0));
      if (strategy === 'device_and_inode') return { key: `inode-${file.identity.replace(':', '-')}`, end: 0, bytes };
      const counted = bytes.subarray(ignoredHeaderBytes);
      const found = headEnd(counted, lines, this.#options.rules.delimiter);
      const isAll = counted.length === headBytesMax || (isFinal && counted.length > 0 && bytes.length < target.length);
      const end = found ?? (isAll ? counted.length : undefined);
      if (end !== undefined) {
        return { key: checkSumOf(counted.subarray(0, end)), end: ignoredHeaderBytes + end, bytes };
      }
      if (bytes.length < target.length) return undefined;
    }
    return undefined;
  }

  /** The log that was read up to a place in this file. Its own log first, else the one that was read furthest. */
  async #knownIn(file: TailedFile, head: Head): Promise<TailedLog | undefined> {
    let best: TailedLog | undefined;
    for (const log of this.#shelf.withKey(head.key)) {
      if (endOf(log.read) > file.byteLength || !isPlausible(file, log)) continue;
      if (best !== undefined && !isBetter(log, best, file)) continue;
      if (await file.holds(log.read)) best = log;
    }
    return best ?? (await this.#begunIn(file, head));
  }

  /** A log of which nothing was read: of what its beginning is known by, the file may hold less, and be its copy. */
  async #begunIn(file: TailedFile, head: Head): Promise<TailedLog | undefined> {
    if (!file.isFresh) return undefined;
    for (const log of this.#shelf.withKey(head.key)) {
      if (log.read.offset > 0 || log.accepted !== log.read || log.owner === file.identity) continue;
      const mark = log.passed.upTo(file.byteLength).at(-1);
      if (mark === undefined || mark.offset <= head.end || !(await file.holds(mark))) continue;
      log.checkBy(mark);
      return log;
    }
    return undefined;
  }

  /** The log of which this file, shorter than what was read of it, holds the beginning. */
  async #copiedIn(file: TailedFile, head: Head): Promise<TailedLog | 'undecided' | undefined> {
    if (!file.isFresh) return undefined; // It is a log's own file and was cut: what comes is new.
    let isUndecided = false;
    for (const log of this.#shelf.withKey(head.key)) {
      if (endOf(log.read) <= file.byteLength || log.owner === file.identity) continue;
      const mark = log.passed.upTo(file.byteLength).at(-1);
      const tells = mark !== undefined && mark.offset > head.end;
      if (tells && (await file.holds(mark))) return log;
      if (!tells && file.path !== log.path) isUndecided = true;
    }
    return isUndecided ? 'undecided' : undefined;
  }

  #isWaitOver(file: TailedFile): boolean {
    const now = this.#world.clock.monotonic();
    file.undecidedMs ??= now;
    return now - file.undecidedMs >= undecidedMs;
  }

  #bear(file: TailedFile, { key, end }: Head, { start, passed }: Start): TailedLog {
    const id = this.#shelf.hasId(key) ? `${key}-${Buffer.from(this.#world.random.bytes(4)).toString('hex')}` : key;
    const seenMs = this.#world.clock.now();
    const log = newLog({ id, key, headEnd: end, path: file.path, owner: file.identity, seenMs, start });
    this.#shelf.add(log);
    for (const mark of passed) log.passed.pass(mark);
    return log;
  }

  #firstOf(bytes: Buffer): Start {
    const { delimiter } = this.#options.rules;
    const passed: LogMark[] = [];
    const checked = bytes.subarray(0, checkLengthMax);
    for (let end = 0; passed.length < firstLinesMax; ) {
      const found = checked.indexOf(delimiter, end);
      if (found < 0) break;
      end = found + delimiter.length;
      passed.push(markAt(checked, 0, end, false));
    }
    return { start: firstMark(checked), passed };
  }

  /** Where the line begins that ends the file, or may be going to. */
  async #lastLineStart(file: TailedFile): Promise<Start> {
    const { delimiter, lineBytesMax } = this.#options.rules;
    const windowStart = Math.max(0, file.byteLength - lineBytesMax - delimiter.length - 1024);
    const bytes = Buffer.alloc(file.byteLength - windowStart);
    const window = bytes.subarray(0, await file.read(bytes, windowStart));
    const found = window.lastIndexOf(delimiter);
    if (found < 0 && windowStart === 0) return this.#firstOf(window);
    const end = windowStart + (found < 0 ? window.length : found + delimiter.length);
    return { start: markAt(window, windowStart, end, found < 0), passed: [] };
  }
}

/**
 * With nothing checked but the first lines, a file is a copy of the log unless it took over its name, as a new file
 * does when the old one is renamed, or held something else before.
 */
function isPlausible(file: TailedFile, log: TailedLog): boolean {
  if (!log.isWeak) return true;
  if (!file.isFresh) return false;
  return log.owner === file.identity || file.path !== log.path;
}

function isBetter(log: TailedLog, best: TailedLog, file: TailedFile): boolean {
  const isOwn = log.owner === file.identity;
  if (isOwn !== (best.owner === file.identity)) return isOwn;
  return log.read.offset > best.read.offset;
}

/** Behind the first `lines` lines, if they are there. */
function headEnd(bytes: Buffer, lines: number, delimiter: Buffer): number | undefined {
  let end = 0;
  for (let line = 0; line < lines; line++) {
    const found = bytes.indexOf(delimiter, end);
    if (found < 0) return undefined;
    end = found + delimiter.length;
  }
  return end;
}
