// Cuts bytes into events: lines, or groups of lines that belong together.
//
// Why without state: what is incomplete stays uncut, and the caller offers it again, longer. A file is read again from
// there; a stream keeps the rest. So a position in a file says everything, and nothing is lost with the process but
// work. The price, reading an unfinished line or group again when it grows, is bounded by `lineBytesMax`: a line that
// is longer is cut there, its rest is skipped (`midLine`), and a group that would pass it ends before.

import { joiningStep, type LineJoining } from './line-joining.ts';

export interface CutRules {
  readonly delimiter: Buffer;
  readonly lineBytesMax: number;
  readonly joining?: LineJoining | undefined;
}

interface CutLine {
  readonly start: number;
  /** Behind its text: the delimiter, and a CR before LF, are not part of it. */
  readonly end: number;
  /** Behind its delimiter. */
  readonly next: number;
  readonly isTruncated: boolean;
}

/** Lines that make one event; places are those in the bytes that were cut. */
export interface CutEvent {
  readonly lines: readonly CutLine[];
  readonly start: number;
  readonly next: number;
  readonly isTruncated: boolean;
}

export interface Cut {
  readonly events: readonly CutEvent[];
  /** All before this place is settled: in `events`, or skipped. */
  readonly consumed: number;
  /** The bytes at `consumed` belong to a line that was cut: they are to be skipped up to its end. */
  readonly midLine: boolean;
  /** Whole lines that wait for company are behind `consumed`. */
  readonly isGroupOpen: boolean;
  /** Bytes of overlong lines that are in no event. */
  readonly skippedBytes: number;
}

/** What to do with what is incomplete: leave it; end the group, leave the line; take all, for nothing will follow. */
export type CutEnd = 'leave' | 'end_group' | 'end_all';

export interface CutRange {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
  readonly midLine: boolean;
  readonly end: CutEnd;
}

