// The promise monitor: it stands between a buffer and its simulated disk, and fails the run the moment the buffer
// announces something that the disk would not keep.
//
// A crash sweep finds a broken promise only if the power fails in the window where it is broken, and the draw loses
// just those bytes. The monitor needs no crash and no luck: at every announcement it asks the disk whether what was
// announced would survive every power cut at that moment.
//
//   durable          every byte of the log up to there: headers, frames, names
//   published        the slot just written; its hint and its cursors lie at or below what survives (data before ledger)
//   segment_created  the epoch is in a ledger that survives, with `clean: false`
//   segment_freed    every ledger slot that survives places every cursor behind the segment
//   append, commit   what was promised to the caller lies below the durable frontier
//
// What it knows of the disk comes from the disk, read with the engine's own codecs; of the engine it believes nothing.
import type { BufferEvents, LogPosition } from '../engine/events.ts';
import { readFrame } from '../engine/frame.ts';
import { ledgerName } from '../engine/ledger.ts';
import { decodeLedgerSlot, type LedgerContent, ledgerSlotBytes } from '../engine/ledger-slot.ts';
import {
  parseSegmentFileName,
  readSegmentHeader,
  type SegmentHeader,
  segmentFileName,
  segmentHeaderBytes,
} from '../engine/segment-header.ts';
import type { SimDisk } from './sim-disk.ts';

/** What the monitor uses of a buffer. */
export type MonitoredBuffer = {
  readonly events: {
    on<Name extends keyof BufferEvents>(name: Name, listener: (value: BufferEvents[Name]) => void): () => void;
  };
  stats(): {
    readonly epoch: number;
    readonly durability: string;
    readonly frontiers: { readonly reserved: number; readonly written: number; readonly durable: number };
  };
};

export type PromiseMonitorOptions = {
  readonly buffer: MonitoredBuffer;
  readonly disk: SimDisk;
  /** The buffer's directory on that disk. */
  readonly directory: string;
};

/** A buffer has announced what the disk would not keep. */
export class PromiseBroken extends Error {
  override readonly name = 'PromiseBroken';
}

export class PromiseMonitor {
  readonly #buffer: MonitoredBuffer;
  readonly #disk: SimDisk;
  readonly #directory: string;
  readonly #endings: (() => void)[];
  /** The log up to here was seen to survive. Undefined: nothing was looked at, all of it comes with the next event. */
  #checked: LogPosition | undefined;
  #announcements = 0;

