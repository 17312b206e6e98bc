// What tests of the exporters share: an application of several processes on one simulated disk, and a collector that
// does what a script says. Items are numbers: [1, 3] stands for the events 1 to 3.

import type { Signal } from '../src/otlp/signal.ts';
import type { SinkAnswer } from '../src/pipeline/contract/sink.ts';
import { NodeHostFiles } from '../src/platform/node-host-files.ts';
import { Exporter } from '../src/sdk/exporter.ts';
import type { BufferedExporterOptions } from '../src/sdk/exporter-options.ts';
import type { ExportResult } from '../src/sdk/sdk-types.ts';
import { SimDisk, type SimDiskOptions, type SimProcess, SimWorld } from '../src/testing/index.ts';
import { sampleRequest } from '../src/testing/otlp-samples.ts';
import { ScriptedSink } from './delivery-rig.ts';

export type Numbers = readonly [first: number, last: number];

export const telemetryPath = '/data/telemetry';

export interface Started {
  readonly process: SimProcess;
  readonly exporter: Exporter;
}

export class ExporterRig {
  readonly world: SimWorld;
  readonly disk: SimDisk;
  readonly collector: ScriptedSink;

  constructor(options: SimDiskOptions = {}, seed: number | string = 1) {
    this.world = new SimWorld({ seed });
    this.disk = new SimDisk(this.world, options);
    this.collector = new ScriptedSink(() => this.world.timeMs);
  }

  /** A process of the application with an exporter in it. */
  start(options: Partial<BufferedExporterOptions> = {}, signal: Signal = 'traces', process?: SimProcess): Started {
    const own = process ?? this.disk.start();
    const { clock, random, fileSystem } = own;
    const world = { clock, patience: clock, random, fileSystem, files: new NodeHostFiles() };
    const buffer = { path: telemetryPath };
    const serialize = (items: unknown): Uint8Array | undefined => requestOf(signal, items as Numbers | undefined);
    const openSink = async (): Promise<ScriptedSink> => this.collector;
    const parts = { world, environment: {}, serialize, openSink };
    return { process: own, exporter: new Exporter(signal, { buffer, ...options }, parts) };
  }

  /** Exports and waits for the answer. */
  async export({ exporter }: Started, ...numbers: readonly Numbers[]): Promise<ExportResult[]> {
    return await this.world.run(Promise.all(numbers.map((each) => exported(exporter, each))));
  }

  async away(): Promise<void> {
    this.collector.answer = (): SinkAnswer => ({ kind: 'retryable', reason: 'away' });
  }

  back(): void {
    this.collector.answer = (): SinkAnswer => ({ kind: 'delivered' });
  }

  /** The directories of processes, without their path. */
  get directories(): string[] {
    const names = this.disk.paths();
    const pattern = new RegExp(`^${telemetryPath}/([a-z]+-[0-9a-f]{16})$`);
    return names.flatMap((path) => pattern.exec(path)?.[1] ?? []).sort();
  }

  /** Runs until the collector has got all of these at least once. */
  async delivered(count: number, withinMs = 300_000): Promise<number[]> {
    const endMs = this.world.timeMs + withinMs;
    const all = (): boolean => new Set(this.collector.delivered).size >= count || this.world.timeMs > endMs;
    await this.world.run(all);
    return [...new Set(this.collector.delivered)].sort((a, b) => a - b);
  }
}

export function exported(exporter: Exporter, numbers: Numbers | undefined): Promise<ExportResult> {
  return new Promise((resolve) => {
    exporter.export(numbers, resolve);
  });
}

export function upTo(count: number, first = 1): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function requestOf(signal: Signal, numbers: Numbers | undefined): Uint8Array | undefined {
  if (numbers === undefined) return undefined;
  const [first, last] = numbers;
  return sampleRequest(signal, first, last - first + 1).bytes;
}
