// What the exporters of all signals do: turn the SDK's items into the bytes of a request, have the buffer accept them,
// tell the SDK. Delivery is not their business: an export has succeeded when the buffer's promise holds.

import process from 'node:process';
import { UsageError } from '../base/errors.ts';
import { countEvents } from '../otlp/count.ts';
import type { Signal } from '../otlp/signal.ts';
import { DiagLog } from './diag-log.ts';
import type { Environment } from './environment.ts';
import { ExportSink } from './export-sink.ts';
import { type BufferedExporterOptions, concurrencyLimitOf, endpointFor } from './exporter-options.ts';
import { type ExporterWorld, exporterWorld } from './exporter-world.ts';
import { loadApi, loadSerializer } from './optional-peers.ts';
import { quietBy } from './quiet.ts';
import { exportFailed, exportSucceeded, type ResultCallback } from './sdk-types.ts';
import { type BufferUse, SharedBuffer, type Surroundings } from './shared-buffer.ts';
import type { SignalStats } from './signal-stats.ts';

/** Tests give other ones. */
export interface ExporterParts {
  readonly world: ExporterWorld;
  readonly environment: Environment;
  readonly serialize: (items: unknown) => Uint8Array | undefined;
  readonly openSink: Surroundings['openSink'];
}

/** How long an export may keep the process alive. A disk that takes longer is full, or does not answer. */
const holdMs = 10_000;

export class Exporter {
  readonly #signal: Signal;
  readonly #world: ExporterWorld;
  readonly #serialize: ExporterParts['serialize'];
  readonly #use: BufferUse;
  readonly #concurrencyLimit: number;
  readonly #timeoutMs: number;
  #underWay = 0;
  #shutdown: Promise<void> | undefined;

  constructor(signal: Signal, options: BufferedExporterOptions, parts: Partial<ExporterParts> = {}) {
    const api = loadApi();
    const { world = exporterWorld(), environment = process.env, serialize = loadSerializer(signal) } = parts;
    const { openSink = (sinkOptions) => ExportSink.open(sinkOptions) } = parts;
    const log = new DiagLog(api.diag);
    const endpoint = endpointFor(signal, options, { environment, warn: (message) => log.warn(message) });
    this.#signal = signal;
    this.#world = world;
    this.#serialize = serialize;
    this.#concurrencyLimit = concurrencyLimitOf(options);
    this.#timeoutMs = endpoint.timeoutMs;
    this.#use = bufferOf(options).use(endpoint, { world, quiet: quietBy(api), log, openSink });
  }

  /** Never throws; calls back once. */
  export(items: unknown, callback: ResultCallback): void {
    const bytes = this.#bytesOf(items);
    const events = bytes instanceof Uint8Array ? countEvents(this.#signal, bytes) : undefined;
    if (bytes instanceof Error) callback(exportFailed(bytes));
    else if (events === undefined) callback(exportFailed(new Error('The transformer gave no OTLP request.')));
    else if (events === 0) callback(exportSucceeded);
    else this.#store(bytes, events, callback);
  }

  /** For a transport, which is given the bytes. */
  async send(bytes: Uint8Array): Promise<void> {
    const events = countEvents(this.#signal, bytes);
    if (events === undefined) throw new Error(`Cannot store ${bytes.length} bytes: no OTLP request of ${this.#signal}`);
    if (events > 0) await this.#accept(bytes, events);
  }

  /** Resolves when everything exported is durable; before that it goes on delivering, up to `timeoutMillis`. */
  async forceFlush(): Promise<void> {
    await (this.#shutdown ?? this.#use.buffer.flush(this.#timeoutMs));
  }

  /** Commits, delivers for at most five seconds, closes. What is left is delivered after the next start. */
  shutdown(): Promise<void> {
    this.#shutdown ??= this.#use.release();
    return this.#shutdown;
  }

  stats(): SignalStats {
    return this.#use.buffer.stats();
  }

  #bytesOf(items: unknown): Uint8Array | Error {
    if (this.#shutdown !== undefined) return closedError();
    if (this.#underWay >= this.#concurrencyLimit) {
      return new Error(`${this.#underWay} exports wait for the disk already (concurrencyLimit): the items are dropped`);
    }
    try {
      return this.#serialize(items) ?? new Error('The transformer gave nothing to store.');
    } catch (cause) {
      return cause instanceof Error ? cause : new Error(String(cause));
    }
  }

  #store(bytes: Uint8Array, events: number, callback: ResultCallback): void {
    this.#accept(bytes, events).then(
      () => callback(exportSucceeded),
      (cause: unknown) => callback(exportFailed(cause)),
    );
  }

  async #accept(bytes: Uint8Array, events: number): Promise<void> {
    this.#underWay += 1;
    const hold = this.#world.patience.setTimer(holdMs, () => undefined);
    try {
      await this.#use.buffer.append(bytes, events);
    } finally {
      hold.cancel();
      this.#underWay -= 1;
    }
  }
}

function bufferOf({ buffer }: BufferedExporterOptions): SharedBuffer {
  if (buffer instanceof SharedBuffer) return buffer;
  if (typeof buffer === 'object' && buffer !== null) return new SharedBuffer(buffer, { parts: 1 });
  throw new UsageError({
    code: 'SPILLWAY_USAGE_OPTION',
    message: 'Cannot make an exporter without a buffer: expected buffer: { path }, or what createTelemetryBuffer gave',
  });
}

function closedError(): UsageError {
  return new UsageError({
    code: 'SPILLWAY_USAGE_CLOSED',
    message: 'Cannot export: the exporter was shut down. The items were not stored',
  });
}
