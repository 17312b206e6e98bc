// Exporters in virtual time, with a scripted collector, on a simulated disk that several processes share.

import { describe, expect, it } from 'vitest';
import { ExporterRig, exported, upTo } from '../../test/exporter-rig.ts';
import type { SinkAnswer } from '../pipeline/contract/sink.ts';
import { createTelemetryBuffer } from './shared-buffer.ts';

const success = { code: 0 };

describe('an export', () => {
  it('succeeds once it is on disk, with the collector away, and is delivered when that is back', async () => {
    const rig = new ExporterRig();
    await rig.away();
    const app = rig.start();
    expect(await rig.export(app, [1, 3], [4, 4])).toEqual([success, success]);
    await rig.world.advance(60_000);
    expect(rig.collector.delivered).toEqual([]);
    expect(app.exporter.stats()).toMatchObject({ accepted: 4, delivered: 0, backlog: { events: 4 } });
    expect(app.exporter.stats().delivery).toEqual({ state: 'retrying', reason: 'away' });
    rig.back();
    expect(await rig.delivered(4)).toEqual(upTo(4));
    await rig.world.run(app.exporter.shutdown());
    expect(app.exporter.stats()).toMatchObject({ state: 'closed', accepted: 4, delivered: 4, failed: 0, dropped: 0 });
  });

  it('survives a power cut that comes right after its success', async () => {
    const rig = new ExporterRig();
    await rig.away();
    const app = rig.start();
    expect(await rig.export(app, [1, 50])).toEqual([success]);
    rig.disk.powerCut('none');
    rig.back();
    const next = rig.start();
    expect(await rig.delivered(50)).toEqual(upTo(50));
    await rig.world.run(next.exporter.shutdown());
  });

  it('fails when the transformer fails, and after shutdown; without items it succeeds', async () => {
    const rig = new ExporterRig();
    const app = rig.start();
    const [nothing] = await rig.world.run(Promise.all([exported(app.exporter, undefined)]));
    expect(nothing).toMatchObject({ code: 1, error: { message: 'The transformer gave nothing to store.' } });
    expect(await rig.export(app, [1, 0])).toEqual([success]);
    await rig.world.run(app.exporter.shutdown());
    const [late] = await rig.export(app, [1, 1]);
    expect(late).toMatchObject({ code: 1, error: { code: 'SPILLWAY_USAGE_CLOSED' } });
    expect(rig.collector.calls).toEqual([]);
  });

  it('fails beyond the concurrency limit, without taking memory', async () => {
    const rig = new ExporterRig();
    const app = rig.start({ concurrencyLimit: 2 });
    const codes = (await rig.export(app, [1, 1], [2, 2], [3, 3])).map(({ code }) => code);
    expect(codes).toEqual([0, 0, 1]);
    expect(await rig.delivered(2)).toEqual([1, 2]);
    await rig.world.run(app.exporter.shutdown());
  });

  it('is cut where it is larger than a record may be', async () => {
    const rig = new ExporterRig();
    const app = rig.start({ buffer: { path: '/data/telemetry', maxBytes: 2 ** 20 } });
    expect(await rig.export(app, [1, 5_000])).toEqual([success]);
    expect(await rig.delivered(5_000)).toEqual(upTo(5_000));
    expect(app.exporter.stats().accepted).toBe(5_000);
    await rig.world.run(app.exporter.shutdown());
  });

  it('fails while the directory is refused, and works a while after it is not', async () => {
    const rig = new ExporterRig();
    const lift = rig.disk.faults.inject({ fault: 'EACCES', operation: 'make directory' });
    const app = rig.start();
    const [first] = await rig.export(app, [1, 1]);
    expect(first).toMatchObject({ code: 1, error: { code: 'SPILLWAY_STORAGE_DENIED' } });
    lift();
    expect((await rig.export(app, [2, 2]))[0]?.code).toBe(1); // Not asked again at once.
    await rig.world.advance(5_000);
    expect(await rig.export(app, [3, 3])).toEqual([success]);
    expect(await rig.delivered(1)).toEqual([3]);
    expect(app.exporter.stats()).toMatchObject({ failed: 2, accepted: 1 });
    await rig.world.run(app.exporter.shutdown());
  });

  it('fails when writing has failed, works after the buffer was opened again, and loses nothing accepted', async () => {
    const rig = new ExporterRig();
    await rig.away();
    const app = rig.start();
    expect(await rig.export(app, [1, 10])).toEqual([success]);
    const lift = rig.disk.faults.inject({ fault: 'EIO', operation: 'sync' });
    const [failed] = await rig.export(app, [11, 12]);
    expect(failed).toMatchObject({ code: 1, error: { code: 'SPILLWAY_STORAGE_IO' } });
    lift();
    await rig.world.advance(6_000);
    expect(await rig.export(app, [13, 15])).toEqual([success]);
    rig.back();
    const arrived = await rig.delivered(15, 60_000);
    expect(arrived).toEqual(expect.arrayContaining([...upTo(10), 13, 14, 15]));
    expect(rig.directories).toHaveLength(1);
    await rig.world.run(app.exporter.shutdown());
  });
});

