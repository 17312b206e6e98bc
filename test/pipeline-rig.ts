// Whole pipelines on a simulated machine: buffers, dead letters and the status file on its disk, all time virtual.

import { dirname } from 'node:path';
import { z } from 'zod';
import { diskBuffer } from '../src/pipeline/buffers/disk-buffer-plugin.ts';
import { memoryBuffer } from '../src/pipeline/buffers/memory-buffer-plugin.ts';
import {
  defineSink,
  defineSource,
  type SinkDefinition,
  type SourceDefinition,
} from '../src/pipeline/contract/definition.ts';
import type {
  BufferStageSettings,
  DeliverySettings,
  PipelineSettings,
  SinkSettings,
} from '../src/pipeline/contract/settings.ts';
import type { HealthAnswer, Sink, SinkAnswer, SinkBatch } from '../src/pipeline/contract/sink.ts';
import type { EmitOptions, EmitResult, SourceContext } from '../src/pipeline/contract/source.ts';
import type { World } from '../src/pipeline/contract/world.ts';
import { Pipeline } from '../src/pipeline/runtime/pipeline.ts';
import type { FileSystem } from '../src/platform/file-system.ts';
import type { HostFiles } from '../src/platform/host-files.ts';
import {
  MemoryLog,
  SimDisk,
  type SimDiskOptions,
  type SimProcess,
  SimWorld,
  type Survivors,
} from '../src/testing/index.ts';
import { sampleRequest } from '../src/testing/otlp-samples.ts';
import { deliverySettings, eventsIn, simHostFiles } from './delivery-rig.ts';

/** More steps than any life takes: what is not over then turns in circles. */
const stepsMax = 200_000;
const schema = z.strictObject({});

/** A source that the test emits through. */
export class Tap {
  readonly definition: SourceDefinition;
  context: SourceContext | undefined;
  lives = 0;
  /** What a life of it does. */
  live: () => Promise<void> = () => this.untilStopped();

  constructor() {
    this.definition = defineSource({
      type: 'tap',
      schema,
      create: (_options, context) => {
        this.context = context;
        this.lives += 1;
        return { run: () => this.live() };
      },
    });
  }

  untilStopped(): Promise<void> {
    const { stopping } = this.context as SourceContext;
    return new Promise((resolve) => {
      if (stopping.aborted) resolve();
      stopping.addEventListener('abort', () => resolve());
    });
  }

  /** Log records with these numbers. */
  emit(first: number, events: number, options?: EmitOptions, text?: string): Promise<EmitResult> {
    return (this.context as SourceContext).emit(sampleRequest('logs', first, events, text), options);
  }
}

export interface Given {
  readonly events: readonly number[];
  readonly batch: SinkBatch;
  readonly signal: AbortSignal;
}

/** A sink that takes everything, or answers as the test says; it keeps what it has taken. */
export class Basin {
  readonly definition: SinkDefinition;
  /** Numbers of the events that it was given and answered `delivered` to, in the order of the answers. */
  readonly received: number[] = [];
  lives = 0;
  closed = 0;
  answer: (given: Given) => SinkAnswer | Promise<SinkAnswer> = () => ({ kind: 'delivered' });
  health: (() => Promise<HealthAnswer>) | undefined;
  create: () => void | Promise<void> = () => undefined;
  close: () => Promise<void> = () => Promise.resolve();

  constructor() {
    this.definition = defineSink({
      type: 'basin',
      schema,
      create: async () => {
        this.lives += 1;
        await this.create();
        return this.#sink();
      },
    });
  }

  #sink(): Sink {
    const { health } = this;
    return {
      ...(health === undefined ? {} : { checkHealth: () => health() }),
      deliver: async (batch, { signal }) => {
        const events = eventsIn(batch.merged());
        const answer = await this.answer({ events, batch, signal });
        if (answer.kind === 'delivered') this.received.push(...events);
        return answer;
      },
      close: async () => {
        this.closed += 1;
        await this.close();
      },
    };
  }
}

export const away = (): SinkAnswer => ({ kind: 'retryable', reason: 'away' });

export function diskStage(options: Readonly<Record<string, unknown>> = {}): BufferStageSettings {
  return { definition: diskBuffer, options: diskBuffer.schema.parse({ max_size: 2 ** 20, ...options }) };
}

