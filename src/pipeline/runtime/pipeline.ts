// A pipeline that runs: buffers, then sinks, then sources; and to stop it, the other way round.
//
// Nothing here is needed for safety: what was accepted is in the buffers, and whoever is killed at any moment finds it
// there again. A graceful stop saves repeats (what is at a sink may still be answered) and what is in memory only.
//
// It ends in one of four ways: stopped by its user; drained, when every source's input has ended and everything is
// delivered; failed by a config that only its first use proves wrong; or not started at all.

import { abortable } from '../../base/abort.ts';
import { InvariantViolation } from '../../base/assert.ts';
import { PluginError } from '../../base/errors.ts';
import type { Clock, Timer } from '../../platform/clock.ts';
import { pause, unless, within } from '../../platform/pause.ts';
import type { Log } from '../contract/log.ts';
import type { PipelineSettings } from '../contract/settings.ts';
import type { BufferStatus, PipelineStatus } from '../contract/status.ts';
import type { World } from '../contract/world.ts';
import { LetterTurns } from '../delivery/dead-letters.ts';
import { PipelineTelemetry, type TelemetryTargets } from '../telemetry/pipeline-telemetry.ts';
import { HealthListener, reasonsNotReady } from './health-listener.ts';
import { Intake } from './intake.ts';
import { type OpenedBuffer, openBuffers } from './open-buffers.ts';
import { SinkRunner } from './sink-runner.ts';
import { SourceRunner } from './source-runner.ts';
import { StatusFile } from './status-file.ts';

/** How long a batch that waits for room, or a buffer that is being opened, may go on once the pipeline stops. */
const roomPatienceMs = 1_000;
/** How often a drain looks, where the buffer cannot say that it is empty. */
const drainPollMs = 100;

export type PipelineEnd = 'stopped' | 'drained';

export interface PipelineStart {
  readonly world: World;
  readonly log: Log;
  /** Aborted: as `stop()`, at any time. While the buffers are opened the start rejects with its reason. */
  readonly stopping?: AbortSignal;
  /** Aborted: as `abort()`, once there is something to abort. */
  readonly hurry?: AbortSignal;
  /** Where its own telemetry goes, besides `/metrics`. */
  readonly telemetry?: TelemetryTargets | undefined;
}

type Parts = {
  readonly settings: PipelineSettings;
  readonly world: World;
  readonly log: Log;
  readonly buffers: ReadonlyMap<string, OpenedBuffer>;
  readonly telemetry: TelemetryTargets | undefined;
};

export class Pipeline {
  readonly #parts: Parts;
  readonly #sources: readonly SourceRunner[];
  readonly #sinks: readonly SinkRunner[];
  readonly #health: HealthListener;
  readonly #statusFile: StatusFile;
  readonly #telemetry: PipelineTelemetry;
  readonly #startedMs: number;
  readonly #ended = Promise.withResolvers<PipelineEnd>();
  /** Somebody wants it to end, or it cannot go on: what is on disk need not be delivered before. */
  readonly #asked = new AbortController();
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
  /** Runs once somebody waits for the end. */
  #deadline: Timer | undefined;
  readonly #problems: unknown[] = [];