describe('a full buffer', () => {
  it('gives up the oldest and counts it, exactly', async () => {
    const rig = new ExporterRig();
    await rig.away();
    const app = rig.start({ buffer: { path: '/data/telemetry', maxBytes: 2 ** 20 } });
    for (let first = 1; first <= 60_000; first += 1_000) {
      expect(await rig.export(app, [first, first + 999])).toEqual([success]);
    }
    const { dropped, accepted, backlog } = app.exporter.stats();
    expect(accepted).toBe(60_000);
    expect(dropped).toBeGreaterThan(10_000);
    expect(backlog.events).toBe(60_000 - dropped);
    rig.back();
    await rig.delivered(60_000 - dropped);
    await rig.world.run(app.exporter.shutdown());
    // The batch that was under way when its segment was given up gets through all the same, and is not counted as lost.
    const arrived = new Set(rig.collector.delivered);
    const end = app.exporter.stats();
    expect(end).toMatchObject({ delivered: arrived.size, dropped: 60_000 - arrived.size, backlog: { events: 0 } });
    expect(end.dropped).toBeLessThan(dropped);
    for (const number of upTo(60_000 - dropped, dropped + 1)) if (!arrived.has(number)) expect.unreachable();
  });

  it('fails exports where told to reject, and counts them', async () => {
    const rig = new ExporterRig();
    await rig.away();
    const app = rig.start({ buffer: { path: '/data/telemetry', maxBytes: 2 ** 20, whenFull: 'reject' } });
    let accepted = 0;
    for (let first = 1; first <= 60_000; first += 1_000) {
      const [result] = await rig.export(app, [first, first + 999]);
      if (result?.code === 0) accepted += 1_000;
    }
    expect(app.exporter.stats()).toMatchObject({ accepted, failed: 60_000 - accepted, dropped: 0 });
    expect(accepted).toBeGreaterThan(10_000);
    rig.back();
    expect((await rig.delivered(accepted)).length).toBe(accepted);
    await rig.world.run(app.exporter.shutdown());
  });
});

describe('forceFlush and shutdown', () => {
  it('deliver what was exported', async () => {
    const rig = new ExporterRig();
    const app = rig.start();
    const results = [exported(app.exporter, [1, 2]), exported(app.exporter, [3, 3])];
    await rig.world.run(app.exporter.forceFlush());
    expect(await Promise.all(results)).toEqual([success, success]);
    expect(rig.collector.delivered).toEqual([1, 2, 3]);
    const last = exported(app.exporter, [4, 4]);
    await rig.world.run(app.exporter.shutdown());
    expect(await last).toEqual(success);
    expect(rig.collector.delivered).toEqual([1, 2, 3, 4]);
    await rig.world.drain(); // No timer is left.
  });

  it('end at their deadlines while the collector is away, and keep everything', async () => {
    const rig = new ExporterRig();
    await rig.away();
    const app = rig.start({ timeoutMillis: 3_000 });
    await rig.export(app, [1, 2]);
    const startMs = rig.world.timeMs;
    await rig.world.run(app.exporter.forceFlush());
    expect(rig.world.timeMs - startMs).toBeGreaterThan(2_900);
    expect(rig.world.timeMs - startMs).toBeLessThan(3_100);
    const shutdownMs = rig.world.timeMs;
    await rig.world.run(app.exporter.shutdown());
    expect(rig.world.timeMs - shutdownMs).toBeLessThan(7_000);
    await rig.world.drain();
    rig.back();
    const next = rig.start({}, 'traces');
    expect(await rig.delivered(2)).toEqual([1, 2]);
    await rig.world.run(next.exporter.shutdown());
  });

  it('end although the collector never answers', async () => {
    const rig = new ExporterRig();
    rig.collector.answer = (_batch, { signal }) =>
      new Promise<SinkAnswer>((resolve) => {
        signal.addEventListener('abort', () => resolve({ kind: 'retryable', reason: 'told to give up' }));
      });
    const app = rig.start();
    await rig.export(app, [1, 2]);
    const startMs = rig.world.timeMs;
    await rig.world.run(app.exporter.shutdown());
    expect(rig.world.timeMs - startMs).toBeLessThan(7_000);
    await rig.world.drain();
  });
});

