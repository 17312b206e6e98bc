// A place in a log, with a check of the bytes before it, or at the beginning of those behind it: whoever comes back can
// tell whether the file still holds what was read, or something else in its place.
//
// Why: a name says nothing about content, an inode is reused, and a file that was truncated and has grown again looks
// like one that has only grown. A check of the bytes before the place tells them apart unless the lines are the same.

import { hash } from 'node:crypto';

export interface LogMark {
  readonly offset: number;
  /** The bytes from here to the end of the line are the rest of a line that was cut: to be skipped. */
  readonly midLine: boolean;
  /** Where the bytes begin that are checked, and how many they are. */
  readonly checkStart: number;
  readonly checkLength: number;
  readonly checkSum: string;
}

/** Enough for two lines and their times, and no more to read again with each look. */
export const checkLengthMax = 512;

export function checkSumOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex').slice(0, 16);
}

/** Behind everything that must be there if the mark is right. */
export function endOf({ offset, checkStart, checkLength }: LogMark): number {
  return Math.max(offset, checkStart + checkLength);
}

/** The mark at `offset`, from bytes that begin at `bytesOffset` in the file and reach to `offset` at least. */
export function markAt(bytes: Uint8Array, bytesOffset: number, offset: number, midLine: boolean): LogMark {
  const end = offset - bytesOffset;
  const start = Math.max(0, end - checkLengthMax);
  const checkSum = checkSumOf(bytes.subarray(start, end));
  return { offset, midLine, checkStart: bytesOffset + start, checkLength: end - start, checkSum };
}

/** The mark before the first byte: nothing is before it, so what is behind it is checked, as far as it is there. */
export function firstMark(bytes: Uint8Array): LogMark {
  const checkLength = Math.min(bytes.length, checkLengthMax);
  return {
    offset: 0,
    midLine: false,
    checkStart: 0,
    checkLength,
    checkSum: checkSumOf(bytes.subarray(0, checkLength)),
  };
}

const earlyMax = 10;
const earlyLinesMax = 4;
const earlyGrowth = 8;
const earlySpan = 512;
const recentMax = 4;

/**
 * Marks that were passed. They tell whether a file that is shorter than what was read is a copy of its beginning: dense
 * at both ends, because a copy that was just taken ends near the end, and one that is being made near the beginning.
 */
export class MarkTrail {
  readonly #early: LogMark[] = [];
  #recent: LogMark[] = [];

  constructor(marks: readonly LogMark[] = []) {
    for (const mark of marks) this.pass(mark);
  }

  /** Whether a mark here would be kept for good. */
  wants(offset: number): boolean {
    const last = this.#early.at(-1);
    if (this.#early.length >= earlyMax) return false;
    if (last === undefined) return offset > 0;
    if (offset <= last.offset) return false;
    return this.#early.length < earlyLinesMax || offset >= Math.max(earlySpan, last.offset * earlyGrowth);
  }

  pass(mark: LogMark): void {
    if (this.wants(mark.offset)) {
      this.#early.push(mark);
    } else if (mark.offset > (this.#recent.at(-1)?.offset ?? this.#early.at(-1)?.offset ?? 0)) {
      this.#recent.push(mark);
      if (this.#recent.length > recentMax) this.#recent = this.#recent.slice(-recentMax);
    }
  }

  /** Up to and with `offset`, ascending. */
  upTo(offset: number): LogMark[] {
    return [...this.#early, ...this.#recent].filter((mark) => mark.offset <= offset);
  }
}
