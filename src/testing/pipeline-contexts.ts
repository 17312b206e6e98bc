// What a source or a sink is given by its pipeline, for tests: a world, a log that is kept in memory, and the other
// side of `emit`.
//
//   const context = testSourceContext();                        // virtual time
//   const context = testSourceContext({ world: realWorld() });  // real sockets and files need real time
//
// In virtual time nothing moves by itself: `context.world.sim.run(promise)` or `.advance(ms)` moves it. Files of the
// host are the real ones in both worlds, and a simulation does not wait for them: what reads or writes such files takes
// the real world, or a world with files of its own.

import type { TelemetryBatch } from '../otlp/signal.ts';
import type { Log, LogFields } from '../pipeline/contract/log.ts';
import type { SinkContext, SinkOrigin } from '../pipeline/contract/sink.ts';
import type { EmitOptions, EmitResult, SourceContext } from '../pipeline/contract/source.ts';
import type { World } from '../pipeline/contract/world.ts';
import { NodeHostFiles } from '../platform/node-host-files.ts';
import { nodePlatform } from '../platform/node-platform.ts';
import { sampleOriginUuid } from './otlp-samples.ts';
import { SimDisk } from './sim-disk.ts';
import { SimWorld } from './sim-world.ts';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  /** Those of the line, and of the log it was written to. */
  readonly fields: LogFields;
}

/** Keeps what it is told. Children write to the lines of the log they come from. */
export class MemoryLog implements Log {
  readonly lines: LogLine[];
  readonly #fields: LogFields;

  constructor(lines: LogLine[] = [], fields: LogFields = {}) {
    this.lines = lines;
    this.#fields = fields;
  }

  debug(message: string, fields?: LogFields): void {
    this.#add('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#add('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#add('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#add('error', message, fields);
  }

  child(fields: LogFields): MemoryLog {
    return new MemoryLog(this.lines, { ...this.#fields, ...fields });
  }

  #add(level: LogLine['level'], message: string, fields: LogFields = {}): void {
    this.lines.push({ level, message, fields: { ...this.#fields, ...fields } });
  }
}

/** A world in virtual time, with a simulated disk for buffers. */
export interface SimulatedWorld extends World {
  readonly sim: SimWorld;
  readonly disk: SimDisk;
}

export function simulatedWorld({ seed = 1 }: { readonly seed?: number | string } = {}): SimulatedWorld {
  const sim = new SimWorld({ seed });
  const disk = new SimDisk(sim);
  const { fileSystem, clock, random } = disk.start();
  return { sim, disk, clock, random, fileSystem, files: new NodeHostFiles() };
}

/** The world as it is. */
export function realWorld(): World {
  const { clock, random, fileSystem } = nodePlatform();
  return { clock, random, fileSystem, files: new NodeHostFiles() };
}

/** What became of one call of `emit`. */
export interface Emission {
  readonly batch: TelemetryBatch;
  readonly options: EmitOptions;
  /** Undefined until it is answered. */
  readonly result: EmitResult | undefined;
}

export type EmitAnswer = (batch: TelemetryBatch, options: EmitOptions) => EmitResult | Promise<EmitResult>;

export interface TestSourceContext<Given extends World = World> extends SourceContext {
  readonly world: Given;
  readonly log: MemoryLog;
  /** Every call of `emit`, in the order of the calls. */
  readonly emissions: readonly Emission[];
  /** Batches that were answered `accepted`, in the order of the answers. */
  readonly accepted: readonly TelemetryBatch[];
  /** Answers every later `emit` in this way. Until then all are accepted. */
  answerWith(answer: EmitAnswer): void;
  /** Aborts `stopping`. */
  stop(): void;
}

interface SourceContextOptions<Given extends World> {
  readonly id?: string;
  /** Default: a path that does not exist. A source that keeps state is given a directory of the test's own. */
  readonly stateDirectory?: string;
  readonly world: Given;
}

export function testSourceContext(
  options?: Omit<SourceContextOptions<World>, 'world'>,
): TestSourceContext<SimulatedWorld>;
export function testSourceContext<Given extends World>(options: SourceContextOptions<Given>): TestSourceContext<Given>;
export function testSourceContext(options: Partial<SourceContextOptions<World>> = {}): TestSourceContext {
  const { id = 'test', stateDirectory = '/nonexistent/spillway/state', world = simulatedWorld() } = options;
  const stopping = new AbortController();
  const emissions: { batch: TelemetryBatch; options: EmitOptions; result: EmitResult | undefined }[] = [];
  const accepted: TelemetryBatch[] = [];
  let answer: EmitAnswer = () => ({ kind: 'accepted' });
  return {
    id,
    stateDirectory,
    world,
    log: new MemoryLog(),
    stopping: stopping.signal,
    emissions,
    accepted,
    answerWith(next) {
      answer = next;
    },
    stop() {
      stopping.abort();
    },
    async emit(batch, emitOptions = {}) {
      const emission: (typeof emissions)[number] = { batch, options: emitOptions, result: undefined };
      emissions.push(emission);
      const result = await answer(batch, emitOptions);
      emission.result = result;
      if (result.kind === 'accepted') accepted.push(batch);
      return result;
    },
  };
}

export interface TestSinkContext<Given extends World = World> extends SinkContext {
  readonly world: Given;
  readonly log: MemoryLog;
}

interface SinkContextOptions<Given extends World> {
  readonly id?: string;
  readonly origin?: Partial<SinkOrigin>;
  /** Default 5,000. */
  readonly timeoutMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly world: Given;
}

export function testSinkContext(options?: Omit<SinkContextOptions<World>, 'world'>): TestSinkContext<SimulatedWorld>;
export function testSinkContext<Given extends World>(options: SinkContextOptions<Given>): TestSinkContext<Given>;
export function testSinkContext(options: Partial<SinkContextOptions<World>> = {}): TestSinkContext {
  const { id = 'test', origin = {}, timeoutMs = 5_000, headers = {}, world = simulatedWorld() } = options;
  return {
    id,
    origin: { buffer: 'buffer', cursor: id, uuid: sampleOriginUuid, ...origin },
    timeoutMs,
    headers,
    world,
    log: new MemoryLog(),
  };
}
