// One signal's way through the disk: a buffer in this process's own directory, its delivery, and the adoption of what
// dead processes have left.
//
// It opens when it is made, so that what an earlier run left is on its way before the first export. A buffer that
// cannot be opened, or whose writing has failed, fails the exports with the cause and is opened again after a while:
// the next open recovers, and a volume may have been mounted meanwhile. Nothing that was accepted is lost by that.
//
// I1  at most one own buffer is open, and one adopted
// I2  an append resolves only after the buffer has accepted
// I3  after close no timer is left, and every directory that was held is given back

import { UsageError } from '../base/errors.ts';
import { DiskBuffer } from '../engine/disk-buffer.ts';
import type { BufferStats } from '../engine/disk-buffer-stats.ts';
import { countEvents } from '../otlp/count.ts';
import { metadataOfSignal, type Signal } from '../otlp/signal.ts';
import { splitToSize } from '../otlp/split.ts';
import type { Log } from '../pipeline/contract/log.ts';
import type { Sink } from '../pipeline/contract/sink.ts';
import type { Timer } from '../platform/clock.ts';
import { within } from '../platform/pause.ts';
import { Acceptance } from './acceptance.ts';
import { Adoption } from './adoption.ts';
import { Drain } from './drain.ts';
import type { BufferSettings } from './exporter-options.ts';
import type { ExporterWorld } from './exporter-world.ts';
import { type HeldDirectory, ProcessDirectories } from './process-directories.ts';
import type { Quiet } from './quiet.ts';
import { addLoss, type Loss, lossSince, noLoss, type SignalStats } from './signal-stats.ts';

export interface SignalBufferOptions {
  readonly signal: Signal;
  readonly settings: BufferSettings;
  readonly timeoutMs: number;
  readonly retryMaxBackoffMs: number;
  /** Made once, when the first buffer is opened. */
  readonly openSink: () => Promise<Sink>;
  readonly world: ExporterWorld;
  readonly quiet: Quiet;
  readonly log: Log;
}

interface Own extends HeldDirectory {
  readonly drain: Drain;
  /** As it was when it was opened. */
  readonly before: BufferStats;
  /** Why the disk takes nothing; undefined: it does. */
  readonly stall: { cause: unknown };
}

/** How long a buffer that could not be opened, or has failed, is left alone. */
const reopenMs = 5_000;
/** What `close` may take in all, beyond its delivery: a disk that is full gets most of it. */
const closeMsMax = 10_000;
const progressMs = 10;
/** Appends that wait in memory for a disk that is full. */
const waitingAppendsMax = 8;
/** Before a payload and behind it: record header and padding. */
const recordOverheadBytes = 16;

export class SignalBuffer {
  readonly #options: SignalBufferOptions;
  readonly #directories: ProcessDirectories;
  readonly #adoption: Adoption;
  readonly #acceptance: Acceptance;
  #sink: Promise<Sink> | undefined;
  #opening: Promise<Own> | undefined;
  #own: Own | undefined;
  #failure: { readonly cause: unknown; readonly atMs: number } | undefined;
  #givenUp: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  /** What buffers before this one have counted. */
  #past: Loss = noLoss;

