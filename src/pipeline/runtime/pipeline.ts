// A pipeline that runs: buffers, then sinks, then sources; and to stop it, the other way round.
//
// Nothing here is needed for safety: what was accepted is in the buffers, and whoever is killed at any moment finds it
// there again. A graceful stop saves repeats (what is at a sink may still be answered) and what is in memory only.
//
// It ends in one of four ways: stopped by its user; drained, when every source's input has ended and everything is
// delivered; failed by a config that only its first use proves wrong; or not started at all.

import { PluginError } from '../../base/errors.ts';
import type { Log } from '../contract/log.ts';
import type { PipelineSettings } from '../contract/settings.ts';
import type { BufferStatus, PipelineStatus } from '../contract/status.ts';
import type { World } from '../contract/world.ts';
import { HealthListener } from './health-listener.ts';
import { Intake } from './intake.ts';
import { type OpenedBuffer, openBuffers } from './open-buffers.ts';
import { within } from './pause.ts';
import { SinkRunner } from './sink-runner.ts';
import { SourceRunner } from './source-runner.ts';
import { StatusFile } from './status-file.ts';

/** How long a batch that waits for room may go on waiting once the pipeline stops. */
const roomPatienceMs = 1_000;

export type PipelineEnd = 'stopped' | 'drained';

type Parts = {
  readonly settings: PipelineSettings;
  readonly world: World;
  readonly log: Log;
  readonly buffers: ReadonlyMap<string, OpenedBuffer>;
};

