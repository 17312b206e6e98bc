// Chapter 13. The disk buffer: what a user sees.
//
// Life of a buffer: open (lock, ledger, recovery, first publish), use, close (settle, commit, publish `clean`, unlock).
// Each step that could tempt a shortcut says which promise it keeps.
//
// This is the last chapter. What stands on it: stage/, sdk/ and pipeline/ know buffers by the contract of this class.

import { StorageError, UsageError } from '../base/errors.ts';
import { mark } from '../base/marks.ts';
import { acquireDirectoryLock, type DirectoryLock } from '../platform/directory-lock.ts';
import type { FileSystem } from '../platform/file-system.ts';
import { assertSupportedPlatform, nodePlatform } from '../platform/node-platform.ts';
import { oldestMsOf } from './disk-buffer-age.ts';
import { Core } from './disk-buffer-core.ts';
import { listDirectory, prepareDirectory } from './disk-buffer-directory.ts';
import { type OpeningReport, OpeningWatch } from './disk-buffer-opening.ts';
import { type BufferStats, recount, statsOf } from './disk-buffer-stats.ts';
import { EventHub, type EventSource } from './events.ts';
import { Ledger, type LedgerReading } from './ledger.ts';
import { checkCursorName, type DiskBufferOptions, resolveLimits } from './limits.ts';
import type { Cursor } from './ordered-finalizer-cursor.ts';
import { recover } from './recovery.ts';
import type { AppendResult, TryAppendResult } from './writer.ts';
import { closedError, type RecordInput } from './writer-records.ts';

export interface AppendOptions {
  /** How many events the payload carries, 1 .. 2^24. Default 1. */
  readonly events?: number;
  /** The caller's own 32 bits, handed out again with the record. Default 0. */
  readonly metadata?: number;
  /** Ends the wait. What was copied already stays in the log and may be delivered. */
  readonly signal?: AbortSignal;
}

/** Everything that a buffer holds on to while it is open. */
interface Holdings {
  readonly core: Core;
  readonly lock: DirectoryLock;
  readonly fileSystem: FileSystem;
  /** Whether cursors that are new start at the oldest record whatever they ask for. */
  readonly ledgerLost: boolean;
}

type Life = { readonly kind: 'open' } | { readonly kind: 'closing' | 'closed'; readonly done: Promise<void> };

/** A durable queue in a directory of its own. All promises: docs/guarantees.md. */
export class DiskBuffer implements AsyncDisposable {
  readonly #core: Core;
  readonly #holdings: Holdings;
  #opening: OpeningReport | undefined;
  #life: Life = { kind: 'open' };
  #progressed: (() => void) | undefined;
  /** Whether `close` may go on delivering: until somebody closes without `drain`. */
  #drains = true;
  /** The last run's leavings are being confirmed and appends are allowed; undefined before that. */
  #confirming: Promise<void> | undefined;

  private constructor(holdings: Holdings) {
    this.#holdings = holdings;
    this.#core = holdings.core;
    this.#core.onProgress(() => this.#progressed?.());
  }

