// A log: bytes that grow, known by their beginning, wherever they lie. One log may lie in several files, the original
// and a copy of it; it has one place up to which it was read.

import { assert } from '../../../base/assert.ts';
import { endOf, type LogMark, MarkTrail } from './log-mark.ts';

/** What a log may be known by: a checksum of its first lines, or device and inode. */
export type LogKey = string;

export interface LogState {
  /** Goes out with each line as its fingerprint. The key, unless another log had the same. */
  readonly id: string;
  readonly key: LogKey;
  /** The end of what the key was made of. */
  readonly headEnd: number;
  /** The name it was first found under. */
  readonly path: string;
  /** Everything before is in the pipeline. */
  readonly accepted: LogMark;
  readonly passed: readonly LogMark[];
  /** The file it was in last: device and inode. */
  readonly owner: string | undefined;
  /** When it was last seen, milliseconds since 1970-01-01 UTC. */
  readonly seenMs: number;
}

export class TailedLog {
  readonly id: string;
  readonly key: LogKey;
  readonly headEnd: number;
  readonly path: string;
  readonly passed: MarkTrail;
  /** Up to where it was read. Ahead of `accepted` by what is on its way. */
  read: LogMark;
  accepted: LogMark;
  owner: string | undefined;
  seenMs: number;
  /** On disk, so that its id means this log for ever: before that, no line of it may go out. */
  isRecorded: boolean;

  constructor(state: LogState, { isRecorded }: { readonly isRecorded: boolean }) {
    this.id = state.id;
    this.key = state.key;
    this.headEnd = state.headEnd;
    this.path = state.path;
    this.passed = new MarkTrail(state.passed);
    this.read = state.accepted;
    this.accepted = state.accepted;
    this.owner = state.owner;
    this.seenMs = state.seenMs;
    this.isRecorded = isRecorded;
  }

  /** Nothing but what its key was made of was checked: another log with the same first lines looks the same. */
  get isWeak(): boolean {
    return endOf(this.read) <= this.headEnd;
  }

  /** Checks by an earlier mark from now on: a copy holds the beginning of it, and not all that was checked so far. */
  checkBy({ checkStart, checkLength, checkSum }: LogMark): void {
    assert(this.read === this.accepted, 'nothing of the log is on its way', { id: this.id });
    this.accepted = { ...this.accepted, checkStart, checkLength, checkSum };
    this.read = this.accepted;
  }

  advance(mark: LogMark): void {
    this.read = mark;
    this.passed.pass(mark);
  }

  state(): LogState {
    const { id, key, headEnd, path, accepted, owner, seenMs } = this;
    return { id, key, headEnd, path, accepted, passed: this.passed.upTo(endOf(accepted)), owner, seenMs };
  }
}

/** All logs, by what they may be mistaken for. */
export class LogShelf {
  readonly #byKey = new Map<LogKey, TailedLog[]>();
  readonly #ids = new Set<string>();

  *[Symbol.iterator](): Generator<TailedLog> {
    for (const logs of this.#byKey.values()) yield* logs;
  }

  get size(): number {
    return this.#ids.size;
  }

  withKey(key: LogKey): readonly TailedLog[] {
    return this.#byKey.get(key) ?? [];
  }

  hasId(id: string): boolean {
    return this.#ids.has(id);
  }

  add(log: TailedLog): void {
    const logs = this.#byKey.get(log.key);
    if (logs === undefined) this.#byKey.set(log.key, [log]);
    else logs.push(log);
    this.#ids.add(log.id);
  }

  remove(log: TailedLog): void {
    const others = this.withKey(log.key).filter((each) => each !== log);
    if (others.length === 0) this.#byKey.delete(log.key);
    else this.#byKey.set(log.key, others);
    this.#ids.delete(log.id);
  }
}

export function newLog(
  given: Pick<LogState, 'id' | 'key' | 'headEnd' | 'path' | 'owner' | 'seenMs'> & { readonly start: LogMark },
): TailedLog {
  const { start, ...rest } = given;
  return new TailedLog({ ...rest, accepted: start, passed: [] }, { isRecorded: false });
}
