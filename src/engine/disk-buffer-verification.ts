// Chapter 13, continued. Reading every byte of a buffer's directory without opening it: is everything there that should
// be?
//
// Like inspection it takes no lock and changes nothing. On a buffer that is in use, what is written meanwhile is not
// looked at, and segments that are freed meanwhile are left out.
//
// What counts as damage is what a cursor would meet: bytes between frames that are no padding, a tail behind the last
// frame of a segment that others follow, ids that are missing and were durable, headers, the ledger. A torn tail of the
// last segment is none: nobody was promised it.
//
// Next: disk-buffer-age.ts.

import { checksumPortable } from '../base/checksum.ts';
import { DamageError, isStorageError, type SpillwayError } from '../base/errors.ts';
import type { FileSystem } from '../platform/file-system.ts';
import { eyesOf, findBuffer, type InspectionOptions, whileFilesVanish } from './disk-buffer-inspection.ts';
import { type Frame, frameHeaderBytes } from './frame.ts';
import type { IdRange } from './ledger-slot.ts';
import { letGo, type Segment } from './segment-catalog.ts';
import { segmentHeaderBytes } from './segment-header.ts';
import { SegmentWalk, type WalkStep } from './segment-walk.ts';

export interface VerifiedSegment {
  readonly number: number;
  readonly path: string;
  readonly byteLength: number;
  readonly frames: number;
  readonly records: number;
  readonly events: number;
  readonly payloadBytes: number;
}

export interface BufferVerification {
  readonly directory: string;
  /** No damage, no missing ids. */
  readonly isWhole: boolean;
  readonly segments: readonly VerifiedSegment[];
  readonly frames: number;
  readonly records: number;
  readonly events: number;
  /** Of segments, headers and the ledger. */
  readonly damage: readonly SpillwayError[];
  /** Ids that no frame has, between the oldest and the newest, and that a crash does not explain. */
  readonly missing: readonly IdRange[];
  /** Bytes behind the last frame of the last segment: what a crash, or a writer at this moment, left unfinished. */
  readonly tornBytes: number;
}

export interface VerificationOptions extends InspectionOptions {
  /** Checks every frame a second time, by a checksum in plain JavaScript. Slower by far. */
  readonly isPortable?: boolean;
}

type Sums = { frames: number; records: number; events: number; payloadBytes: number };

/** Rejects like `inspectBuffer`. */
export async function verifyBuffer(options: VerificationOptions): Promise<BufferVerification> {
  const eyes = eyesOf(options);
  const directory = await eyes.fileSystem.resolve(options.path);
  const { recovered, damage } = await whileFilesVanish(() => findBuffer(eyes, directory));
  const { isPortable = false } = options;
  const scan = new VerifyingScan({ fileSystem: eyes.fileSystem, isPortable, unconfirmed: recovered.unconfirmed });
  const readable = recovered.catalog.segments.filter(({ header }) => header !== undefined);
  for (const [index, segment] of readable.entries()) await scan.take(segment, index === readable.length - 1);
  const { segments, missing, tornBytes } = scan;
  // What the scan behind the hint has found already is found again by the walk over everything.
  const others = damage.filter(({ code }) => code !== 'SPILLWAY_DAMAGE_FRAME');
  const all = [...others, ...scan.damage];
  const total = segments.reduce(
    (sum, each) => ({
      frames: sum.frames + each.frames,
      records: sum.records + each.records,
      events: sum.events + each.events,
    }),
    { frames: 0, records: 0, events: 0 },
  );
  const isWhole = all.length === 0 && missing.length === 0;
  return { directory, isWhole, segments, ...total, damage: all, missing, tornBytes };
}

class VerifyingScan {
  readonly segments: VerifiedSegment[] = [];
  readonly damage: SpillwayError[] = [];
  readonly missing: IdRange[] = [];
  tornBytes = 0;
  readonly #fileSystem: FileSystem;
  readonly #isPortable: boolean;
  readonly #unconfirmed: readonly IdRange[];
  /** Undefined before the first frame: what lies before the oldest record is gone for good reasons. */
  #nextId: number | undefined;