  private constructor(parts: Parts) {
    const { settings, world, log, buffers } = parts;
    this.#parts = parts;
    this.#startedMs = world.clock.now();
    const letterTurns = new LetterTurns();
    this.#telemetry = new PipelineTelemetry({
      world,
      buffers: buffers.values(),
      status: () => this.status(),
      isReady: (status) => reasonsNotReady(status).length === 0,
      targets: parts.telemetry,
    });
    this.#sinks = settings.sinks.map((sink) => {
      const { buffer, isDurable } = bufferOf(buffers, sink.buffer);
      const uuid = isDurable ? buffer.stats().uuid : undefined;
      const origin = { buffer: sink.buffer, cursor: sink.id, uuid };
      const cursor = buffer.cursor(sink.id, { from: sink.startAt });
      const stopping = this.#sinksStop.signal;
      const measured = this.#telemetry.measured(sink);
      return new SinkRunner({ settings: measured, cursor, origin, letterTurns, world, log, stopping });
    });
    this.#sources = settings.sources.map((source) => {
      const ids = new Set(settings.sinks.filter(({ inputs }) => inputs.includes(source.id)).map((sink) => sink.buffer));
      const intake = new Intake({
        buffers: [...ids].map((id) => bufferOf(buffers, id).buffer),
        clock: world.clock,
        closing: this.#roomClosing.signal,
        broken: (cause) => this.#fail(cause),
      });
      const stopping = this.#sourcesStop.signal;
      return new SourceRunner({ settings: source, dataDir: settings.dataDir, intake, world, log, stopping });
    });
    this.#health = new HealthListener(() => this.status(), { metrics: () => this.#telemetry.text() });
    this.#statusFile = new StatusFile({ dataDir: settings.dataDir, world, log, status: () => this.status() });
  }

  /**
   * Opens the buffers and starts everything. Rejects, with everything closed again, when a buffer cannot be opened
   * (StorageError, FormatError, UsageError), the health address cannot be had, or a sink that must be healthy is not.
   */
  static async start(settings: PipelineSettings, start: PipelineStart): Promise<Pipeline> {
    const { world, log, stopping, hurry } = start;
    const opening = openBuffers(settings, { world, log, stopping });
    const buffers = await unlessStopped(opening, world.clock, stopping);
    let pipeline: Pipeline;
    try {
      pipeline = new Pipeline({ settings, world, log, buffers, telemetry: start.telemetry });
    } catch (cause) {
      await Promise.allSettled([...buffers.values()].map(({ buffer }) => buffer.close()));
      throw cause;
    }
    whenAborted(stopping, () => void pipeline.stop());
    whenAborted(hurry, () => void pipeline.abort());
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

  /** The metrics of all its parts, as Prometheus reads them. */
  metricsText(): Promise<string> {
    return this.#telemetry.text();
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

  /** Ends gracefully, within the shutdown timeout. Resolves when all is closed; what goes wrong is in `ended`. */
  stop(): Promise<void> {
    this.#asked.abort();
    const done = this.#end('stopped');
    this.#limitTime();
    return done;
  }

  /** Ends at once, or ends a graceful stop at once: what is at a sink comes again at the next start. */
  abort(): Promise<void> {
    const done = this.stop();
    this.#hurry.abort();
    return done;
  }

  /** It cannot go on. After a bug of ours, nothing that is still in memory can be trusted. */
  #fail(cause: unknown): void {
    this.#problems.push(cause);
    if (cause instanceof InvariantViolation) void this.abort();
    else void this.stop();
  }

  async #begin(): Promise<void> {
    const { settings, world, log } = this.#parts;
    if (settings.health !== undefined) {
      this.#healthAddress = await this.#health.listen(settings.health);
      log.info('health is answered', { address: this.#healthAddress });
    }
    if (this.#stopping !== undefined) {
      await this.#health.close(); // It may have been closed before it listened.
      await this.#ended.promise;
      return;
    }
    const sinks = this.#sinks.map((sink) => sink.run());
    this.#sinksDone = Promise.allSettled(sinks);
    for (const run of sinks) run.catch((cause: unknown) => this.#fail(cause));
    await this.#demandHealth();
    if (this.#stopping !== undefined) {
      await this.#ended.promise; // Rejects if it is stopped because it cannot go on.
      return;
    }
    const sources = this.#sources.map((source) => source.run());
    this.#sourcesDone = Promise.allSettled(sources);
    for (const run of sources) run.catch((cause: unknown) => this.#fail(cause));
    Promise.all(sources).then(
      (ends) => {
        if (ends.every((end) => end === 'ended')) void this.#end('drained');
      },
      () => undefined, // Said above.
    );
    this.#state = 'running';
    this.#statusFile.start();
    log.info('the pipeline runs', { data_dir: settings.dataDir, at: world.clock.now() });
  }

  async #demandHealth(): Promise<void> {
    for (const [index, { id, definition, delivery }] of this.#parts.settings.sinks.entries()) {
      if (!delivery.healthcheck.isRequired) continue;
      const answer = await this.#sinks[index]?.health;
      if (this.#stopping !== undefined) return;
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

  #end(end: PipelineEnd): Promise<void> {
    this.#stopping ??= this.#close(end);
    return this.#stopping;
  }

  /** From now on somebody waits for the end, which comes within the shutdown timeout. */
  #limitTime(): void {
    if (this.#state === 'stopped') return;
    const { world, settings } = this.#parts;
    this.#deadline ??= world.clock.setTimer(settings.shutdownTimeoutMs, () => this.#hurry.abort());
  }

  async #close(end: PipelineEnd): Promise<void> {
    const { log } = this.#parts;
    this.#state = 'stopping';
    log.info(end === 'drained' ? 'all input has ended: delivering what is left' : 'the pipeline stops');
    this.#sourcesStop.abort();
    try {
      await this.#stopSources();
      await this.#stopSinks(end === 'drained');
      await this.#statusFile.stop();
      await this.#health.close();
    } catch (cause) {
      this.#problems.push(cause);
    }
    await this.#telemetry.end(this.#hurry.signal);
    this.#deadline?.cancel();
    this.#state = 'stopped';
    if (this.#problems.length > 0) this.#ended.reject(this.#problems[0]);
    else this.#ended.resolve(this.#asked.signal.aborted ? 'stopped' : end);
    this.#ended.promise.catch(() => undefined); // Whoever wants to know asks for it.
    const left = this.#leftEvents();
    log.info('the pipeline has stopped', Object.keys(left).length > 0 ? { left } : {});
  }

  async #stopSources(): Promise<void> {
    const { clock } = this.#parts.world;
    const hurry = this.#hurry.signal;
    await within(clock, roomPatienceMs, unless(hurry, this.#sourcesDone));
    this.#roomClosing.abort();
    await unless(hurry, this.#sourcesDone);
  }

  /** Drains what is in memory only, or all of it; then lets every sink finish what it has in its hands. */
  async #stopSinks(drainsAll: boolean): Promise<void> {
    const hurry = this.#hurry.signal;
    const all = [...this.#parts.buffers.values()];
    for (const [at, { buffer }] of this.#parts.settings.sinks.entries()) {
      const drains = drainsAll || this.#parts.buffers.get(buffer)?.isDurable === false;
      if (drains && !hurry.aborted) this.#sinks[at]?.expectNoMore();
    }
    // With no input left there is no hurry, unless somebody asks for the end.
    if (drainsAll) await unless(this.#asked.signal, this.#drained(all, this.#asked.signal));
    this.#limitTime();
    await unless(
      hurry,
      this.#drained(
        all.filter(({ isDurable }) => !isDurable),
        hurry,
      ),
    );
    this.#sinksStop.abort();
    const patienceMs = hurry.aborted ? 0 : this.#parts.settings.shutdownTimeoutMs;
    await unless(hurry, Promise.allSettled(this.#sinks.map((sink) => sink.stop(patienceMs))));
    if (hurry.aborted) await Promise.allSettled(this.#sinks.map((sink) => sink.stop(0)));
    // A second close ends a draining one; what the sinks handed back is in no one's hands.
    const closed = await Promise.allSettled(all.map(({ buffer }) => buffer.close()));
    await unless(hurry, this.#sinksDone);
    for (const result of closed) if (result.status === 'rejected') this.#problems.push(result.reason);
  }

  /** Resolves when every sink has settled what is in these buffers, unless it is over before. */
  async #drained(buffers: readonly OpenedBuffer[], over: AbortSignal): Promise<void> {
    const { clock } = this.#parts.world;
    const cursors = (opened: OpenedBuffer): BufferStatus['cursors'] =>
      this.#bufferStatus(opened).cursors.filter(({ backlog }) => backlog.events > 0);
    const drained = async (opened: OpenedBuffer): Promise<unknown> => {
      if (cursors(opened).every(({ sink }) => sink !== undefined)) return opened.buffer.close({ drain: true });
      // The buffer would wait for ever for a cursor that no sink reads. That there is one was said at the start.
      // One whose disk is broken never delivers what it could not write, and says so when it is closed.
      const isOver = (): boolean => over.aborted || opened.buffer.stats().state === 'failed';
      while (!isOver() && cursors(opened).some(({ sink }) => sink !== undefined)) {
        await pause(clock, drainPollMs, over);
      }
      return undefined;
    };
    await Promise.allSettled(buffers.map(drained));
  }

  /** Events that wait on the disk for another run, by cursor, which is called like its sink. */
  #leftEvents(): Record<string, number> {
    const left: Record<string, number> = {};
    for (const { settings, buffer } of this.#parts.buffers.values()) {
      const stats = buffer.stats();
      for (const [at, { cursors }] of (stats.stages ?? [stats]).entries()) {
        if (settings.stages[at]?.definition.isDurable !== true) continue;
        for (const { name, backlog } of cursors) {
          if (backlog.events > 0) left[name] = (left[name] ?? 0) + backlog.events;
        }
      }
    }
    return left;
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

/** A directory that somebody holds is waited for; whoever stops us waits only for what can be closed at once. */
async function unlessStopped<Value>(
  opening: Promise<Value>,
  clock: Clock,
  stopping: AbortSignal | undefined,
): Promise<Value> {
  if (stopping === undefined) return await opening;
  try {
    return await abortable(opening, stopping);
  } catch (cause) {
    await within(clock, roomPatienceMs, Promise.allSettled([opening]));
    throw cause;
  }
}

function whenAborted(signal: AbortSignal | undefined, act: () => void): void {
  if (signal?.aborted) act();
  else signal?.addEventListener('abort', act, { once: true });
}

function bufferOf(buffers: ReadonlyMap<string, OpenedBuffer>, id: string): OpenedBuffer {
  const found = buffers.get(id);
  if (found === undefined) throw new TypeError(`no buffer has the id ${id}: the settings were not checked`);
  return found;
}