  /**
   * Opens or creates the buffer in `options.path`. Whatever bytes are there, it starts with every undamaged record.
   *
   * Rejects with UsageError for an option out of range; with StorageError `locked` when another process holds the
   * directory, `denied` when access is refused, `unsafe` when the directory or a file in it is a link or writable by
   * the world, `lock_foreign` when `lock` holds foreign bytes, `full` when a first open finds no space; with
   * FormatError when a newer version wrote the ledger. No segment and no ledger is changed then.
   */
  static async open(options: DiskBufferOptions): Promise<DiskBuffer> {
    const limits = resolveLimits(options);
    const platform = nodePlatform();
    const { fileSystem = platform.fileSystem, clock = platform.clock, random = platform.random } = options;
    if (options.fileSystem === undefined) assertSupportedPlatform();
    const directory = await prepareDirectory(fileSystem, checkedPath(options.path));
    const { holder } = platform;
    const lock = await acquireDirectoryLock({ fileSystem, clock, directory, timeoutMs: limits.lockTimeoutMs, holder });
    let ledger: Ledger | undefined;
    try {
      const events = new EventHub();
      const watch = new OpeningWatch(clock, events);
      const entries = await listDirectory(fileSystem, directory);
      const opened = await Ledger.open(fileSystem, directory);
      ledger = opened.ledger;
      const recovered = await recover({ fileSystem, events, random, directory }, entries, opened.reading);
      const core = new Core({ limits, fileSystem, clock, random, events, directory, ledger, recovered });
      await core.quarantine.open();
      core.space.takeStock();
      const { reading } = opened;
      const ledgerLost = reading.content === undefined && !recovered.fresh;
      const buffer = new DiskBuffer({ core, lock, fileSystem, ledgerLost });
      await buffer.#begin(reading, directory, recovered.fresh && !reading.existed);
      buffer.#opening = watch.report(recovered, reading);
      return buffer;
    } catch (cause) {
      await ledger?.close();
      await lock.release();
      throw cause;
    }
  }

  /** What `open` found. */
  get opening(): OpeningReport {
    return this.#opening as OpeningReport;
  }

  /** Where listeners register. */
  get events(): EventSource {
    return this.#core.events;
  }

  /**
   * Appends without waiting and without a promise. `accepted` means copied: the promise of the buffer's durability
   * holds from the next `commit`. Drops and counts nothing: what it refuses is still the caller's. Throws UsageError
   * when the buffer is closed or the record is malformed, the first cause when it has failed.
   */
  tryAppend(payload: Uint8Array, { events = 1, metadata = 0 }: AppendOptions = {}): TryAppendResult {
    return this.#core.writer.tryAppend(payload, events, metadata);
  }

  /** Resolves when `tryAppend` of the record that it refused last can succeed. Rejects like `append`. */
  ready(signal?: AbortSignal): Promise<void> {
    return this.#core.writer.ready(signal);
  }

  /**
   * Appends a record and resolves when the promise of the buffer's durability holds for it. The payload must not change
   * until then. While there is no room it waits, drops, makes room or rejects, as `whenFull` says.
   *
   * Rejects with UsageError (`too_large`, malformed, closed), StorageError `full` (policy `reject`), the signal's
   * reason, or the first cause when the buffer has failed. A record whose append was rejected may still be delivered.
   */
  append(payload: Uint8Array, { signal, ...options }: AppendOptions = {}): Promise<AppendResult> {
    return this.#core.writer.append({ payload, ...options }, signal);
  }

