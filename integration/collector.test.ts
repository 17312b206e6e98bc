// A real Collector behind a pipeline takes all signals in all compressions, and is away for an application whose
// exporters have a disk behind them. What it goes through as a sink's server: sinks/collector.test.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Signal, signals } from '../src/otlp/signal.ts';
import { markersIn, markersOf, sampleRequest } from '../src/testing/index.ts';
import { CollectorServer } from './collector-server.ts';
import { faultOf } from './faults.ts';
import { freePort } from './free-port.ts';
import { needs } from './requirements.ts';
import { SpillwayProcess } from './spillway-process.ts';
import { numbersOf } from './telemetry-collector.ts';
import { currentLine, TelemetryProcess } from './telemetry-process.ts';
import { until } from './until.ts';

/** In each of the three requests that go through with each compression. */
const eventCount = 50;
/** What the application goes through without its collector: longer than the official exporters would try. */
const outageMs = 15_000;

function reasonToSkip(): string | undefined {
  return needs('linux', 'docker', 'collector-image');
}

test.for(['gzip', 'zstd', 'none'])(
  'takes all signals with compression %s',
  { timeout: 60_000 },
  async (compression, context) => {
    const reason = reasonToSkip();
    if (reason !== undefined) return context.skip(reason);
    await using collector = await CollectorServer.start();
    const folder = mkdtempSync(join(tmpdir(), 'spillway-collector-signals-'));
    const [port, healthPort] = [await freePort(), await freePort()];
    const config = `
data_dir: data
sources: { in: { type: otlp, address: "127.0.0.1:${port}" } }
sinks:
  out: { type: otlp, inputs: [in], endpoint: "${collector.url}", compression: ${compression}, buffer: { type: disk } }
`;
    const pipeline = new SpillwayProcess({ folder, config, healthPort });
    try {
      pipeline.start();
      await pipeline.until(({ sources }) => sources[0]?.address !== undefined);
      const wanted: Record<Signal, readonly string[]> = { traces: [], logs: [], metrics: [] };
      for (const signal of signals) {
        const { bytes } = sampleRequest(signal, 1, eventCount);
        const headers = { 'content-type': 'application/x-protobuf' };
        const url = `http://127.0.0.1:${port}/v1/${signal}`;
        const answer = await fetch(url, { method: 'POST', headers, body: Buffer.from(bytes) });
        expect(answer.status).toBe(200);
        wanted[signal] = markersOf(1, eventCount);
      }
      const found: Record<Signal, string[]> = { traces: [], logs: [], metrics: [] };
      await until('all signals are written', () => {
        for (const { signal, request } of collector.written())
          found[signal].push(...markersIn(JSON.stringify(request)));
        return signals.every((signal) => found[signal].length >= wanted[signal].length);
      });
      expect(found).toEqual(wanted);
      expect(await pipeline.stop(), pipeline.log).toBe(0);
    } finally {
      if (pipeline.isRunning) await pipeline.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

test('an application whose Collector is killed and comes back: every acknowledged item is written', {
  timeout: 120_000,
}, async (context) => {
  const reason = reasonToSkip();
  if (reason !== undefined) return context.skip(reason);
  await using collector = await CollectorServer.start({ pathPrefix: '/spillway' });
  const path = mkdtempSync(join(tmpdir(), 'spillway-collector-sdk-'));
  const given = { collector: collector.url, path, maxBytes: 256 * 2 ** 20, whenFull: 'drop_oldest' };
  const application = new TelemetryProcess(currentLine, { ...given, itemsPerSecond: 500, first: 0 });
  const written: Record<Signal, Set<number>> = { traces: new Set(), logs: new Set(), metrics: new Set() };
  const isWritten = (numbers: Readonly<Record<Signal, readonly number[]>>) => (): boolean => {
    for (const { signal, request } of collector.written()) {
      for (const number of numbersOf(signal, request)) written[signal].add(number);
    }
    return signals.every((signal) => numbers[signal].every((number) => written[signal].has(number)));
  };
  const acknowledged = (): Record<Signal, readonly number[]> => {
    const { traces, logs, metrics } = application.acknowledged;
    return { traces: [...traces], logs: [...logs], metrics: [...metrics] };
  };
  try {
    await application.started();
    await until('something is acknowledged', () => signals.every((signal) => acknowledged()[signal].length > 0));
    await until('and written', isWritten(acknowledged()));
    const fault = await faultOf('killed', collector.server);
    await fault.begin();
    const before = acknowledged();
    await sleep(outageMs);
    const during = acknowledged();
    for (const signal of signals) expect(during[signal].length).toBeGreaterThan(before[signal].length);
    expect(isWritten(during)()).toBe(false);
    await fault.end();
    await until('what was acknowledged in the outage is written', isWritten(during));
    const { stats } = await application.stop();
    await until('what was acknowledged at all is written', isWritten(acknowledged()));
    expect(stats.map(({ failed, dropped, damaged }) => ({ failed, dropped, damaged }))).toEqual(
      signals.map(() => ({ failed: 0, dropped: 0, damaged: 0 })),
    );
    expect(collector.torn).toBeLessThanOrEqual(1);
  } finally {
    await application.kill();
    rmSync(path, { recursive: true, force: true });
  }
});
