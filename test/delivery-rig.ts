// What tests of the delivery share: a buffer on a simulated disk with numbered events in it, a sink that does what a
// script says, and everything it was given.

import { dirname } from 'node:path';
import type { DiskBuffer, DiskBufferOptions } from '../src/index.ts';
import { metadataOfSignal, type Signal } from '../src/otlp/signal.ts';
import type { DeliverySettings } from '../src/pipeline/contract/settings.ts';
import type { HealthAnswer, Sink, SinkAnswer, SinkBatch } from '../src/pipeline/contract/sink.ts';
import type { DeadLetter, LetterAnswer, LetterBox } from '../src/pipeline/delivery/dead-letters.ts';
import { SinkDriver, type SinkDriverOptions } from '../src/pipeline/delivery/sink-driver.ts';
import type { FileHandle, FileSystem } from '../src/platform/file-system.ts';
import type { HostFiles } from '../src/platform/host-files.ts';
import { MemoryLog, type SimDiskOptions } from '../src/testing/index.ts';
import { markersIn, sampleRequest } from '../src/testing/otlp-samples.ts';
import { BufferRig } from './buffer-rig.ts';

const stepsMax = 2_000_000;

export type Answering = (batch: SinkBatch, call: Call) => SinkAnswer | Promise<SinkAnswer>;

/** One call of `deliver`. */
export interface Call {
  readonly number: number;
  readonly atMs: number;
  readonly signal: AbortSignal;
  /** Numbers of the events, in order. */
  readonly events: readonly number[];
  readonly batch: SinkBatch;
  answer: SinkAnswer | 'crash' | undefined;
}

/** Answers as told, and keeps what it was given. Without a script it takes everything at once. */
export class ScriptedSink implements Sink {
  readonly calls: Call[] = [];
  signals?: readonly Signal[];
  concurrencyMax?: number;
  health: (() => HealthAnswer | Promise<HealthAnswer>) | undefined;
  healthChecks = 0;
  atOnceMax = 0;
  answer: Answering = () => ({ kind: 'delivered' });
  readonly #now: () => number;
  #atOnce = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  async deliver(batch: SinkBatch, { signal }: { readonly signal: AbortSignal }): Promise<SinkAnswer> {
    const events = eventsIn(batch.merged());
    const number = this.calls.length + 1;
    const call: Call = { number, atMs: this.#now(), signal, events, batch, answer: undefined };
    this.calls.push(call);
    this.#atOnce += 1;
    this.atOnceMax = Math.max(this.atOnceMax, this.#atOnce);
    try {
      call.answer = await this.answer(batch, call);
      return call.answer;
    } catch (cause) {
      call.answer = 'crash';
      throw cause;
    } finally {
      this.#atOnce -= 1;
    }
  }

  async checkHealth(): Promise<HealthAnswer> {
    this.healthChecks += 1;
    return (await this.health?.()) ?? { kind: 'healthy' };
  }

  /** Numbers of the events that were delivered, in the order of the calls. */
  get delivered(): number[] {
    return this.calls.flatMap(({ answer, events }) => (isDelivered(answer) ? events : []));
  }

  get sizes(): number[] {
    return this.calls.map(({ events }) => events.length);
  }
}

function isDelivered(answer: Call['answer']): boolean {
  return typeof answer === 'object' && answer.kind === 'delivered';
}

/** Keeps dead letters in memory. */
export class MemoryLetters implements LetterBox {
  readonly letters: DeadLetter[] = [];
  /** Takes no more than so many; the rest is answered with this failure. */
  room: number = Number.POSITIVE_INFINITY;
  failure = 'the dead letters are full';

  async write(letters: readonly DeadLetter[]): Promise<LetterAnswer> {
    const taken = letters.slice(0, this.room);
    this.letters.push(...taken);
    this.room -= taken.length;
    return taken.length === letters.length
      ? { written: taken.length }
      : { written: taken.length, failure: this.failure };
  }

  /** Numbers of the events, in the order in which they came. */
  get events(): number[] {
    return this.letters.flatMap(({ bytes }) => eventsIn(bytes));
  }
}

type Given = {
  readonly batch?: Partial<DeliverySettings['batch']>;
  readonly request?: Partial<DeliverySettings['request']>;
} & Partial<Pick<DeliverySettings, 'onBlocked' | 'healthcheck'>>;

export type DriverOptions = Given & Partial<Pick<SinkDriverOptions, 'deadLetters' | 'cursor'>>;

export function deliverySettings({ batch, request, ...rest }: Given = {}): DeliverySettings {
  return {
    batch: { maxBytes: 1_000_000, maxEvents: 10_000, timeoutMs: 0, ...batch },
    request: {
      concurrency: 1,
      timeoutMs: 10_000,
      headers: {},
      rateLimit: undefined,
      retryAttempts: Number.POSITIVE_INFINITY,
      retryInitialBackoffMs: 100,
      retryMaxBackoffMs: 30_000,
      retryJitter: 'none',
      ...request,
    },
    healthcheck: { enabled: true, isRequired: false },
    onBlocked: 'wait',
    deadLetters: undefined,
    ...rest,
  };
}

export class DeliveryRig {
  readonly rig: BufferRig;
  readonly letters: MemoryLetters = new MemoryLetters();
  readonly log: MemoryLog = new MemoryLog();
  sink: ScriptedSink;
  buffer: DiskBuffer;
  #next: number;