export function memoryStage(options: Readonly<Record<string, unknown>> = {}): BufferStageSettings {
  return { definition: memoryBuffer, options: memoryBuffer.schema.parse(options) };
}

type SinkGiven = Partial<Omit<SinkSettings, 'delivery'>> & {
  readonly delivery?: Parameters<typeof deliverySettings>[0] & Partial<Pick<DeliverySettings, 'deadLetters'>>;
};

export function sinkOf(id: string, { definition }: Basin, { delivery = {}, ...given }: SinkGiven = {}): SinkSettings {
  const { deadLetters, ...rest } = delivery;
  const settled = { ...deliverySettings(rest), deadLetters };
  return { id, definition, options: {}, inputs: ['tap'], buffer: id, startAt: 'oldest', delivery: settled, ...given };
}

export class PipelineRig {
  readonly world: SimWorld;
  readonly disk: SimDisk;
  readonly log: MemoryLog = new MemoryLog();
  process: SimProcess;

  constructor({ seed = 1, ...options }: SimDiskOptions & { readonly seed?: number } = {}) {
    this.world = new SimWorld({ seed });
    this.disk = new SimDisk(this.world, options);
    this.process = this.disk.start();
  }

  /** One source, `tap`, and a disk buffer for every id that sinks name. */
  settings(tap: Tap, sinks: readonly SinkSettings[], changes: Partial<PipelineSettings> = {}): PipelineSettings {
    const ids = [...new Set(sinks.map(({ buffer }) => buffer))];
    return {
      dataDir: '/data',
      sources: [{ id: 'tap', definition: tap.definition, options: {} }],
      buffers: ids.map((id) => ({ id, stages: [diskStage()] })),
      sinks,
      health: undefined,
      shutdownTimeoutMs: 10_000,
      ...changes,
    };
  }

  starting(settings: PipelineSettings, stopping?: AbortSignal): Promise<Pipeline> {
    const start = { world: worldOf(this.process), log: this.log };
    return Pipeline.start(settings, stopping === undefined ? start : { ...start, stopping });
  }

  start(settings: PipelineSettings): Promise<Pipeline> {
    return this.run(this.starting(settings));
  }

  run<Value>(promise: Promise<Value>): Promise<Value> {
    promise.catch(() => undefined);
    return this.world.run(promise, { stepsMax });
  }

  until(predicate: () => boolean): Promise<void> {
    return this.world.run(predicate, { stepsMax });
  }

  advance(ms: number): Promise<void> {
    return this.world.advance(ms, { stepsMax });
  }

  /** How long it took, in virtual time; undefined if it has not settled within `ms`. */
  async took(ms: number, promise: Promise<unknown>): Promise<number | undefined> {
    const startMs = this.world.timeMs;
    let endMs: number | undefined;
    const note = (): void => {
      endMs = this.world.timeMs - startMs;
    };
    promise.then(note, note);
    await this.advance(ms);
    return endMs;
  }

  after(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.process.clock.setTimer(ms, resolve);
    });
  }

  kill(): void {
    this.disk.killProcess(this.process);
    this.process = this.disk.start();
  }

  crash(survivors: Survivors = 'random'): void {
    this.disk.powerCut(survivors);
    this.process = this.disk.start();
  }

  /** Timers that the living process has set and not cancelled. */
  get timers(): number {
    return this.process.clock.owedCount;
  }

  lines(level: 'info' | 'warn' | 'error'): string[] {
    return this.log.lines.filter((line) => line.level === level).map(({ message }) => message);
  }
}

/** What a pipeline is given of a simulated process. */
export function worldOf({ clock, random, fileSystem }: SimProcess): World {
  return { clock, random, fileSystem, files: hostFiles(fileSystem) };
}

function hostFiles(fileSystem: FileSystem): HostFiles {
  const files = simHostFiles(fileSystem);
  const makeDirectories = async (path: string): Promise<void> => {
    if ((await fileSystem.facts(path)) !== undefined) return;
    await makeDirectories(dirname(path));
    await fileSystem.makeDirectory(path).catch((cause: unknown) => {
      if (cause instanceof Error && 'kind' in cause && cause.kind === 'exists') return;
      throw cause;
    });
    await fileSystem.syncDirectory(dirname(path));
  };
  return { ...files, makeDirectories };
}