  constructor(given: {
    readonly fileSystem: FileSystem;
    readonly isPortable: boolean;
    readonly unconfirmed: readonly IdRange[];
  }) {
    this.#fileSystem = given.fileSystem;
    this.#isPortable = given.isPortable;
    this.#unconfirmed = given.unconfirmed;
  }

  async take(segment: Segment, isLast: boolean): Promise<void> {
    try {
      const sums = await this.#walk(segment, isLast);
      const { number, path, byteLength } = segment;
      this.segments.push({ number, path, byteLength, ...sums });
    } catch (cause) {
      // Freed since it was listed: its records were acknowledged.
      if (!isStorageError(cause, 'missing')) throw cause;
    }
  }

  async #walk(segment: Segment, isLast: boolean): Promise<Sums> {
    const sums = { frames: 0, records: 0, events: 0, payloadBytes: 0 };
    const { header } = segment;
    if (header === undefined) return sums;
    const file = await this.#fileSystem.open(segment.path, 'read');
    try {
      const { salt: marker, alignment } = header;
      const end = segment.byteLength;
      const from = segmentHeaderBytes;
      const walk = new SegmentWalk({ file, marker, alignment, from, end, unreadable: 'damage' });
      for (;;) {
        const step = walk.next();
        if (step.kind === 'load') await walk.load();
        else if (step.kind === 'end') return this.#judgeTail(segment, step, isLast, sums);
        else if (step.kind === 'unknown_frame')
          return sums; // A newer build can judge it; its header was reported.
        else if (step.kind === 'frame') this.#judgeFrame(segment, step, sums);
        else this.#report(segment, step.from, step.to);
      }
    } finally {
      await letGo(file);
    }
  }

  #judgeFrame(segment: Segment, step: Extract<WalkStep, { kind: 'frame' }>, sums: Sums): void {
    this.#countFrame(step.frame, sums);
    if (this.#isPortable && !agrees(step)) this.#report(segment, step.offset, step.offset + step.frame.byteLength);
  }

  #judgeTail(
    segment: Segment,
    { offset, tail }: Extract<WalkStep, { kind: 'end' }>,
    isLast: boolean,
    sums: Sums,
  ): Sums {
    if (tail === 'none' || tail === 'zeros') return sums;
    if (isLast && tail === 'bytes') this.tornBytes = segment.byteLength - offset;
    else this.#report(segment, offset, segment.byteLength);
    return sums;
  }

  #countFrame({ firstId, nextId, recordCount, eventCount, payloadBytes }: Frame, sums: Sums): void {
    if (recordCount === 0) return; // A seal holds no record.
    sums.frames += 1;
    sums.records += recordCount;
    sums.events += eventCount;
    sums.payloadBytes += payloadBytes;
    const expected = this.#nextId ?? firstId;
    if (firstId > expected) this.#addMissing({ from: expected, to: firstId });
    this.#nextId = Math.max(nextId, expected);
  }

  #addMissing(range: IdRange): void {
    const explained = this.#unconfirmed.some(({ from, to }) => from <= range.from && range.to <= to);
    if (!explained) this.missing.push(range);
  }

  #report(segment: Segment, from: number, to: number): void {
    this.damage.push(
      new DamageError({
        code: 'SPILLWAY_DAMAGE_FRAME',
        path: segment.path,
        offset: from,
        byteLength: to - from,
        message: `Bytes ${from} to ${to} of ${segment.path} are not the frames that were written there`,
      }),
    );
  }
}

/** Whether plain JavaScript comes to the same checksum as the one that let the walk take these bytes for a frame. */
function agrees({ bytes, view, start, frame }: Extract<WalkStep, { kind: 'frame' }>): boolean {
  const covered = bytes.subarray(start + 8, start + frameHeaderBytes + frame.bodyBytes);
  return view.getUint32(start + 4, true) === checksumPortable(covered);
}
