// Reads what a file has more than was read of its log, and makes lines of it.
//
// Each read begins with the bytes before the place, so that the same call that brings new lines shows whether they
// belong to what was read before.

import { basename } from 'node:path';
import type { Clock } from '../../../platform/clock.ts';
import { bodyOf, type CutEnd, type CutRules, cutLines } from '../lines/line-cutter.ts';
import { type LogLine, truncatedAttribute } from '../lines/line-emission.ts';
import { checkLengthMax, checkSumOf, type LogMark, markAt } from './log-mark.ts';
import type { TailedFile } from './tailed-file.ts';
import type { TailedLog } from './tailed-log.ts';

export interface LinesRead {
  readonly lines: readonly LogLine[];
  /** Bytes that were settled. */
  readonly bytes: number;
  readonly skippedBytes: number;
  /** Up to where the log is read then. */
  readonly mark: LogMark;
  /** Nothing is behind it, as far as is known. */
  readonly isAtEnd: boolean;
  readonly isGroupOpen: boolean;
}

/** Passed marks that lie within one read are worth their checks in the beginning of a log only. */
const earlyBytes = 512 * 1024;

export class FileReader {
  readonly #rules: CutRules;
  readonly #clock: Clock;
  readonly #buffer: Buffer;

  constructor(options: { readonly rules: CutRules; readonly readBytesMax: number }, clock: Clock) {
    this.#rules = options.rules;
    this.#clock = clock;
    this.#buffer = Buffer.allocUnsafeSlow(checkLengthMax + options.readBytesMax);
  }

  /** `undefined`: the file holds something else by now. */
  async read(file: TailedFile, log: TailedLog, end: CutEnd): Promise<LinesRead | undefined> {
    const { offset, midLine, checkStart: base, checkLength, checkSum } = log.read;
    const bytes = this.#buffer;
    const count = await file.read(bytes, base);
    if (count < checkLength || checkSumOf(bytes.subarray(0, checkLength)) !== checkSum) return undefined;
    const cut = cutLines({ bytes, from: offset - base, to: count, midLine, end }, this.#rules);
    const text = Buffer.from(bytes.subarray(0, cut.consumed)); // The buffer is for the next read.
    const observedMs = this.#clock.now();
    const name = basename(file.path);
    const lines = cut.events.map((event): LogLine => {
      const place = base + event.start;
      if (offset < earlyBytes && log.passed.wants(base + event.next)) {
        log.passed.pass(markAt(bytes, base, base + event.next, false));
      }
      const body = bodyOf(text, event);
      const attributes = {
        'log.file.path': file.path,
        'log.file.name': name,
        'spillway.file.fingerprint': log.id,
        'spillway.file.offset': place,
      };
      return {
        body: place === 0 ? withoutByteOrderMark(body) : body,
        observedMs,
        attributes: event.isTruncated ? { ...attributes, [truncatedAttribute]: true } : attributes,
      };
    });
    return {
      lines,
      bytes: cut.consumed - (offset - base),
      skippedBytes: cut.skippedBytes,
      mark: markAt(bytes, base, base + cut.consumed, cut.midLine),
      isAtEnd: base + count >= file.byteLength,
      isGroupOpen: cut.isGroupOpen,
    };
  }
}

function withoutByteOrderMark(text: Uint8Array): Uint8Array {
  return text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf ? text.subarray(3) : text;
}