export class Pipeline {
  readonly #parts: Parts;
  readonly #sources: readonly SourceRunner[];
  readonly #sinks: readonly SinkRunner[];
  readonly #health: HealthListener;
  readonly #statusFile: StatusFile;
  readonly #startedMs: number;
  readonly #ended = Promise.withResolvers<PipelineEnd>();
  /** For sources: take nothing more. */
  readonly #sourcesStop = new AbortController();
  /** For batches that wait for room. */
  readonly #roomClosing = new AbortController();
  /** For sinks: make nothing anew. */
  readonly #sinksStop = new AbortController();
  /** Patience is over: hand back and close. */
  readonly #hurry = new AbortController();
  #sourcesDone: Promise<unknown> = Promise.resolve();
  #sinksDone: Promise<unknown> = Promise.resolve();
  #state: PipelineStatus['state'] = 'starting';
  #healthAddress: string | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(parts: Parts) {
    const { settings, world, log, buffers } = parts;
    this.#parts = parts;
    this.#startedMs = world.clock.now();
    this.#sinks = settings.sinks.map((sink) => {
      const { buffer, isDurable } = bufferOf(buffers, sink.buffer);
      const uuid = isDurable ? buffer.stats().uuid : undefined;
      const origin = { buffer: sink.buffer, cursor: sink.id, uuid };
      const cursor = buffer.cursor(sink.id, { from: sink.startAt });
      return new SinkRunner({ settings: sink, cursor, origin, world, log, stopping: this.#sinksStop.signal });
    });
    this.#sources = settings.sources.map((source) => {
      const ids = new Set(settings.sinks.filter(({ inputs }) => inputs.includes(source.id)).map((sink) => sink.buffer));
      const intake = new Intake({
        buffers: [...ids].map((id) => bufferOf(buffers, id).buffer),
        clock: world.clock,
        closing: this.#roomClosing.signal,
      });
      const stopping = this.#sourcesStop.signal;
      return new SourceRunner({ settings: source, dataDir: settings.dataDir, intake, world, log, stopping });
    });
    this.#health = new HealthListener(() => this.status());
    this.#statusFile = new StatusFile({ dataDir: settings.dataDir, world, log, status: () => this.status() });
  }

  /**
   * Opens the buffers and starts everything. Rejects, with everything closed again, when a buffer cannot be opened
   * (StorageError, FormatError, UsageError), the health address cannot be had, or a sink that must be healthy is not.
   */
  static async start(
    settings: PipelineSettings,
    { world, log }: { readonly world: World; readonly log: Log },
  ): Promise<Pipeline> {
    const buffers = await openBuffers(settings, { world, log });
    const pipeline = new Pipeline({ settings, world, log, buffers });
    try {
      await pipeline.#begin();
    } catch (cause) {
      await pipeline.abort();
      throw cause;
    }
    return pipeline;
  }

  /** How it ended. Rejects when a sink found that the config is wrong, or a buffer could not be closed. */
  get ended(): Promise<PipelineEnd> {
    return this.#ended.promise;
  }

  /** Where health is answered. */
  get healthAddress(): string | undefined {
    return this.#healthAddress;
  }

  status(): PipelineStatus {
    return {
      state: this.#state,
      startedMs: this.#startedMs,
      sources: this.#sources.map((source) => source.status()),
      buffers: [...this.#parts.buffers.values()].map((opened) => this.#bufferStatus(opened)),
      sinks: this.#sinks.map((sink) => sink.status()),
    };
  }

  /** Ends gracefully, within the shutdown timeout. Resolves when all is closed; what went wrong is in `ended`. */
  stop(): Promise<void> {
    return this.#end('stopped', undefined);
  }

  /** Ends at once, or ends a graceful stop at once: what is at a sink comes again at the next start. */
  abort(): Promise<void> {
    const done = this.#end('stopped', undefined);
    this.#hurry.abort();
    return done;
  }

  async #begin(): Promise<void> {
    const { settings, world, log } = this.#parts;
    if (settings.health !== undefined) {
      this.#healthAddress = await this.#health.listen(settings.health);
      log.info('health is answered', { address: this.#healthAddress });
    }
    const sinks = this.#sinks.map((sink) => sink.run());
    this.#sinksDone = Promise.allSettled(sinks);
    for (const run of sinks) run.catch((cause: unknown) => this.#end('stopped', { cause }));
    await this.#demandHealth();
    const sources = this.#sources.map((source) => source.run());
    this.#sourcesDone = Promise.allSettled(sources);
    for (const run of sources) run.catch((cause: unknown) => this.#end('stopped', { cause }));
    Promise.all(sources).then(
      (ends) => {
        if (ends.every((end) => end === 'ended')) void this.#end('drained', undefined);
      },
      () => undefined, // Said above.
    );
    if (this.#state === 'starting') this.#state = 'running';
    this.#statusFile.start();
    log.info('the pipeline runs', { data_dir: settings.dataDir, at: world.clock.now() });
  }

  async #demandHealth(): Promise<void> {
    for (const [index, { id, definition, delivery }] of this.#parts.settings.sinks.entries()) {
      if (!delivery.healthcheck.isRequired) continue;
      const answer = await this.#sinks[index]?.health;
      if (answer === undefined || answer.kind === 'healthy') continue;
      throw new PluginError({
        code: 'SPILLWAY_PLUGIN_FAILED',
        plugin: definition.type,
        message:
          `Cannot start the pipeline: sink ${id} has to be healthy and is not (${answer.reason}). Nothing was taken ` +
          'from any source. Mend what the sink sends to, or do not require it to be healthy',
      });
    }
  }

  #end(end: PipelineEnd, failure: { readonly cause: unknown } | undefined): Promise<void> {
    this.#stopping ??= this.#close(end, failure);
    return this.#stopping;
  }

  async #close(end: PipelineEnd, failure: { readonly cause: unknown } | undefined): Promise<void> {
    const { settings, world, log } = this.#parts;
    this.#state = 'stopping';
    log.info(end === 'drained' ? 'all input has ended: delivering what is left' : 'the pipeline stops');
    this.#sourcesStop.abort();
    // With no input left there is no hurry; otherwise somebody waits for us.
    const deadlineMs = end === 'drained' ? Number.POSITIVE_INFINITY : settings.shutdownTimeoutMs;
    const timer = Number.isFinite(deadlineMs) ? world.clock.setTimer(deadlineMs, () => this.#hurry.abort()) : undefined;
    const problems = failure === undefined ? [] : [failure.cause];
    await this.#stopSources();
    problems.push(...(await this.#stopSinks(end === 'drained')));
    timer?.cancel();
    await this.#statusFile.stop();
    await this.#health.close();
    this.#state = 'stopped';
    if (problems.length === 0) this.#ended.resolve(end);
    else this.#ended.reject(problems[0]);
    this.#ended.promise.catch(() => undefined); // Whoever wants to know asks for it.
    log.info('the pipeline has stopped');
  }

  async #stopSources(): Promise<void> {
    const { clock } = this.#parts.world;
    await this.#unlessHurried(within(clock, roomPatienceMs, this.#sourcesDone));
    this.#roomClosing.abort();
    await this.#unlessHurried(this.#sourcesDone);
  }

  /** Drains what is in memory only, or all of it; then lets every sink finish what it has in its hands. */
  async #stopSinks(drainsAll: boolean): Promise<unknown[]> {
    const all = [...this.#parts.buffers.values()];
    const drained = all.filter(({ isDurable }) => drainsAll || !isDurable);
    await this.#unlessHurried(Promise.allSettled(drained.map(({ buffer }) => buffer.close({ drain: true }))));
    this.#sinksStop.abort();
    const patienceMs = this.#hurry.signal.aborted ? 0 : this.#parts.settings.shutdownTimeoutMs;
    const stopped = Promise.allSettled(this.#sinks.map((sink) => sink.stop(patienceMs)));
    await this.#unlessHurried(stopped);
    if (this.#hurry.signal.aborted) await Promise.allSettled(this.#sinks.map((sink) => sink.stop(0)));
    // A second close ends a draining one; what the sinks handed back is in no one's hands.
    const closed = await Promise.allSettled(all.map(({ buffer }) => buffer.close()));
    await this.#unlessHurried(this.#sinksDone);
    return closed.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  }

  /** Resolves with the promise, or as soon as the pipeline is in a hurry. */
  async #unlessHurried(promise: Promise<unknown>): Promise<void> {
    const { signal } = this.#hurry;
    if (signal.aborted) return;
    const { promise: hurried, resolve } = Promise.withResolvers<void>();
    const stop = (): void => resolve();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await Promise.race([promise, hurried]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #bufferStatus({ settings, buffer }: OpenedBuffer): BufferStatus {
    const { state, failure, backlog, disk, waitingAppends, cursors } = buffer.stats();
    return {
      id: settings.id,
      state,
      reason: failure instanceof Error ? failure.message : undefined,
      backlog,
      usedBytes: disk.usedBytes,
      maxBytes: disk.maxBytes,
      waitingAppends,
      cursors: cursors.map(({ name, backlog: own }) => ({
        name,
        sink: this.#parts.settings.sinks.find((sink) => sink.id === name && sink.buffer === settings.id)?.id,
        backlog: own,
      })),
    };
  }
}

function bufferOf(buffers: ReadonlyMap<string, OpenedBuffer>, id: string): OpenedBuffer {
  const found = buffers.get(id);
  if (found === undefined) throw new TypeError(`no buffer has the id ${id}: the settings were not checked`);
  return found;
}