  /** Appends all of the records or none, as one frame. `recordId` is the first one's. Otherwise like `append`. */
  appendBatch(
    records: readonly RecordInput[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<AppendResult> {
    return this.#core.writer.appendBatch(records, signal);
  }

  /** Resolves when everything appended so far is durable, whatever the durability; rejects if it cannot be. */
  async commit(): Promise<void> {
    if (this.#life.kind === 'closed') throw closedError();
    await this.#core.committer.reachDurable(this.#core.log.nextId);
  }

  /**
   * The cursor of this name; a new one begins at the oldest record still there, or behind everything appended so far
   * (`newest`, which counts as `oldest` while the buffer is open that has lost both slots of its ledger).
   * A new cursor's position is fixed by this call, and durable before its first `read` resolves. From then on it holds
   * back what it has not acknowledged, until `removeCursor`. Throws UsageError for a bad name, one cursor too many,
   * or a closed buffer.
   */
  cursor(name: string, { from = 'oldest' }: { readonly from?: 'oldest' | 'newest' } = {}): Cursor {
    if (this.#life.kind !== 'open') throw closedError();
    checkCursorName(name);
    const known = this.#core.cursors.get(name);
    if (known !== undefined) return known;
    const { cursors, committer, publisher, newest, oldest } = this.#core;
    const start = from === 'newest' && !this.#holdings.ledgerLost ? newest : oldest;
    // The ledger names no place that is not durable. It is asked once the cursor is in the set, so that it holds it.
    const usable = Promise.resolve(committer.reachDurable(start.nextId)).then(() => publisher.publish());
    usable.catch(() => undefined); // Whoever reads is told.
    return cursors.add(name, { ...start }, usable);
  }

  /** Ends a cursor that is not required and frees what only it held back. Durable when it resolves; else UsageError. */
  async removeCursor(name: string): Promise<void> {
    if (this.#life.kind !== 'open') throw closedError();
    const cursor = this.#core.cursors.remove(name);
    await cursor.end();
    await this.#core.publisher.publish();
    this.#core.reclaimer.check();
  }

  /** Numbers about the buffer, computed now. */
  stats(): BufferStats {
    const { kind } = this.#life;
    return statsOf(this.#core, kind === 'open' ? this.#core.committer.state.kind : kind);
  }

  /**
   * When the oldest record was appended that this cursor has not acknowledged, in milliseconds since 1970-01-01 UTC, to
   * the frame; undefined if there is none, or none can be read now. May read from the disk: ask every few seconds.
   */
  async oldestMs(cursor: string): Promise<number | undefined> {
    const found = this.#core.cursors.get(cursor);
    if (found === undefined || this.#life.kind !== 'open') return undefined;
    return await oldestMsOf(this.#core, this.#holdings.fileSystem, found);
  }

  /** Checks what is counted against what is there. For tests: throws InvariantViolation where the two differ. */
  recount(): void {
    recount(this.#core);
  }

  /**
   * Ends the buffer: refuses appends, hands out nothing more, waits `closeTimeoutMs` for open deliveries, makes
   * everything appended durable, publishes a clean end and gives the directory back. With `drain` it first goes on
   * delivering until every cursor is at the end. Everything is given back even when it rejects, which it does with
   * the cause if something appended could not be made durable. A second `close`, without `drain`, ends the draining.
   */
  close({ drain = false }: { readonly drain?: boolean } = {}): Promise<void> {
    if (!drain) this.#drains = false;
    this.#progressed?.();
    if (this.#life.kind !== 'open') return this.#life.done;
    const done = this.#close(drain);
    this.#life = { kind: 'closing', done };
    return done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // Opening.

  /** Epoch, `clean: false` and cursors become durable, then what was found is repaired and confirmed. */
  async #begin(reading: LedgerReading, directory: string, fresh: boolean): Promise<void> {
    const { publisher, committer } = this.#core;
    let missing = Math.max(1, 2 - reading.validSlots); // Both slots hold before the first append is accepted.
    while (missing > 0 && (await publisher.attempt())) missing -= 1;
    if (missing > 0 && fresh) {
      await publisher.stop(closedError());
      throw this.#firstOpenError(directory);
    }
    // What keeps us from writing now keeps appends waiting, or fails them, but not the start: all on disk can be read.
    const rest = this.#allowWriting(missing).catch((cause: unknown) => {
      if (fresh) throw cause;
      mark('buffer.never_writable');
      if (this.#life.kind === 'open') committer.fail(cause);
    });
    if (missing === 0) await rest;
  }

  async #allowWriting(publishesMissing: number): Promise<void> {
    const { publisher, committer, repairs, writer } = this.#core;
    for (let missing = publishesMissing; missing > 0; missing--) await publisher.publish();
    if (this.#life.kind !== 'open') return; // Closed while it waited: whoever comes next does it.
    this.#confirming = committer.start(
      () => repairs.apply(),
      () => repairs.sync(),
    );
    writer.allowAppends();
  }

  #firstOpenError(directory: string): StorageError {
    const { lastFailure } = this.#core.publisher;
    if (lastFailure instanceof StorageError) return lastFailure;
    return new StorageError({
      kind: 'io',
      operation: 'open',
      path: directory,
      message: `Cannot create a buffer in ${directory}: its ledger could not be written. Nothing was stored`,
      cause: lastFailure,
    });
  }

  // Closing.

  async #close(drain: boolean): Promise<void> {
    const core = this.#core;
    core.writer.close();
    if (drain) await this.#drain();
    for (const cursor of core.cursors.all) cursor.close();
    await this.#waitForDeliveries();
    const failure = await this.#commitAtClose();
    await core.reclaimer.stop();
    for (const cursor of core.cursors.all) await cursor.end();
    const clean = await this.#publishAtClose(failure === undefined);
    await core.publisher.stop(closedError());
    await core.committer.close(closedError());
    await core.repairs.close();
    await core.quarantine.idle();
    await core.ledger.close();
    await this.#holdings.lock.release();
    this.#life = { kind: 'closed', done: Promise.resolve() };
    core.events.emit('closed', { clean });
    if (failure !== undefined) throw failure;
  }

  async #drain(): Promise<void> {
    const core = this.#core;
    // A buffer that never became writable confirms nothing any more: what can be read already is all there is.
    const confirms = this.#confirming !== undefined;
    // A full disk may keep this waiting for ever: a second `close` need not wait with it.
    let isWritten = !confirms;
    const written = (): void => {
      isWritten = true;
      this.#progressed?.();
    };
    if (confirms) Promise.resolve(core.committer.reachDurable(core.log.nextId)).then(written, written);
    while (this.#drains) {
      const isWriting = confirms && core.committer.state.kind !== 'failed';
      const endId = isWriting ? core.log.nextId : core.committer.readableId;
      if (isWritten && core.cursors.slowest.nextId >= endId) return;
      await new Promise<void>((resolve) => {
        this.#progressed = resolve;
      });
    }
  }

  async #waitForDeliveries(): Promise<void> {
    const core = this.#core;
    const isOpen = (): boolean => core.cursors.all.some((cursor) => cursor.openDeliveries > 0);
    if (!isOpen()) return;
    await new Promise<void>((resolve) => {
      const timer = core.clock.setTimer(core.limits.closeTimeoutMs, resolve);
      this.#progressed = () => {
        if (isOpen()) return;
        timer.cancel();
        resolve();
      };
    });
    this.#progressed = undefined;
  }

  /** Makes everything durable; resolves with the cause if that cannot be done. A full disk gets `closeTimeoutMs`. */
  async #commitAtClose(): Promise<unknown> {
    const core = this.#core;
    // Nothing could be appended, and nothing that was there has changed.
    if (this.#confirming === undefined) return undefined;
    const giveUpIfStalled = (): void => {
      const { state } = core.committer;
      if (state.kind === 'stalled') core.committer.fail(state.cause);
    };
    const timer = core.clock.setTimer(core.limits.closeTimeoutMs, () => {
      this.#progressed = giveUpIfStalled; // The disk may turn out to be full only now.
      giveUpIfStalled();
    });
    try {
      await this.#confirming; // Its files are given back and its names are settled before the lock is.
      await core.committer.reachDurable(core.log.nextId);
      return undefined;
    } catch (cause) {
      return cause;
    } finally {
      timer.cancel();
      this.#progressed = undefined;
    }
  }

  /** Publishes where everybody is; the last word is `clean` if nothing was left behind. Resolves with whether it is. */
  async #publishAtClose(committed: boolean): Promise<boolean> {
    const core = this.#core;
    const published = await core.publisher.attempt();
    if (!published || !committed || !core.settledOnDisk) return false;
    core.markClean();
    return await core.publisher.attempt();
  }
}

function checkedPath(path: unknown): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path;
  throw new UsageError({
    code: 'SPILLWAY_USAGE_OPTION',
    message: `Cannot open a buffer with path = ${JSON.stringify(path)}: expected the path of a directory of its own`,
  });
}
