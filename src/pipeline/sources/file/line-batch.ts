// Lines of several logs on their way together, and the places up to which each log is in the pipeline once they are.

import type { LogLine } from '../lines/line-emission.ts';
import type { LinesRead } from './file-reader.ts';
import type { LogMark } from './log-mark.ts';
import type { TailedLog } from './tailed-log.ts';

const batchBytesMax = 1024 * 1024;
const batchLinesMax = 8_192;

export class LineBatch {
  readonly lines: LogLine[] = [];
  readonly #marks = new Map<TailedLog, LogMark>();
  #bytes = 0;

  /** Nothing in it, not even a place. */
  get isEmpty(): boolean {
    return this.#marks.size === 0;
  }

  get isFull(): boolean {
    return this.#bytes >= batchBytesMax || this.lines.length >= batchLinesMax;
  }

  add(log: TailedLog, { lines, bytes, mark }: LinesRead): void {
    for (const line of lines) this.lines.push(line);
    this.#bytes += bytes;
    this.#marks.set(log, mark);
  }

  /** All of it was taken. */
  settle(): void {
    for (const [log, mark] of this.#marks) log.accepted = mark;
  }
}