/** Offer at least so many bytes where there are as many: less may be an incomplete line or group from end to end. */
export function cutBytesMin({ lineBytesMax, delimiter }: CutRules): number {
  return 2 * (lineBytesMax + delimiter.length) + 2;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

export function cutLines(range: CutRange, rules: CutRules): Cut {
  const cutter = new Cutter(range, rules);
  cutter.run();
  return cutter.cut();
}

const lineBreak = Buffer.of(lineFeed);

/** What an event says, its lines with a line feed between them. A view of `bytes` where it is one line. */
export function bodyOf(bytes: Buffer, { lines }: CutEvent): Uint8Array {
  const [first] = lines;
  if (first !== undefined && lines.length === 1) return bytes.subarray(first.start, first.end);
  const parts = lines.flatMap(({ start, end }) => [lineBreak, bytes.subarray(start, end)]);
  return Buffer.concat(parts.slice(1));
}

class Cutter {
  readonly #bytes: Buffer;
  readonly #rules: CutRules;
  readonly #end: CutEnd;
  readonly #stripsReturns: boolean;
  readonly #events: CutEvent[] = [];
  #group: CutLine[] = [];
  #at: number;
  #midLine: boolean;
  #skippedBytes = 0;

  constructor({ bytes, from, to, midLine, end }: CutRange, rules: CutRules) {
    this.#bytes = bytes.subarray(0, to);
    this.#rules = rules;
    this.#end = end;
    this.#stripsReturns = rules.delimiter.length === 1 && rules.delimiter[0] === lineFeed;
    this.#at = from;
    this.#midLine = midLine;
  }

  cut(): Cut {
    const isGroupOpen = this.#group.length > 0;
    const consumed = this.#group[0]?.start ?? this.#at;
    return {
      events: this.#events,
      consumed,
      midLine: this.#midLine,
      isGroupOpen,
      skippedBytes: this.#skippedBytes,
    };
  }

  run(): void {
    const { delimiter } = this.#rules;
    const bytes = this.#bytes;
    // A search for one byte is faster than one for a string of one byte.
    const sought = delimiter.length === 1 ? (delimiter[0] as number) : delimiter;
    if (this.#midLine && !this.#skipRest(sought)) return;
    for (;;) {
      if (bytes[this.#at] === 0) this.#skipHole();
      const found = bytes.indexOf(sought, this.#at);
      if (found < 0) break;
      this.#take(found, found + delimiter.length);
    }
    this.#takeRest();
    if (this.#end !== 'leave') this.#endGroup();
  }

  /** Zeros before a line: the hole that a writer leaves whose file was truncated and who goes on where it was. */
  #skipHole(): void {
    if (this.#group.length > 0) return; // What is consumed must reach to here.
    while (this.#bytes[this.#at] === 0) this.#at += 1;
  }

  #skipRest(sought: number | Buffer): boolean {
    const found = this.#bytes.indexOf(sought, this.#at);
    const until = found < 0 ? Math.max(this.#at, this.#bytes.length - this.#keptBytes) : found;
    this.#skippedBytes += until - this.#at;
    this.#at = found < 0 ? until : found + this.#rules.delimiter.length;
    this.#midLine = found < 0 && this.#end !== 'end_all';
    return found >= 0;
  }

  /** At the end, where a delimiter of several bytes may have come by half. */
  get #keptBytes(): number {
    return this.#end === 'end_all' ? 0 : this.#rules.delimiter.length - 1;
  }

  #takeRest(): void {
    const length = this.#bytes.length;
    const until = length - this.#keptBytes;
    if (until - this.#at > this.#rules.lineBytesMax) {
      this.#take(until, until);
      this.#endGroup(); // Its last line is cut in the middle: what comes next is skipped, so it cannot wait.
      this.#midLine = this.#end !== 'end_all';
    } else if (this.#end === 'end_all' && length > this.#at) {
      this.#take(length, length);
    }
  }

  #take(end: number, next: number): void {
    const start = this.#at;
    this.#at = next;
    const { lineBytesMax } = this.#rules;
    const isTruncated = end - start > lineBytesMax;
    let until = end;
    if (isTruncated) {
      until = characterStart(this.#bytes, start + lineBytesMax, start);
      this.#skippedBytes += end - until;
    } else if (this.#stripsReturns && until > start && next > end && this.#bytes[until - 1] === carriageReturn) {
      until -= 1;
    }
    const line = { start, end: until, next, isTruncated };
    if (this.#rules.joining === undefined) this.#emit([line]);
    else this.#join(line, this.#rules.joining);
  }

  #join(line: CutLine, joining: LineJoining): void {
    const text = this.#bytes.toString('utf8', line.start, line.end);
    const [first] = this.#group;
    if (first !== undefined) {
      const fits = line.end - first.start <= this.#rules.lineBytesMax;
      const step = fits ? joiningStep(joining, text) : 'begins_anew';
      if (step === 'begins_anew') {
        this.#endGroup();
      } else {
        this.#group.push(line);
        if (step === 'ends_with' || line.isTruncated) this.#endGroup();
        return;
      }
    }
    if (joining.start.test(text) && !line.isTruncated) this.#group = [line];
    else this.#emit([line]);
  }

  #endGroup(): void {
    if (this.#group.length > 0) this.#emit(this.#group);
    this.#group = [];
  }

  #emit(lines: readonly CutLine[]): void {
    const first = lines[0] as CutLine;
    const last = lines.at(-1) as CutLine;
    const isTruncated = lines.some((line) => line.isTruncated);
    this.#events.push({ lines, start: first.start, next: last.next, isTruncated });
  }
}

/** The last place at or before `at` where a UTF-8 character begins, or `at` where the bytes are no UTF-8. */
function characterStart(bytes: Buffer, at: number, least: number): number {
  for (let place = at; place > Math.max(least, at - 4); place--) {
    if (((bytes[place] ?? 0) & 0xc0) !== 0x80) return place;
  }
  return at;
}