  private constructor(rig: BufferRig, buffer: DiskBuffer) {
    this.rig = rig;
    this.buffer = buffer;
    this.sink = this.newSink();
    this.#next = buffer.stats().frontiers.reserved;
  }

  static async open(
    options: SimDiskOptions & { readonly seed?: number; readonly buffer?: Partial<DiskBufferOptions> } = {},
  ): Promise<DeliveryRig> {
    const { buffer, ...disk } = options;
    const rig = new BufferRig(disk);
    return new DeliveryRig(rig, await rig.open({ durability: 'os', ...buffer }));
  }

  newSink(): ScriptedSink {
    return new ScriptedSink(() => this.rig.world.timeMs);
  }

  /** A driver in the process that lives now. */
  driver(options: DriverOptions = {}): SinkDriver {
    const { deadLetters, cursor, ...given } = { deadLetters: this.letters, cursor: this.cursor, ...options };
    const { clock, random } = this.rig.process;
    const world = { clock, random };
    const settings = deliverySettings(given);
    return new SinkDriver({ cursor, sink: this.sink, settings, deadLetters, world, log: this.log });
  }

  get cursor(): ReturnType<DiskBuffer['cursor']> {
    return this.buffer.cursor('default');
  }

  /** The number of the next event. */
  get next(): number {
    return this.#next;
  }

  /** Records with so many events each; an event's number is its id. */
  async append(signal: Signal, ...eventsOfRecords: readonly number[]): Promise<void> {
    await Promise.all(eventsOfRecords.map((events) => this.appendBytes(signal, events)));
  }

  async appendBytes(signal: Signal, events: number, text?: string): Promise<void> {
    const { bytes } = sampleRequest(signal, this.#next, events, text);
    this.#next += events;
    await this.run(this.buffer.append(bytes, { events, metadata: metadataOfSignal[signal] }));
  }

  /** Something that is no request. */
  async appendRaw(
    payload: Uint8Array,
    options: { readonly events?: number; readonly metadata: number },
  ): Promise<void> {
    this.#next += options.events ?? 1;
    await this.run(this.buffer.append(payload, options));
  }

  run<Value>(promise: Promise<Value>): Promise<Value> {
    promise.catch(() => undefined);
    return this.rig.world.run(promise, { stepsMax });
  }

  until(predicate: () => boolean): Promise<void> {
    return this.rig.world.run(predicate, { stepsMax });
  }

  advance(ms: number): Promise<void> {
    return this.rig.world.advance(ms, { stepsMax });
  }

  /** Until everything in the buffer is settled. */
  drained(): Promise<void> {
    return this.until(() => this.cursor.nextId >= this.#next);
  }

  /** What is left in the buffer, read by nobody else. */
  async remaining(): Promise<number[]> {
    const events: number[] = [];
    while (this.cursor.nextId < this.#next) {
      const delivery = await this.rig.read(this.cursor);
      for (const { payload } of delivery.records) events.push(...eventsIn(payload));
      delivery.ack();
    }
    return events;
  }

  async reopen(options: Partial<DiskBufferOptions> = {}): Promise<void> {
    this.buffer = await this.rig.open({ durability: 'os', ...options });
    this.#next = this.buffer.stats().frontiers.reserved;
  }

  after(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.rig.process.clock.setTimer(ms, resolve);
    });
  }

  lines(level: 'info' | 'warn' | 'error'): string[] {
    return this.log.lines.filter((line) => line.level === level).map(({ message }) => message);
  }
}

/** Files of the host on the simulated disk: those calls that small durable files need. */
export function simHostFiles(fileSystem: FileSystem): HostFiles {
  const openToWrite = async (path: string): Promise<FileHandle> => {
    const isThere = (await fileSystem.facts(path)) !== undefined;
    return await fileSystem.open(path, isThere ? 'read_write' : 'create');
  };
  const files: Partial<HostFiles> = {
    openToWrite,
    facts: async (path) => {
      const facts = await fileSystem.facts(path);
      return facts === undefined ? undefined : { ...facts, identity: path, modifiedMs: 0 };
    },
    makeDirectories: () => Promise.resolve(),
    replaceText: async (path, text) => {
      const draft = await openToWrite(`${path}.new`);
      await draft.truncate(0);
      if (text !== '') await draft.write(new TextEncoder().encode(text), 0);
      await draft.syncData();
      await draft.close();
      await fileSystem.rename(`${path}.new`, path);
      await fileSystem.syncDirectory(dirname(path));
    },
  };
  return files as HostFiles;
}

export function eventsIn(bytes: Uint8Array): number[] {
  return markersIn(bytes).map((marker) => Number(marker.slice('event-'.length)));
}

/** Whole numbers from `first` to `last`. */
export function numbers(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}
