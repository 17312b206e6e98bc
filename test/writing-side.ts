// The writing side of a buffer on a simulated disk, put together by hand: everything from the writer down to the files,
// and nothing of recovery, ledger and readers. Tests look at each part from outside.

import { Committer } from '../src/engine/committer.ts';
import { SegmentFiles } from '../src/engine/committer-files.ts';
import { type BufferEvents, EventHub } from '../src/engine/events.ts';
import { type DiskBufferOptions, type Limits, resolveLimits } from '../src/engine/limits.ts';
import { LogBuffer } from '../src/engine/log-buffer.ts';
import { SegmentCatalog } from '../src/engine/segment-catalog.ts';
import type { SegmentHeader } from '../src/engine/segment-header.ts';
import { Quarantine } from '../src/engine/segment-quarantine.ts';
import { Stability } from '../src/engine/stability.ts';
import { type DropReason, Writer } from '../src/engine/writer.ts';
import { Space } from '../src/engine/writer-space.ts';
import { type IoCall, SimDisk, type SimDiskOptions, type SimProcess, SimWorld } from '../src/testing/index.ts';

export const bufferDirectory = '/data/buffer';
export const bufferUuid = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';

export type WritingSideOptions = {
  readonly seed?: number;
  readonly disk?: SimDiskOptions;
  readonly limits?: Omit<Partial<DiskBufferOptions>, 'path'>;
  /** Files beside segments and ledger, in bytes. */
  readonly otherBytes?: number;
  /** Leave the epoch unpublished and the committer in `starting`. */
  readonly asleep?: boolean;
};

type Told = { [Name in keyof BufferEvents]?: BufferEvents[Name][] };

/** One writing side, its machine, and what it told. */
export class WritingSide {
  readonly world: SimWorld;
  readonly disk: SimDisk;
  readonly process: SimProcess;
  readonly limits: Limits;
  readonly events: EventHub = new EventHub();
  readonly catalog: SegmentCatalog;
  readonly log: LogBuffer;
  readonly stability: Stability;
  readonly files: SegmentFiles;
  readonly committer: Committer;
  readonly quarantine: Quarantine;
  readonly space: Space;
  readonly writer: Writer;
  readonly told: Told = {};
  readonly dropped: { reason: DropReason; events: number; bytes: number }[] = [];
  roomWanted = 0;
  rolled = 0;
  publishDue = 0;
  progressed = 0;
  #newestSegment = 0;

  constructor(options: WritingSideOptions = {}) {
    this.world = new SimWorld({ seed: options.seed ?? 1 });
    this.disk = new SimDisk(this.world, { directories: [bufferDirectory], ...options.disk });
    this.process = this.disk.start();
    const { fileSystem, clock } = this.process;
    const { events } = this;
    const limits = resolveLimits({ path: bufferDirectory, ...options.limits });
    this.limits = limits;
    this.#listen();
    const catalog = new SegmentCatalog(fileSystem, events);
    catalog.identify(bufferUuid, 1);
    this.catalog = catalog;
    const start = { segment: 0, offset: 0, nextId: 1, payloadBytes: 0 };
    this.log = new LogBuffer(limits, start);
    this.stability = new Stability({ reserved: 1, written: 1, durable: 1 });
    this.files = new SegmentFiles({ fileSystem, directory: bufferDirectory, catalog, events });
    const { log, stability, files } = this;
    this.committer = new Committer({
      limits,
      clock,
      events,
      log,
      stability,
      files,
      start: { durable: start, written: start },
      observer: {
        progressed: () => {
          this.progressed += 1;
          this.writer.progress();
        },
        readable: () => undefined,
        advanced: () => undefined,
        publishDue: () => {
          this.publishDue += 1;
          this.committer.ledgerPublished(this.committer.bytesDurable);
        },
      },
    });
    this.quarantine = new Quarantine({
      fileSystem,
      events,
      directory: bufferDirectory,
      bytesMax: limits.quarantineBytesMax,
      spaceLeft: () => this.space.evidenceRoom,
    });
    const { quarantine, committer } = this;
    this.space = new Space({ limits, catalog, quarantine, log, files, otherBytes: options.otherBytes ?? 0 });
    this.writer = new Writer({
      limits,
      clock,
      events,
      log,
      stability,
      committer,
      space: this.space,
      nextSegment: (firstId) => this.#nextSegment(firstId),
      observer: {
        roomWanted: () => {
          this.roomWanted += 1;
        },
        rolled: () => {
          this.rolled += 1;
        },
        dropped: (reason, count, bytes) => this.dropped.push({ reason, events: count, bytes }),
      },
    });
    if (options.asleep === true) return;
    void this.start();
    this.writer.allowAppends();
  }

  /** What the last run left is nothing, so it is durable at once. */
  async start(prepare: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await this.committer.start(prepare, () => Promise.resolve());
  }

  /** Runs the world until the promise settles, and returns what it settles with. */
  run<Value>(promise: Promise<Value>): Promise<Value> {
    return this.world.run(promise);
  }

  /** Appends one record of this many bytes and runs until it is kept. */
  append(byteLength: number, events = 1): Promise<unknown> {
    return this.run(this.writer.append({ payload: new Uint8Array(byteLength).fill(7), events }));
  }

  /** Frees the oldest segment, as the reclaimer does once every cursor has passed it. */
  async freeFirst(): Promise<void> {
    const first = this.catalog.first;
    if (first === undefined) throw new Error('there is no segment to free');
    await this.run(this.process.fileSystem.remove(first.path));
    this.catalog.remove(first);
    this.committer.roomFreed();
    this.writer.progress();
  }

  /** The names of the calls that touched segments and their directory, in the order in which they were made. */
  calls(operation?: IoCall['operation']): readonly IoCall[] {
    return this.disk.calls.filter((call) => operation === undefined || call.operation === operation);
  }

  /** Whether this promise has settled by now, without letting any time pass. */
  async isSettled(promise: Promise<unknown>): Promise<boolean> {
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    promise.then(note, note);
    await this.world.settle();
    return settled;
  }

  #listen(): void {
    const names = ['durable', 'stalled', 'resumed', 'failed', 'segment_created', 'full'] as const;
    for (const name of names) {
      this.events.on(name, (value) => {
        const list = (this.told[name] ?? []) as unknown[];
        list.push(value);
        Object.assign(this.told, { [name]: list });
      });
    }
  }

  #nextSegment(firstId: number): SegmentHeader {
    this.#newestSegment += 1;
    return segmentHeader(this.#newestSegment, firstId);
  }
}

/** A header as the writer makes it; its salt follows from its number. */
export function segmentHeader(segmentNumber: number, firstId = 1): SegmentHeader {
  return {
    formatVersion: 1,
    features: 0,
    uuid: bufferUuid,
    segmentNumber,
    epoch: 1,
    salt: 0x5a5a_0000 + segmentNumber,
    firstId,
    createdAt: 1_750_000_000_000,
    alignment: 8,
  };
}

/** What a promise was rejected with; throws if it was not. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (cause) {
    return cause;
  }
  throw new Error(`expected a rejection, found ${JSON.stringify(value)}`);
}