describe('several processes', () => {
  it('have a directory each; a second one neither fails nor loses', async () => {
    const rig = new ExporterRig();
    const [one, two] = [rig.start(), rig.start()];
    expect(await rig.export(one, [1, 5])).toEqual([success]);
    expect(await rig.export(two, [6, 9])).toEqual([success]);
    expect(rig.directories).toHaveLength(2);
    expect(await rig.delivered(9)).toEqual(upTo(9));
    await rig.world.run(Promise.all([one.exporter.shutdown(), two.exporter.shutdown()]));
  });

  it.each(upTo(60))('start at one moment, and none fails, seed %i', async (seed) => {
    const rig = new ExporterRig({}, seed);
    const apps = upTo(6).map(() => rig.start());
    const results = apps.map(({ exporter }, index) => exported(exporter, [index + 1, index + 1]));
    expect(await rig.world.run(Promise.all(results))).toEqual(apps.map(() => success));
    expect(await rig.delivered(6)).toEqual(upTo(6));
  });

  it('take the directory of a dead one for their own, so that restarts do not pile up', async () => {
    const rig = new ExporterRig();
    await rig.away();
    for (let life = 0; life < 5; life++) {
      const app = rig.start();
      expect(await rig.export(app, [life * 10 + 1, life * 10 + 10])).toEqual([success]);
      rig.disk.killProcess(app.process);
    }
    expect(rig.directories).toHaveLength(1);
    rig.back();
    const last = rig.start();
    expect(await rig.delivered(50)).toEqual(upTo(50));
    await rig.world.run(last.exporter.shutdown());
  });

  it('adopt what a dead one left, deliver it, and remove its directory', async () => {
    const rig = new ExporterRig();
    await rig.away();
    const apps = [rig.start(), rig.start(), rig.start(), rig.start()];
    for (const [index, app] of apps.entries())
      expect(await rig.export(app, [index * 100 + 1, index * 100 + 100])).toEqual([success]);
    const [survivor, ...others] = apps;
    for (const { process } of others) rig.disk.killProcess(process);
    expect(rig.directories).toHaveLength(4);
    rig.back();
    expect(await rig.delivered(400)).toEqual(upTo(400));
    await rig.world.run(() => survivor?.exporter.stats().adopted.directories === 3);
    expect(rig.directories).toHaveLength(1);
    expect(survivor?.exporter.stats().adopted).toEqual({ directories: 3, delivered: 300, backlogEvents: 0 });
    await rig.world.run(Promise.all([survivor?.exporter.shutdown()]));
    await rig.world.drain();
  });

  it('give back what they were adopting when they are shut down', async () => {
    const rig = new ExporterRig();
    await rig.away();
    const [dead, app] = [rig.start(), rig.start()];
    await rig.export(dead, [1, 10]);
    await rig.export(app, [11, 20]);
    rig.disk.killProcess(dead.process);
    await rig.world.run(() => app.exporter.stats().adopted.backlogEvents === 10);
    await rig.world.run(app.exporter.shutdown());
    await rig.world.drain();
    rig.back();
    const next = rig.start();
    expect(await rig.delivered(20)).toEqual(upTo(20));
    await rig.world.run(next.exporter.shutdown());
  });

  it.each(upTo(30))('end in time whatever they are doing, moment %i', async (moment) => {
    const rig = new ExporterRig({}, moment);
    await rig.away();
    const dead = [rig.start(), rig.start(), rig.start()];
    for (const [index, app] of dead.entries())
      expect(await rig.export(app, [index * 10 + 1, index * 10 + 10])).toEqual([success]);
    const app = rig.start(); // With a directory of its own, in which nothing waits for the collector.
    const bornMs = rig.world.timeMs;
    await rig.world.advance(1_000); // It has looked for the first time.
    for (const { process } of dead) rig.disk.killProcess(process);
    await rig.world.advance(bornMs + 15_000 + moment - rig.world.timeMs);
    const startMs = rig.world.timeMs;
    await rig.world.run(app.exporter.shutdown());
    expect(rig.world.timeMs - startMs).toBeLessThan(8_000);
    await rig.world.drain();
    rig.back();
    const next = rig.start();
    expect(await rig.delivered(30)).toEqual(upTo(30));
    await rig.world.run(next.exporter.shutdown());
  });

  it.each(upTo(12))('lose nothing when adopters are killed in the middle, seed %i', async (seed) => {
    const rig = new ExporterRig({}, seed);
    await rig.away();
    const first = [rig.start(), rig.start(), rig.start()];
    for (const [index, app] of first.entries())
      expect(await rig.export(app, [index * 10 + 1, index * 10 + 10])).toEqual([success]);
    for (const { process } of first) rig.disk.killProcess(process);
    rig.back();
    for (let life = 0; life < 25; life++) {
      const crashed = rig.disk.crashAfterOperation(life * 7 + seed);
      rig.start();
      rig.start();
      await rig.world.run(() => false, { stepsMax: 400 }).catch(() => undefined);
      rig.disk.powerCut(seed % 2 === 0 ? 'random' : 'all');
      crashed.catch(() => undefined);
    }
    const last = rig.start();
    expect(await rig.delivered(30)).toEqual(upTo(30));
    await rig.world.run(() => rig.directories.length === 1);
    await rig.world.run(last.exporter.shutdown());
  });
});

