// One run of the application against a collector that has a fault for a while, and what became of every item.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Signal, signals } from '../src/otlp/signal.ts';
import type { ApplicationEnd } from './programs/telemetry-application.ts';
import { type CollectorMood, TelemetryCollector } from './telemetry-collector.ts';
import { currentLine, type SdkLine, TelemetryProcess } from './telemetry-process.ts';

export interface FaultRun {
  readonly mood: CollectorMood;
  readonly faultMs: number;
  readonly itemsPerSecond?: number;
  readonly maxBytes?: number;
  readonly whenFull?: string;
  readonly line?: SdkLine;
  /** Default: a folder of its own. */
  readonly path?: string;
}

/** What became of the items of one signal. */
export interface Fate {
  readonly emitted: number;
  /** Exports that were answered with success. */
  readonly acknowledged: number;
  /** Acknowledged, and not with the collector in the end. */
  readonly lostAcknowledged: number;
  /** Emitted, and not with the collector in the end. */
  readonly lost: number;
  readonly officialLost: number;
  readonly stats: ApplicationEnd['stats'][number];
}

export interface FaultOutcome {
  readonly fates: Readonly<Record<Signal, Fate>>;
  readonly loopDelayMs: ApplicationEnd['loopDelayMs'];
}

/** What a healthy collector gets before the fault; and how long the rest may take to arrive behind it. */
const calmMs = 1_500;
const arrivalMsMax = 30_000;

export async function runFault(run: FaultRun): Promise<FaultOutcome> {
  const { maxBytes = 256 * 2 ** 20, whenFull = 'drop_oldest', itemsPerSecond = 500, line = currentLine } = run;
  const path = run.path ?? mkdtempSync(join(tmpdir(), 'spillway-telemetry-'));
  const collector = await TelemetryCollector.open();
  const given = { collector: collector.url, path, maxBytes, whenFull, itemsPerSecond, first: 0 };
  const application = new TelemetryProcess(line, given);
  try {
    await application.started();
    await sleep(calmMs);
    await collector.setMood(run.mood);
    await sleep(run.faultMs);
    await collector.setMood('taking');
    await settled(collector, application);
    await sleep(calmMs); // The official exporter has its time to send what it still holds.
    const end = await application.stop();
    return { fates: fatesOf(collector, application, end), loopDelayMs: end.loopDelayMs };
  } finally {
    await application.kill();
    await collector.close();
    if (run.path === undefined) rmSync(path, { recursive: true, force: true });
  }
}

/** Until the newest acknowledged items are there: what lies before them was delivered or given up. */
export async function settled(collector: TelemetryCollector, application: TelemetryProcess): Promise<void> {
  const newest = signals.map((signal) => [signal, Math.max(0, ...application.acknowledged[signal])] as const);
  const endMs = performance.now() + arrivalMsMax;
  while (!newest.every(([signal, number]) => number === 0 || collector.taken('spillway', signal).has(number))) {
    if (performance.now() > endMs) return; // Whoever compares finds out.
    await sleep(50);
  }
}

function fatesOf(
  collector: TelemetryCollector,
  { acknowledged }: TelemetryProcess,
  { emitted, stats }: ApplicationEnd,
): Record<Signal, Fate> {
  const fate = (signal: Signal): Fate => {
    const taken = collector.taken('spillway', signal);
    const official = collector.taken('official', signal);
    const count = emitted[signal] ?? 0;
    const officialCount = signal === 'metrics' ? (emitted['officialMetrics'] ?? 0) : count;
    return {
      emitted: count,
      acknowledged: acknowledged[signal].size,
      lostAcknowledged: [...acknowledged[signal]].filter((number) => !taken.has(number)).length,
      lost: count - taken.size,
      officialLost: officialCount - official.size,
      stats: stats.find((one) => one['signal'] === signal) ?? {},
    };
  };
  return { traces: fate('traces'), logs: fate('logs'), metrics: fate('metrics') };
}
