// The exporters with a disk behind them and the official ones, in one application with the real SDK, under load, while
// the collector has a fault: every item whose export was acknowledged arrives, what was dropped is what the counters
// say, and the official exporter loses items in the same run.
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { signals } from '../src/otlp/signal.ts';
import { root } from '../test/tidy/source.ts';
import { needs } from './requirements.ts';
import type { CollectorMood } from './telemetry-collector.ts';
import { installedLine } from './telemetry-process.ts';
import { type FaultOutcome, runFault } from './telemetry-run.ts';

const timeout = 180_000;

function expectNothingLost({ fates }: FaultOutcome): void {
  for (const signal of signals) {
    const { emitted, lost, lostAcknowledged, stats } = fates[signal];
    expect(emitted).toBeGreaterThan(10);
    expect({ signal, lost, lostAcknowledged }).toEqual({ signal, lost: 0, lostAcknowledged: 0 });
    expect(stats).toMatchObject({ accepted: emitted, failed: 0, dropped: 0, rejected: 0, refused: 0, damaged: 0 });
  }
}

/** Every item is with the collector, was given up and counted, or failed and counted. */
function expectExactCounts({ fates }: FaultOutcome): void {
  for (const signal of signals) {
    const { emitted, lost, stats } = fates[signal];
    const { dropped, failed, accepted } = stats as Record<'dropped' | 'failed' | 'accepted', number>;
    expect({ signal, lost, emitted }).toEqual({ signal, lost: dropped + failed, emitted: accepted + failed });
  }
}

/** A row of the table in docs/opentelemetry.md, for whoever wants to see the figures of this machine. */
function keepRow(what: string, { fates, loopDelayMs }: FaultOutcome): void {
  const all = signals.map((signal) => fates[signal]);
  const sum = (of: (fate: (typeof all)[number]) => number): number => all.reduce((total, fate) => total + of(fate), 0);
  const emitted = sum((fate) => fate.emitted);
  const official = sum(({ officialLost }) => officialLost);
  const share = Math.round((100 * official) / emitted);
  const cells = [what, emitted, `${official} (${share} %)`, sum(({ lost }) => lost), `${loopDelayMs.p99} ms`];
  mkdirSync(join(root, '.cache'), { recursive: true });
  appendFileSync(join(root, '.cache/opentelemetry-faults.md'), `| ${cells.join(' | ')} |\n`);
}

describe('an application whose collector', () => {
  const faults: readonly (readonly [string, CollectorMood, number])[] = [
    ['is away for a minute', 'away', 60_000],
    ['answers 503', 503, 20_000],
    ['answers 429', 429, 20_000],
    ['accepts and stalls', 'stalled', 20_000],
    ['answers 401', 401, 20_000],
  ];

  it.each(faults)('%s loses nothing, where the official exporter does', { timeout }, async (what, mood, faultMs) => {
    const outcome = await runFault({ mood, faultMs });
    keepRow(`${what}, ${faultMs / 1_000} s`, outcome);
    expectNothingLost(outcome);
    expect(outcome.fates.traces.officialLost).toBeGreaterThan(100);
  });

  it('is away loses nothing with the major version before of the SDK', { timeout }, async (context) => {
    const line = await installedLine(2);
    if (line === undefined) context.skip('the package registry is out of reach');
    if (line === undefined) return;
    try {
      expectNothingLost(await runFault({ mood: 'away', faultMs: 15_000, line }));
    } finally {
      rmSync(line.source, { recursive: true, force: true });
    }
  });
});

describe('an application whose disk is full', () => {
  it('counts exactly what was dropped to make room', { timeout }, async () => {
    const outcome = await runFault({ mood: 'away', faultMs: 15_000, itemsPerSecond: 2_000, maxBytes: 3 * 2 ** 20 });
    expectExactCounts(outcome);
    expect(outcome.fates.traces.stats['dropped']).toBeGreaterThan(1_000);
  });

  it('fails exports where told to reject, and counts them exactly', { timeout }, async () => {
    const limits = { itemsPerSecond: 2_000, maxBytes: 3 * 2 ** 20, whenFull: 'reject' };
    const outcome = await runFault({ mood: 'away', faultMs: 10_000, ...limits });
    expectExactCounts(outcome);
    expect(outcome.fates.traces.lostAcknowledged).toBe(0);
    expect(outcome.fates.traces.stats['failed']).toBeGreaterThan(1_000);
  });

  it('goes on when the file system has no room, and loses nothing that it does not count', {
    timeout,
  }, async (context) => {
    const reason = needs('linux', 'root');
    if (reason !== undefined) context.skip(reason);
    const path = mkdtempSync(join(tmpdir(), 'spillway-full-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', path], { stdio: 'ignore' });
    } catch {
      context.skip('needs the right to mount');
    }
    try {
      const outcome = await runFault({ mood: 'away', faultMs: 10_000, itemsPerSecond: 2_000, path });
      expectExactCounts(outcome);
    } finally {
      execFileSync('umount', [path], { stdio: 'ignore' });
      rmSync(path, { recursive: true, force: true });
    }
  });
});
