// When a buffer will be full, or empty, if it goes on as in the last minute.
//
// Samples are taken at collections, so that nothing runs between them. How fast a buffer fills is not read from the
// bytes on disk, which fall by a whole segment at a time, but from the backlog; what a payload byte costs on disk is
// learned from the files.

const windowMs = 60_000;
/** Less than this is no trend. */
const spanMsMin = 5_000;
const spacingMs = 1_000;

export interface FillSample {
  readonly atMs: number;
  readonly backlogEvents: number;
  readonly backlogBytes: number;
  /** Payload bytes appended, and bytes that files have grown by, since any one moment. */
  readonly appendedBytes: number;
  readonly writtenBytes: number;
  /** Bytes on disk that may still be appended; undefined where nobody knows. */
  readonly headroomBytes: number | undefined;
}

export class FillRates {
  /** At least a second apart; the first is the last one that is older than the window, if there is one. */
  readonly #samples: FillSample[] = [];
  #now: FillSample | undefined;

  add(sample: FillSample): void {
    this.#now = sample;
    const last = this.#samples.at(-1);
    if (last !== undefined && sample.atMs - last.atMs < spacingMs) return;
    this.#samples.push(sample);
    while (this.#samples[1] !== undefined && sample.atMs - this.#samples[1].atMs >= windowMs) this.#samples.shift();
  }

  /** Seconds; undefined while the buffer does not grow, or nothing is known yet. */
  get secondsToFull(): number | undefined {
    const headroom = this.#now?.headroomBytes;
    if (headroom === undefined) return undefined;
    if (headroom <= 0) return 0;
    const change = this.#change();
    if (change === undefined || change.backlogBytes <= 0 || change.appendedBytes <= 0) return undefined;
    const diskPerPayload = Math.max(1, change.writtenBytes / change.appendedBytes);
    return headroom / ((change.backlogBytes * diskPerPayload) / change.seconds);
  }

  /** Seconds; undefined while the backlog does not shrink. */
  get secondsToEmpty(): number | undefined {
    if (this.#now?.backlogEvents === 0) return 0;
    const change = this.#change();
    if (this.#now === undefined || change === undefined || change.backlogEvents >= 0) return undefined;
    return this.#now.backlogEvents / (-change.backlogEvents / change.seconds);
  }

  #change(): (Omit<FillSample, 'atMs' | 'headroomBytes'> & { readonly seconds: number }) | undefined {
    const [from] = this.#samples;
    const to = this.#now;
    if (from === undefined || to === undefined || to.atMs - from.atMs < spanMsMin) return undefined;
    return {
      seconds: (to.atMs - from.atMs) / 1_000,
      backlogEvents: to.backlogEvents - from.backlogEvents,
      backlogBytes: to.backlogBytes - from.backlogBytes,
      appendedBytes: to.appendedBytes - from.appendedBytes,
      writtenBytes: to.writtenBytes - from.writtenBytes,
    };
  }
}
