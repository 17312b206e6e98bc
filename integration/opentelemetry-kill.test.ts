// An application is killed with SIGKILL under load and started again, with its collector away for part of the time, and
// a second process of it beside: whatever an export had been told is on disk arrives, and dead directories go.
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { signals } from '../src/otlp/signal.ts';
import { byScale } from '../test/sweep.ts';
import { root } from '../test/tidy/source.ts';
import { TelemetryCollector } from './telemetry-collector.ts';
import { currentLine, TelemetryProcess } from './telemetry-process.ts';
import { settled } from './telemetry-run.ts';

const lives = byScale({ sample: 3, full: 25 });
const timeout = byScale({ sample: 180_000, full: 600_000 });
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
    let acknowledgedCount = 0;
    for (const application of [...dead, last]) {
      for (const signal of signals) {
        const { acknowledged } = application;
        acknowledgedCount += acknowledged[signal].size;
        expect([...acknowledged[signal]].filter((number) => !collector.taken('spillway', signal).has(number))).toEqual(
          [],
        );
      }
    }
    // A process that was killed at once may have nothing to lose; all together have.
    expect(acknowledgedCount).toBeGreaterThan(lives);
  } finally {
    for (const application of dead) await application.kill();
    await collector.close();
    rmSync(path, { recursive: true, force: true });
  }
});

// Nobody shuts the exporter down, and a request is under way that never gets an answer.
const forgetful = `
import { diskTransport } from '${root}/src/sdk/index.ts';
import { sampleRequest } from '${root}/src/testing/otlp-samples.ts';
const [, path, url] = process.argv;
const transport = diskTransport({ signal: 'traces', url, buffer: { path } });
const answer = await transport.send(sampleRequest('traces', 1, 5).bytes, 1000);
process.stdout.write(answer.status);
`;

it('keeps no process alive, and delivers with the next one what it left', async () => {
  const path = mkdtempSync(join(tmpdir(), 'spillway-telemetry-end-'));
  const collector = await TelemetryCollector.open();
  const url = `${collector.url}/spillway/v1/traces`;
  const run = async (): Promise<string> => {
    const args = ['--conditions=spillway-source', '--input-type=module', '-e', forgetful, path, url];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
    return stdout;
  };
  try {
    await collector.setMood('stalled');
    const startMs = performance.now();
    expect(await run()).toBe('success');
    expect(performance.now() - startMs).toBeLessThan(8_000); // A request may take 10 s.
    expect(collector.taken('spillway', 'traces').size).toBe(0);
    await collector.setMood('taking');
    const application = new TelemetryProcess(currentLine, {
      ...{ collector: collector.url, path, maxBytes: 2 ** 24, whenFull: 'drop_oldest', itemsPerSecond: 100, first: 0 },
    });
    await application.started();
    const { stats } = await application.stop();
    const traces = stats.find(({ signal }) => signal === 'traces') as { accepted: number; delivered: number };
    expect(traces.delivered).toBe(traces.accepted + 5);
  } finally {
    await collector.close();
    rmSync(path, { recursive: true, force: true });
  }
});