describe('a shared buffer', () => {
  it('ends with its last exporter, and a signal that is refused holds up no other', async () => {
    const rig = new ExporterRig();
    rig.collector.answer = ({ signal }) =>
      signal === 'metrics' ? { kind: 'blocked', reason: 'answered 404' } : { kind: 'delivered' };
    const buffer = createTelemetryBuffer({ path: '/data/telemetry', maxBytes: 4 * 2 ** 20 });
    const process = rig.disk.start();
    const [traces, metrics] = [rig.start({ buffer }, 'traces', process), rig.start({ buffer }, 'metrics', process)];
    expect(await rig.export(metrics, [1, 5])).toEqual([success]);
    expect(await rig.export(traces, [6, 9])).toEqual([success]);
    expect(await rig.delivered(4)).toEqual([6, 7, 8, 9]);
    const [ofTraces, ofMetrics] = buffer.stats();
    expect(ofTraces).toMatchObject({ signal: 'traces', delivered: 4 });
    expect(ofMetrics).toMatchObject({ signal: 'metrics', backlog: { events: 5 }, delivery: { state: 'blocked' } });
    await rig.world.run(Promise.all([traces.exporter.shutdown(), metrics.exporter.shutdown()]));
    await rig.world.drain();
    expect(() => rig.start({ buffer }, 'traces', process)).toThrow('the last one was shut down');
  });

  it('is used by two exporters of one signal until both are shut down', async () => {
    const rig = new ExporterRig();
    const buffer = createTelemetryBuffer({ path: '/data/telemetry' });
    const process = rig.disk.start();
    const [one, two] = [rig.start({ buffer }, 'logs', process), rig.start({ buffer }, 'logs', process)];
    await rig.export(one, [1, 1]);
    await rig.world.run(one.exporter.shutdown());
    expect(await rig.export(two, [2, 2])).toEqual([success]);
    await rig.world.run(two.exporter.shutdown());
    expect(rig.collector.delivered).toEqual([1, 2]);
    expect(rig.directories).toHaveLength(1);
  });
});

describe('a full disk', () => {
  it('fails exports at once, tells why, and takes them again when there is room', async () => {
    const rig = new ExporterRig();
    await rig.away();
    const app = rig.start();
    expect(await rig.export(app, [1, 10])).toEqual([success]);
    const lift = rig.disk.faults.inject({ fault: 'ENOSPC', operation: 'write', path: '.seg' });
    let startMs = rig.world.timeMs;
    expect(await rig.export(app, [11, 20])).toMatchObject([{ code: 1, error: { code: 'SPILLWAY_STORAGE_FULL' } }]);
    expect(rig.world.timeMs - startMs).toBeLessThan(1_100);
    startMs = rig.world.timeMs;
    for (let first = 21; first <= 200; first += 10) {
      expect(await rig.export(app, [first, first + 9])).toMatchObject([{ code: 1 }]);
    }
    expect(rig.world.timeMs - startMs).toBeLessThan(100);
    expect(app.exporter.stats()).toMatchObject({ state: 'stalled', accepted: 10, failed: 190 });
    lift();
    await rig.world.advance(10_000);
    expect(await rig.export(app, [201, 210])).toEqual([success]);
    rig.back();
    const arrived = await rig.delivered(20, 60_000);
    await rig.world.run(app.exporter.shutdown());
    // What memory had taken is written later, and counts as accepted then.
    const all = new Set([...arrived, ...rig.collector.delivered]).size;
    expect(app.exporter.stats()).toMatchObject({ accepted: all, failed: 210 - all, delivered: all, dropped: 0 });
    expect(all).toBeGreaterThan(20);
  });
});