  /** Listens from now on. */
  constructor({ buffer, disk, directory }: PromiseMonitorOptions) {
    this.#buffer = buffer;
    this.#disk = disk;
    this.#directory = directory;
    this.#endings = [
      buffer.events.on('durable', (position) => this.#durable(position)),
      buffer.events.on('published', ({ generation }) => this.#published(generation)),
      buffer.events.on('segment_created', ({ segment }) => this.#created(segment)),
      buffer.events.on('segment_freed', ({ segment }) => this.#freed(segment)),
    ];
  }

  /** How many announcements were checked: a monitor that saw none proves nothing. */
  get announcements(): number {
    return this.#announcements;
  }

  /** To be called when an `append` has resolved, with the id after the record's last event. */
  accepted(endId: number): void {
    const { durability, frontiers } = this.#buffer.stats();
    if (durability === 'sync') this.#expectReached('append', 'durable', endId, frontiers.durable);
    else if (durability !== 'memory') this.#expectReached('append', 'written', endId, frontiers.written);
  }

  /** To be called when a `commit` has resolved, with the id that was the next one when it was called. */
  committed(endId: number): void {
    this.#expectReached('commit', 'durable', endId, this.#buffer.stats().frontiers.durable);
  }

  /** Listens no longer. */
  end(): void {
    for (const ending of this.#endings.splice(0)) ending();
  }

  #durable(position: LogPosition): void {
    this.#announcements += 1;
    const from = this.#checked;
    this.#checked = position;
    for (const segment of this.#segmentNumbers()) {
      if (segment > position.segment || segment < (from?.segment ?? 0)) continue;
      const path = this.#pathOf(segment);
      const length = this.#disk.bytesOf(path).length;
      const start = segment === from?.segment ? from.offset : 0;
      const end = segment === position.segment ? position.offset : length;
      this.#expect(end <= length, `durable up to ${end} of ${path}, which has ${length} bytes`);
      // What an earlier life left behind the last frame of a segment was announced by nobody.
      const isOld = from === undefined && segment < position.segment;
      for (const [begin, stop] of isOld ? this.#frames(path) : [[start, end] as const]) {
        const survives = this.#disk.wouldSurvive(path, begin, stop);
        this.#expect(
          survives,
          `durable up to ${position.nextId}: bytes ${begin} to ${stop} of ${path} would not survive`,
        );
      }
    }
  }

  #published(generation: number): void {
    this.#announcements += 1;
    const slot = this.#survivingSlots().find((candidate) => candidate.generation === generation);
    if (slot === undefined) {
      this.#break(`ledger ${generation} is published and would not survive`);
      return;
    }
    const { writer, cursors } = slot.content;
    const path = this.#pathOf(writer.segment);
    if (this.#disk.has(path)) {
      const survives = writer.offset === 0 || this.#disk.wouldSurvive(path, 0, writer.offset);
      this.#expect(
        survives,
        `ledger ${generation} says ${path} is durable up to ${writer.offset}: it would not survive`,
      );
    }
    for (const { name, nextId } of cursors) {
      // The place beside the id is a hint, which every reader verifies: it may be anything.
      this.#expect(
        nextId <= writer.nextId,
        `ledger ${generation}: cursor ${name} at ${nextId} is past ${writer.nextId}`,
      );
    }
  }

  /** The epoch is durable, and the start known as unclean, before the first change to any segment or name. */
  #created(segment: number): void {
    this.#announcements += 1;
    const { epoch } = this.#buffer.stats();
    const [newest] = this.#survivingSlots().sort((one, other) => other.generation - one.generation);
    const holds = newest !== undefined && newest.content.epoch === epoch && !newest.content.clean;
    const found = newest === undefined ? 'no ledger' : `epoch ${newest.content.epoch}, clean ${newest.content.clean}`;
    this.#expect(holds, `segment ${segment} begins in epoch ${epoch}, and ${found} would survive`);
  }

  #freed(segment: number): void {
    this.#announcements += 1;
    const endId = this.#firstIdBehind(segment);
    const slots = this.#survivingSlots();
    this.#expect(slots.length > 0, `segment ${segment} is freed and no ledger would survive`);
    for (const { generation, content } of slots) {
      for (const { name, nextId } of content.cursors) {
        const found = `cursor ${name} is at ${nextId} in ledger ${generation}, which would survive`;
        this.#expect(nextId >= endId, `segment ${segment}, which ends at ${endId}, is freed and ${found}`);
      }
    }
  }

  /** Slots of the ledger that every power cut at this moment would keep. */
  #survivingSlots(): { readonly generation: number; readonly content: LedgerContent }[] {
    const path = `${this.#directory}/${ledgerName}`;
    if (!this.#disk.has(path)) return [];
    const bytes = this.#disk.bytesOf(path);
    return [0, ledgerSlotBytes].flatMap((offset) => {
      const reading = decodeLedgerSlot(bytes.subarray(offset, offset + ledgerSlotBytes));
      const survives = this.#disk.wouldSurvive(path, offset, offset + ledgerSlotBytes);
      return reading.kind === 'valid' && survives ? [reading] : [];
    });
  }

  /** What of a segment matters: its frames, one after the other while they hold, and the header block before them. */
  #frames(path: string): readonly (readonly [number, number])[] {
    const bytes = this.#disk.bytesOf(path);
    const header = this.#headerOf(path);
    if (header === undefined) return [];
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const ranges: (readonly [number, number])[] = [];
    let offset = segmentHeaderBytes;
    for (;;) {
      const reading = readFrame(bytes, view, offset, bytes.length, header.salt);
      if (reading.kind !== 'frame') return ranges;
      const end = offset + reading.frame.byteLength;
      ranges.push([ranges.length === 0 ? 0 : offset, end]);
      offset = end;
    }
  }

  /** The id at which the log goes on behind a segment, where none follows behind all that was given; 0: not known. */
  #firstIdBehind(segment: number): number {
    const next = this.#segmentNumbers().find((number) => number > segment);
    if (next === undefined) return this.#buffer.stats().frontiers.durable;
    return this.#headerOf(this.#pathOf(next))?.firstId ?? 0;
  }

  #headerOf(path: string): SegmentHeader | undefined {
    const reading = readSegmentHeader(this.#disk.bytesOf(path).subarray(0, segmentHeaderBytes));
    return reading.kind === 'valid' ? reading.header : undefined;
  }

  #segmentNumbers(): number[] {
    const prefix = `${this.#directory}/`;
    return this.#disk.paths().flatMap((path) => {
      const number = path.startsWith(prefix) ? parseSegmentFileName(path.slice(prefix.length)) : undefined;
      return number === undefined ? [] : [number];
    });
  }

  #pathOf(segment: number): string {
    return `${this.#directory}/${segmentFileName(segment)}`;
  }

  #expectReached(call: string, frontier: string, endId: number, reached: number): void {
    this.#announcements += 1;
    this.#expect(
      endId <= reached,
      `${call} resolved for ids below ${endId}, and ${frontier} is what lies below ${reached}`,
    );
  }

  #expect(holds: boolean, found: string): void {
    if (!holds) this.#break(found);
  }

  #break(found: string): void {
    this.#disk.world.fail(new PromiseBroken(`Promise broken: ${found}`));
  }
}
