// An application is killed with SIGKILL under load and started again, with its collector away for part of the time, and
// a second process of it beside: whatever an export had been told is on disk arrives, and dead directories go.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { signals } from '../src/otlp/signal.ts';
import { byScale } from '../test/sweep.ts';
import { TelemetryCollector } from './telemetry-collector.ts';
import { currentLine, TelemetryProcess } from './telemetry-process.ts';
import { settled } from './telemetry-run.ts';

const lives = byScale({ sample: 3, full: 25 });
const timeout = byScale({ sample: 60_000, full: 300_000 });
/** From one life's numbers to the next one's. */
const stride = 1_000_000;

it('loses nothing that was acknowledged, however often it is killed', { timeout }, async () => {
  const path = mkdtempSync(join(tmpdir(), 'spillway-telemetry-kill-'));
  const collector = await TelemetryCollector.open();
  const dead: TelemetryProcess[] = [];
  let started = 0;
  const start = async (): Promise<TelemetryProcess> => {
    const given = { maxBytes: 256 * 2 ** 20, whenFull: 'drop_oldest', itemsPerSecond: 500 };
    const first = started++ * stride;
    const application = new TelemetryProcess(currentLine, { collector: collector.url, path, ...given, first });
    await application.started();
    return application;
  };
  try {
    for (let life = 0; life < lives; life++) {
      await collector.setMood(life % 2 === 0 ? 'away' : 'taking');
      const pair = await Promise.all([start(), start()]);
      await sleep(500 + ((life * 137) % 400));
      for (const application of pair) await application.kill();
      dead.push(...pair);
    }
    await collector.setMood('taking');
    const last = await start();
    for (const application of [...dead, last]) await settled(collector, application);
    // The last process has one directory for each signal, and what the others left is gone with them.
    for (let tries = 0; readdirSync(path).length > signals.length && tries < 200; tries++) await sleep(50);
    expect(readdirSync(path)).toHaveLength(signals.length);
    const { stats } = await last.stop();
    expect(stats.map(({ failed, dropped, damaged }) => ({ failed, dropped, damaged }))).toEqual(
      signals.map(() => ({ failed: 0, dropped: 0, damaged: 0 })),
    );
    for (const application of [...dead, last]) {
      for (const signal of signals) {
        const { acknowledged } = application;
        expect(acknowledged[signal].size).toBeGreaterThan(0);
        expect([...acknowledged[signal]].filter((number) => !collector.taken('spillway', signal).has(number))).toEqual(
          [],
        );
      }
    }
  } finally {
    for (const application of dead) await application.kill();
    await collector.close();
    rmSync(path, { recursive: true, force: true });
  }
});
