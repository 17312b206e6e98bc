// A file, by device and inode: what lies in it now, and how much of it was seen. Names come and go.

import type { HostFile, HostFileFacts } from '../../../platform/host-files.ts';
import { checkSumOf, type LogMark } from './log-mark.ts';
import type { TailedLog } from './tailed-log.ts';

/** A file that was changed so recently may change again without a new time stamp. */
const racyMs = 50;

export type FileChange = 'same' | 'suspect' | 'changed' | 'shrunk';

export class TailedFile {
  readonly identity: string;
  path: string;
  log: TailedLog | undefined;
  handle: HostFile | undefined;
  /** As of the last look. */
  byteLength = 0;
  modifiedMs = 0;
  /** It may have changed since the last look. */
  needsLook = true;
  /** There may be bytes that were not cut into lines. */
  needsRead = false;
  /** Whole lines wait for company. */
  isGroupOpen = false;
  /** A pattern finds it. */
  isMatched = true;
  /** It has held nothing else before: then it may be a copy of a log. */
  isFresh = true;
  /** It was there when the source began to run for the first time. */
  isOriginal = false;
  /** All was taken that could be, the last line without its end as well; until it grows. */
  isFinished = false;
  /** The last call on it has failed. */
  isFailing = false;
  /** Moments of the monotonic clock. */
  grownMs: number;
  rotatedMs: number | undefined;
  undecidedMs: number | undefined;
  #isStable = false;

  constructor(identity: string, path: string, nowMs: number) {
    this.identity = identity;
    this.path = path;
    this.grownMs = nowMs;
  }

  /** Whether facts differ from those of the last look, or would not differ if there was a change. */
  differs({ byteLength, modifiedMs }: HostFileFacts): boolean {
    return !this.#isStable || byteLength !== this.byteLength || modifiedMs !== this.modifiedMs;
  }

  /** Takes note of facts. `suspect`: they are the same, and were too fresh last time to say that nothing changed. */
  note(facts: HostFileFacts, now: { readonly wallMs: number; readonly ms: number }): FileChange {
    const change = this.#changeTo(facts);
    this.#isStable = Math.abs(now.wallMs - facts.modifiedMs) > racyMs;
    if (change === 'changed' || change === 'shrunk') {
      this.grownMs = now.ms;
      this.isFinished = false;
    }
    this.byteLength = facts.byteLength;
    this.modifiedMs = facts.modifiedMs;
    return change;
  }

  #changeTo({ byteLength, modifiedMs }: HostFileFacts): FileChange {
    if (byteLength < this.byteLength) return 'shrunk';
    if (byteLength !== this.byteLength || modifiedMs !== this.modifiedMs) return 'changed';
    return this.#isStable ? 'same' : 'suspect';
  }

  /** Whether the bytes at the mark are those that were there when it was made. */
  async holds(mark: LogMark): Promise<boolean> {
    const bytes = new Uint8Array(mark.checkLength);
    const count = await this.read(bytes, mark.checkStart);
    return count === bytes.length && checkSumOf(bytes) === mark.checkSum;
  }

  /** In one call: between two the file may be truncated and grow again, and what they give would not fit together. */
  async read(target: Uint8Array, position: number): Promise<number> {
    return target.length === 0 ? 0 : ((await this.handle?.read(target, position)) ?? 0);
  }

  async close(): Promise<void> {
    const { handle } = this;
    this.handle = undefined;
    await handle?.close();
  }
}
