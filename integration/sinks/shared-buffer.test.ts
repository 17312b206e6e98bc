// One pipeline, one buffer on disk, three sinks with real servers behind them, and one of these is away: the others get
// everything at the same pace as when it is there, the disk holds one copy, and the third gets everything in the end.
//
// It is away twice, from before the pipeline's start and once more later, and there twice, in turns: what else the
// machine does meets both alike.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { EventCount, PipelineStatus } from '../../src/pipeline/contract/status.ts';
import { repeatable } from '../../test/sweep.ts';
import { faultOf } from '../faults.ts';
import { freePort } from '../free-port.ts';
import { NumberLoad } from '../number-load.ts';
import { needs } from '../requirements.ts';
import { SpillwayProcess } from '../spillway-process.ts';
import { AgeWatch } from './age-watch.ts';
import { natsJetStream } from './nats.ts';
import { postgres } from './postgres.ts';
import { redisStreams } from './redis.ts';
import { recordFigure, sharedBuffer } from './sink-results.ts';
import type { SinkSubject, StartedSubject } from './sink-subject.ts';
import { judge } from './sink-verdict.ts';

const file = import.meta.filename;
const name =
  'three sinks on one buffer, and one of them is away: it slows nobody, costs the disk one copy, and gets all';
const MiB = 2 ** 20;
const segmentBytes = MiB / 4;
/** Accepted with the third sink away, or there: 3 MB, in three seconds where nobody else needs the machine. */
const phaseEvents = 3_000;
const patienceMs = 60_000;
/** Makes the text of an event so long that what the buffer adds to it does not count. */
const padding = ` ${'x'.repeat(1_000)}`;
/** How long an event waits for a sink that is there, half of the time: a commit, a batch, an answer. */
const ageMsUsual = 1_000;
/** By what the two others may differ with the third away. The machine may make it worse, so much it does not. */
const factorMax = 4;
const three: readonly SinkSubject[] = [redisStreams, natsJetStream, postgres];

/** Everything that runs. The third sink is the one that is away. */
class SharedBuffer implements AsyncDisposable {
  readonly started: readonly StartedSubject[];
  readonly pipeline: SpillwayProcess;
  readonly load: NumberLoad;
  readonly #folder = mkdtempSync(join(tmpdir(), 'spillway-shared-buffer-'));

