// A real OpenTelemetry Collector behind a pipeline, under load: paused, killed, restarted and cut off, and the pipeline
// killed as well. What is claimed, of every fault alike: each number that got a 200 from the pipeline is in the file
// that the Collector writes, new ones in the order of their client; what is there twice was repeated, and is counted.
// No number is exempt, because this Collector answers when it has written (collector-server.ts). One that answers
// earlier loses, when it is killed, what it has answered for: exempt and counted, in a test of its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Signal, signals } from '../src/otlp/signal.ts';
import { markersIn, markersOf, sampleRequest } from '../src/testing/index.ts';
import { CollectorRig } from './collector-rig.ts';
import { CollectorServer } from './collector-server.ts';
import { type FaultName, faultNames, faultOf, wireFaults } from './faults.ts';
import { freePort } from './free-port.ts';
import { needs } from './requirements.ts';
import { SpillwayProcess } from './spillway-process.ts';
import { numbersOf } from './telemetry-collector.ts';
import { currentLine, TelemetryProcess } from './telemetry-process.ts';

/** Events that are accepted between one thing that happens and the next. */
const some = 600;
/** From the end of a fault until everything that was accepted is written. The backoff in between is half a second. */
const recoveryMsMax = 15_000;
/** In each of the three requests that go through with each compression. */
const eventCount = 50;
/** What the application goes through without its collector: longer than the official exporters would try. */
const outageMs = 15_000;

function reasonToSkip(fault?: FaultName): string | undefined {
  const wire = fault !== undefined && wireFaults.includes(fault) ? (['wire'] as const) : [];
  return needs('linux', 'docker', 'collector-image', ...wire);
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!isSo()) {
    if (performance.now() > deadlineMs) throw new Error(`not so after a minute: ${what}`);
    await sleep(20);
  }
}

describe('a Collector under a pipeline', () => {
  test.for(faultNames)(
    '%s, and the pipeline killed as well: all that was accepted is written',
    { timeout: 180_000 },
    async (name, context) => {
      const reason = reasonToSkip(name);
      if (reason !== undefined) return context.skip(reason);
      await using rig = await CollectorRig.start();
      await rig.accepts(some);
      await rig.delivers();
      const fault = await faultOf(name, rig.collector.server);
      await fault.begin();
      await rig.accepts(some);
      await rig.killPipeline();
      await rig.accepts(some);
      // A fault that nobody could feel would prove nothing. A restart is over when it has begun.
      if (name !== 'restarted') expect(await rig.collector.answers()).toBe(false);
      await fault.end();
      expect(await rig.delivers()).toBeLessThan(recoveryMsMax);
      await rig.accepts(some);
      await rig.killPipeline();
      await rig.accepts(some);
      await rig.stopClients();
      await rig.empties();
      expect(await rig.pipeline.stop(), rig.pipeline.log).toBe(0);
      expect(rig.missing()).toEqual([]);
      expect(rig.arrivals.disorder).toEqual([]);
      // Only a Collector that was killed can leave a request without its end, and only the one it was writing.
      expect(rig.collector.torn).toBeLessThanOrEqual(name === 'killed' ? 1 : 0);
      // Repeats are what was under way at a fault or a kill. More than there is of everything else would be a loop.
      expect(rig.arrivals.repeats).toBeLessThan(rig.arrivals.count);
    },
  );

  test('killed, where it answers before it writes: nothing that was accepted later is missing', {
    timeout: 120_000,
  }, async (context) => {
    const reason = reasonToSkip();
    if (reason !== undefined) return context.skip(reason);
    await using rig = await CollectorRig.start({ writes: 'buffered' });
    await rig.accepts(some);
    const fault = await faultOf('killed', rig.collector.server);
    await fault.begin();
    // What it had answered for was accepted before this, and is no longer the pipeline's.
    const exempt = new Set(rig.accepted().map(({ client, number }) => `${client} ${number}`));
    await rig.accepts(some);
    await fault.end();
    await rig.accepts(some);
    await rig.stopClients();
    await rig.empties();
    // Asked to end, it writes the rest.
    await (await faultOf('restarted', rig.collector.server)).begin();
    rig.read();
    const missing = rig.missing();
    expect(missing.filter((event) => !exempt.has(event))).toEqual([]);
    expect(missing.length, 'exempt: lost with the memory of the Collector').toBeGreaterThan(0);
    expect(rig.collector.torn).toBeLessThanOrEqual(1);
    expect(await rig.pipeline.stop(), rig.pipeline.log).toBe(0);
  });

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
});

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