  constructor(options: SignalBufferOptions) {
    const { settings, signal, world, log } = options;
    this.#options = options;
    const open = (directory: string): Promise<DiskBuffer> => this.#openDirectory(directory);
    this.#directories = new ProcessDirectories({ path: settings.path, signal, open, world, log });
    this.#acceptance = new Acceptance({
      clock: world.clock,
      stalledBy: () => this.#own?.stall.cause,
      waitingMax: waitingAppendsMax,
      path: settings.path,
    });
    this.#adoption = new Adoption({
      directories: this.#directories,
      startDrain: (buffer) => this.#startDrain(buffer),
      world,
      log,
    });
    options.quiet(() => this.#open().catch(() => undefined)); // Whoever exports is told.
  }

  /** Resolves when the buffer has accepted all of it. Bytes must not change until then. */
  append(bytes: Uint8Array, events: number): Promise<void> {
    return this.#acceptance.of(events, () => this.#options.quiet(() => this.#append(bytes, events)));
  }

  /** Commits, then waits for delivery up to the deadline. Rejects if what was exported is not durable by then. */
  async flush(deadlineMs: number): Promise<void> {
    if (this.#closing !== undefined) return await this.#closing;
    await this.#options.quiet(() => this.#flush(deadlineMs));
  }

  /** Refuses appends, commits, delivers for so long, gives everything back. Rejects if the commit failed. */
  close(deliverMs: number): Promise<void> {
    this.#closing ??= this.#options.quiet(() => this.#close(deliverMs));
    return this.#closing;
  }

  stats(): SignalStats {
    const own = this.#own;
    const now = own?.buffer.stats();
    const isClosed = this.#closing !== undefined;
    const loss =
      own === undefined || now === undefined
        ? this.#past
        : addLoss(this.#past, lossSince(own.before, now, own.drain.counts));
    const { state, reason } = own?.drain.condition ?? { state: 'running' as const, reason: undefined };
    return {
      signal: this.#options.signal,
      state: isClosed ? 'closed' : (now?.state ?? (this.#failure === undefined ? 'starting' : 'failed')),
      failure: now?.failure ?? this.#failure?.cause,
      directory: own?.directory,
      ...this.#acceptance.counts,
      ...loss,
      backlog: now?.backlog ?? { events: 0, bytes: 0 },
      disk: { usedBytes: now?.disk.usedBytes ?? 0, maxBytes: this.#options.settings.maxBytes },
      delivery: { state, reason },
      adopted: this.#adoption.stats(),
    };
  }

  // Opening.

  #open(): Promise<Own> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    if (this.#opening !== undefined) return this.#opening;
    const { clock } = this.#options.world;
    const failed = this.#failure;
    if (failed !== undefined && clock.monotonic() - failed.atMs < reopenMs) return Promise.reject(failed.cause);
    const opening = this.#claim();
    this.#opening = opening;
    opening.catch((cause: unknown) => this.#failed(cause));
    return opening;
  }

  async #claim(): Promise<Own> {
    await this.#givenUp; // What it held may be the directory to be opened now.
    const held = await this.#directories.claim();
    let own: Own;
    try {
      own = await this.#watched(held);
    } catch (cause) {
      await held.buffer.close().catch(() => undefined); // The next one who opens it finds out more.
      throw cause;
    }
    this.#own = own;
    this.#failure = undefined;
    this.#adoption.start();
    return own;
  }

  async #watched(held: HeldDirectory): Promise<Own> {
    const { buffer } = held;
    const drain = await this.#startDrain(buffer);
    const before = buffer.stats();
    if (before.state === 'failed') throw before.failure;
    const stall: Own['stall'] = { cause: before.state === 'stalled' ? before.failure : undefined };
    const own = { ...held, drain, before, stall };
    buffer.events.on('failed', ({ cause }) => this.#giveUp(own, cause));
    buffer.events.on('stalled', ({ cause }) => {
      stall.cause = cause;
    });
    buffer.events.on('resumed', () => {
      stall.cause = undefined;
    });
    return own;
  }

  async #openDirectory(directory: string): Promise<DiskBuffer> {
    const { settings, world } = this.#options;
    const { maxBytes, durability, whenFull } = settings;
    const { clock, random, fileSystem } = world;
    const policy = { maxBytes, durability, whenFull };
    return await DiskBuffer.open({ path: directory, ...policy, lockTimeoutMs: 0, clock, random, fileSystem });
  }

  async #startDrain(buffer: DiskBuffer): Promise<Drain> {
    const { timeoutMs, retryMaxBackoffMs, world, log, openSink } = this.#options;
    this.#sink ??= openSink().catch((cause: unknown) => {
      this.#sink = undefined;
      throw cause;
    });
    const sink = await this.#sink;
    const drain = new Drain({ cursor: buffer.cursor('default'), sink, timeoutMs, retryMaxBackoffMs, world, log });
    drain.start();
    return drain;
  }

  #failed(cause: unknown): void {
    this.#opening = undefined;
    if (this.#closing !== undefined) return;
    this.#failure = { cause, atMs: this.#options.world.clock.monotonic() };
    this.#options.log.error('the buffer cannot be used: exports fail until it can', { error: cause });
  }

  /** Writing has ended for good; what was accepted is on disk, and comes with the next open. */
  #giveUp(own: Own, cause: unknown): void {
    if (this.#own !== own) return;
    this.#own = undefined;
    this.#failed(cause);
    this.#givenUp = this.#giveBack(own, 0).catch(() => undefined);
  }

  async #giveBack(own: Own, deliverMs: number): Promise<void> {
    await own.drain.stop(deliverMs);
    try {
      await own.buffer.close();
    } finally {
      this.#past = addLoss(this.#past, lossSince(own.before, own.buffer.stats(), own.drain.counts));
    }
  }

  // Appending, flushing, closing.

  async #append(bytes: Uint8Array, events: number): Promise<void> {
    const { signal } = this.#options;
    const { buffer, before, directory } = await this.#open();
    const metadata = metadataOfSignal[signal];
    const parts = splitToSize(signal, bytes, before.maxRecordBytes - recordOverheadBytes);
    for (const part of parts) {
      const partEvents = parts.length === 1 ? events : (countEvents(signal, part) ?? 0);
      const result = await buffer.append(part, { events: partEvents, metadata });
      if (result.status === 'stored') continue;
      throw new Error(`The buffer in ${directory} has no room (${result.reason}): the items were not stored`);
    }
  }

  async #flush(deadlineMs: number): Promise<void> {
    const { patience } = this.#options.world;
    const startMs = patience.monotonic();
    const committed = await within(patience, deadlineMs, this.#commit());
    if (committed === undefined) {
      throw new Error(`What was exported is not durable after ${deadlineMs} ms: the disk is full, or does not answer`);
    }
    await this.#delivered(committed, deadlineMs - (patience.monotonic() - startMs));
  }

  /** Makes everything that was exported durable; the place behind it. */
  async #commit(): Promise<{ readonly own: Own | undefined; readonly endId: number }> {
    await this.#acceptance.settled();
    const own = this.#own;
    if (own === undefined) return { own, endId: 0 };
    await own.buffer.commit();
    return { own, endId: own.buffer.stats().frontiers.reserved };
  }

  async #delivered(
    { own, endId }: { readonly own: Own | undefined; readonly endId: number },
    forMs: number,
  ): Promise<void> {
    const { patience } = this.#options.world;
    const startMs = patience.monotonic();
    while (own !== undefined && own === this.#own && own.buffer.cursor('default').nextId < endId) {
      if (patience.monotonic() - startMs >= forMs) return;
      await new Promise<void>((resolve) => {
        patience.setTimer(progressMs, resolve);
      });
    }
  }

  async #close(deliverMs: number): Promise<void> {
    const { patience } = this.#options.world;
    const hold: Timer = patience.setTimer(deliverMs + 2 * closeMsMax, () => undefined);
    try {
      await this.#opening?.catch(() => undefined);
      await within(
        patience,
        closeMsMax,
        this.#flush(deliverMs).catch(() => undefined),
      ); // `close` commits again.
      const own = this.#own;
      await Promise.all([this.#adoption.stop(), own === undefined ? this.#givenUp : this.#giveBack(own, 0)]);
    } finally {
      this.#own = undefined;
      const sink = await this.#sink?.catch(() => undefined);
      await sink?.close?.();
      hold.cancel();
    }
  }
}

function closedError(): UsageError {
  return new UsageError({
    code: 'SPILLWAY_USAGE_CLOSED',
    message: 'Cannot export: the exporter was shut down. The items were not stored',
  });
}