  constructor(started: readonly StartedSubject[], ports: { readonly source: number; readonly health: number }) {
    this.started = started;
    const address = `127.0.0.1:${ports.source}`;
    const config = configOf(started, address);
    this.pipeline = new SpillwayProcess({ folder: this.#folder, config, healthPort: ports.health });
    this.load = new NumberLoad(address, { intervalMs: 10, text: padding });
  }

  static async start(): Promise<SharedBuffer> {
    const ports = { source: await freePort(), health: await freePort() };
    const started: StartedSubject[] = [];
    try {
      for (const subject of three) started.push(await subject.start());
      return new SharedBuffer(started, ports);
    } catch (error) {
      for (const one of started) await one[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.load.stop();
    if (this.pipeline.isRunning) await this.pipeline.kill();
    for (const one of this.started) await one[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get third(): StartedSubject {
    return this.started[2] as StartedSubject;
  }

  async until(what: string, holds: (status: PipelineStatus) => boolean): Promise<PipelineStatus> {
    return await this.pipeline.until((status) => status.state === 'running' && holds(status), { what, patienceMs });
  }

  /** Waits until these sinks have delivered everything that is accepted now. */
  async deliver(...sinks: readonly string[]): Promise<void> {
    const accepted = acceptedOf(await this.until('it answers', () => true));
    await this.until(`${accepted} events are delivered by ${sinks.join(' and ')}`, (status) =>
      sinks.every((sink) => acceptedOf(status) - backlogOf(status, sink).events >= accepted),
    );
  }

  bytesOnDisk(): number {
    const directory = join(this.#folder, 'data', 'buffers', 'shelf');
    return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
  }
}

interface Pace {
  readonly eventsPerSecond: number;
  /** Of the oldest event that the slower of the first two had not delivered: half of the looks found none older. */
  readonly ageMs: number;
  /** Nine looks of ten. */
  readonly lateMs: number;
}

test(name, { timeout: 240_000 }, async (context) => {
  const images = three.flatMap((subject) => subject.images).map((image) => `${image}-image` as const);
  const reason = needs('linux', 'docker', ...images);
  if (reason !== undefined) return context.skip(reason);
  await repeatable({ file, name }, async () => {
    await using shared = await SharedBuffer.start();
    const away: Pace[] = [];
    const there: Pace[] = [];
    for (const fault of ['killed', 'paused'] as const) {
      const { begin, end } = await faultOf(fault, shared.third.server);
      await begin();
      if (!shared.pipeline.isRunning) shared.pipeline.start();
      away.push(await measureAway(shared));
      await end();
      await shared.deliver('third');
      there.push(await measure(shared));
    }
    await expectAll(shared);
    const fastest = Math.max(...there.map(({ eventsPerSecond }) => eventsPerSecond));
    const oldest = Math.max(ageMsUsual, ...there.map(({ ageMs }) => ageMs));
    for (const { eventsPerSecond, ageMs } of away) {
      expect(eventsPerSecond, 'events a second').toBeGreaterThan(fastest / factorMax);
      expect(ageMs, 'age of the oldest event').toBeLessThan(oldest * factorMax);
    }
    recordFigure(sharedBuffer, '', 'With the third sink away', described(away));
    recordFigure(sharedBuffer, '', 'With all three', described(there));
  });
});

function described(paces: readonly Pace[]): string {
  const rates = paces.map(({ eventsPerSecond }) => Math.round(eventsPerSecond)).join(' and ');
  const ages = paces.map(({ lateMs }) => Math.round(lateMs)).join(' and ');
  const age = `what the first two had not delivered yet was ${ages} ms old at most, nine times of ten`;
  return `${rates} events a second; ${age}.`;
}

async function measure(shared: SharedBuffer): Promise<Pace> {
  const ages = new AgeWatch();
  const eventsPerSecond = await ages.watch(() => shared.pipeline.status(), { events: phaseEvents, patienceMs });
  const slower = (share: number): number => Math.max(ages.ageMs('first', share), ages.ageMs('second', share));
  return { eventsPerSecond, ageMs: slower(0.5), lateMs: slower(0.9) };
}

/** The third sink is away: it delivers nothing, and all that is accepted is on the disk once. */
async function measureAway(shared: SharedBuffer): Promise<Pace> {
  const before = await shared.until('something is accepted', (status) => acceptedOf(status) > 0);
  const result = await measure(shared);
  await shared.deliver('first', 'second');
  const after = await shared.until('it answers', () => true);
  const bytes = shared.bytesOnDisk();
  const backlog = backlogOf(after, 'third');
  // What was at it when it went away it may have taken without an answer; the sink counts it when it is answered.
  expect(deliveredOf(after, 'third')).toBe(deliveredOf(before, 'third'));
  expect(backlog.events).toBeGreaterThanOrEqual(acceptedOf(after) - acceptedOf(before));
  expect(backlog.bytes, 'enough to tell one copy from three').toBeGreaterThan(4 * segmentBytes);
  expect(bytes, 'one copy').toBeGreaterThan(backlog.bytes);
  expect(bytes, 'one copy').toBeLessThan(backlog.bytes * 1.2 + 3 * segmentBytes);
  // And what only the disk has for it survives us.
  await shared.pipeline.kill();
  shared.pipeline.start();
  return result;
}

/** Each of the three has everything, once, in order where its server keeps one. */
async function expectAll(shared: SharedBuffer): Promise<void> {
  const { load, pipeline, started } = shared;
  await load.stop();
  await shared.until('nothing is left', ({ buffers }) => buffers[0]?.backlog.events === 0);
  expect(await pipeline.stop(), pipeline.log).toBe(0);
  for (const [index, { keepsOrder }] of three.entries()) {
    const found = (await started[index]?.numbers()) ?? [];
    const { missing, repeats, disorder, invented } = judge({ accepted: load.accepted, sent: load.sent, found });
    expect({ missing, repeats, invented }).toEqual({ missing: [], repeats: 0, invented: [] });
    if (keepsOrder) expect(disorder).toEqual([]);
  }
}

function acceptedOf({ sources }: PipelineStatus): number {
  return sources[0]?.accepted.events ?? 0;
}

function backlogOf({ buffers }: PipelineStatus, sink: string): EventCount {
  const found = buffers[0]?.cursors.find((cursor) => cursor.sink === sink);
  if (found === undefined) throw new Error(`the status has no cursor of ${sink}`);
  return found.backlog;
}

function deliveredOf({ sinks }: PipelineStatus, id: string): number | undefined {
  return sinks.find((sink) => sink.id === id)?.delivered.events;
}

/** JSON is YAML. */
function configOf(started: readonly StartedSubject[], address: string): string {
  const own = {
    inputs: ['numbers'],
    buffer: 'shelf',
    request: { timeout_secs: 2, retry_initial_backoff_secs: 0.05, retry_max_duration_secs: 0.5 },
  };
  const ids = ['first', 'second', 'third'];
  const sinks = Object.fromEntries(started.map(({ sink }, index) => [ids[index], { ...sink, ...own }]));
  const shelf = { type: 'disk', max_size: 64 * MiB, segment_size: segmentBytes, durability: 'sync' };
  return [
    'data_dir: ./data',
    `sources: ${JSON.stringify({ numbers: { type: 'otlp', address } })}`,
    `buffers: ${JSON.stringify({ shelf })}`,
    `sinks: ${JSON.stringify(sinks)}`,
  ].join('\n');
}
