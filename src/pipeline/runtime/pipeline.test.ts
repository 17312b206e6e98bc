// Pipelines with made-up sources and sinks, on the real disk: how they start, stop, drain and fail.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError } from '../../base/errors.ts';
import { markersIn, markersOf, sampleRequest } from '../../testing/otlp-samples.ts';
import { MemoryLog, realWorld } from '../../testing/pipeline-contexts.ts';
import { diskBuffer } from '../buffers/disk-buffer-plugin.ts';
import { memoryBuffer } from '../buffers/memory-buffer-plugin.ts';
import { defineSink, defineSource, type SinkDefinition, type SourceDefinition } from '../contract/definition.ts';
import type { DeliverySettings, PipelineSettings, SinkSettings } from '../contract/settings.ts';
import type { Sink } from '../contract/sink.ts';
import type { SourceContext } from '../contract/source.ts';
import { Pipeline } from './pipeline.ts';

const schema = z.strictObject({});

const delivery: DeliverySettings = {
  batch: { maxBytes: 2 ** 20, maxEvents: 1_000, timeoutMs: 0 },
  request: {
    concurrency: 1,
    timeoutMs: 5_000,
    headers: {},
    rateLimit: undefined,
    retryAttempts: Number.POSITIVE_INFINITY,
    retryInitialBackoffMs: 1,
    retryMaxBackoffMs: 10,
    retryJitter: 'none',
  },
  healthcheck: { enabled: true, isRequired: false },
  onBlocked: 'wait',
  deadLetters: undefined,
};

/** A source that the test emits through. */
class Tap {
  readonly definition: SourceDefinition;
  context: SourceContext | undefined;
  lives = 0;
  readonly #life = (): Promise<void> => this.live();
  live: () => Promise<void> = () => this.untilStopped();
  #next = 1;

  constructor() {
    this.definition = defineSource({
      type: 'tap',
      schema,
      create: (_options, context) => {
        this.context = context;
        this.lives += 1;
        return { run: this.#life };
      },
    });
  }

  untilStopped(): Promise<void> {
    const { stopping } = this.context as SourceContext;
    return new Promise((resolve) => {
      if (stopping.aborted) resolve();
      stopping.addEventListener('abort', () => resolve());
    });
  }

  async emit(events: number): Promise<unknown> {
    const batch = sampleRequest('logs', this.#next, events);
    this.#next += events;
    return await this.context?.emit(batch);
  }
}

/** A sink that keeps what it is given, or answers what the test says. */
class Basin {
  readonly definition: SinkDefinition;
  readonly received: string[] = [];
  lives = 0;
  closed = 0;
  answer: Sink['deliver'] | undefined;
  create: () => void = () => undefined;
  health: Sink['checkHealth'];

  constructor() {
    this.definition = defineSink({
      type: 'basin',
      schema,
      create: () => {
        this.lives += 1;
        this.create();
        const { health } = this;
        return {
          ...(health === undefined ? {} : { checkHealth: health }),
          deliver: async (batch, options) => {
            if (this.answer !== undefined) return await this.answer(batch, options);
            this.received.push(...markersIn(batch.merged()));
            this.#heard();
            return { kind: 'delivered' };
          },
          close: () => {
            this.closed += 1;
            return Promise.resolve();
          },
        };
      },
    });
  }

  #heard: () => void = () => undefined;

  async until(count: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#heard = () => {
        if (this.received.length >= count) resolve();
      };
      this.#heard();
    });
  }
}

let folder = '';
let log = new MemoryLog();
let running: Pipeline[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-pipeline-'));
  log = new MemoryLog();
  running = [];
});

afterEach(async () => {
  await Promise.all(running.map((pipeline) => pipeline.abort()));
  rmSync(folder, { recursive: true, force: true });
});

const disk = { definition: diskBuffer, options: diskBuffer.schema.parse({ max_size: 2 ** 20 }) };
const memory = { definition: memoryBuffer, options: memoryBuffer.schema.parse({}) };

function sinkOf(id: string, basin: Basin, changes: Partial<SinkSettings> = {}): SinkSettings {
  const { definition } = basin;
  return { id, definition, options: {}, inputs: ['tap'], buffer: id, startAt: 'oldest', delivery, ...changes };
}

function settingsOf(tap: Tap, sinks: readonly SinkSettings[], changes: Partial<PipelineSettings> = {}) {
  const ids = [...new Set(sinks.map(({ buffer }) => buffer))];
  return {
    dataDir: join(folder, 'data'),
    sources: [{ id: 'tap', definition: tap.definition, options: {} }],
    buffers: ids.map((id) => ({ id, stages: [disk] })),
    sinks,
    health: undefined,
    shutdownTimeoutMs: 5_000,
    ...changes,
  };
}

async function start(settings: PipelineSettings): Promise<Pipeline> {
  const pipeline = await Pipeline.start(settings, { world: realWorld(), log });
  running.push(pipeline);
  return pipeline;
}

const messages = (level: string): string[] =>
  log.lines.filter((line) => line.level === level).map(({ message }) => message);

describe('a pipeline', () => {
  it('brings what a source emits to every sink, in order, and says so', async () => {
    const [tap, one, two] = [new Tap(), new Basin(), new Basin()];
    const pipeline = await start(settingsOf(tap, [sinkOf('one', one), sinkOf('two', two)]));
    expect(await tap.emit(3)).toEqual({ kind: 'accepted' });
    expect(await tap.emit(2)).toEqual({ kind: 'accepted' });
    await Promise.all([one.until(5), two.until(5)]);
    expect([one.received, two.received]).toEqual([markersOf(1, 5), markersOf(1, 5)]);
    await pipeline.stop();
    expect(await pipeline.ended).toBe('stopped');
    const status = pipeline.status();
    expect(status).toMatchObject({
      state: 'stopped',
      sources: [{ id: 'tap', state: 'stopped', accepted: { events: 5 } }],
    });
    expect(status.sinks).toMatchObject([{ delivered: { events: 5 }, state: 'stopped' }, { delivered: { events: 5 } }]);
    expect([one.closed, two.closed]).toEqual([1, 1]);
  });

  it('offers a sink what its definition says that it takes, and rejects the rest', async () => {
    const [tap, basin] = [new Tap(), new Basin()];
    const definition = { ...basin.definition, signals: () => ['traces'] as const };
    tap.live = async () => void (await tap.emit(2));
    const pipeline = await start(settingsOf(tap, [sinkOf('out', basin, { definition })]));
    expect(await pipeline.ended).toBe('drained');
    expect(basin.received).toEqual([]);
    expect(pipeline.status().sinks).toMatchObject([{ rejectedEvents: 2, delivered: { events: 0 } }]);
  });

  it('shares one buffer between sinks: one copy, a cursor each, and none waits for the other', async () => {
    const [tap, fast, stuck] = [new Tap(), new Basin(), new Basin()];
    stuck.answer = () => Promise.resolve({ kind: 'retryable', reason: 'away' });
    const sinks = [sinkOf('fast', fast, { buffer: 'both' }), sinkOf('stuck', stuck, { buffer: 'both' })];
    const pipeline = await start(settingsOf(tap, sinks));
    for (let count = 0; count < 10; count++) await tap.emit(1);
    await fast.until(10);
    const [buffer] = pipeline.status().buffers;
    expect(buffer?.cursors).toMatchObject([
      { name: 'fast', sink: 'fast' },
      { name: 'stuck', sink: 'stuck', backlog: { events: 10 } },
    ]);
    expect(pipeline.status().sinks[1]).toMatchObject({ state: 'retrying', reason: 'away' });
    await pipeline.stop();
  });

  it('goes on after a restart where it was, and lets an added sink begin at the oldest or the newest', async () => {
    const [tap, first] = [new Tap(), new Basin()];
    first.answer = () => Promise.resolve({ kind: 'retryable', reason: 'away' });
    const pipeline = await start(settingsOf(tap, [sinkOf('first', first, { buffer: 'all' })]));
    await tap.emit(4);
    await pipeline.stop();
    const [again, oldest, newest] = [new Basin(), new Basin(), new Basin()];
    const sinks = [
      sinkOf('first', again, { buffer: 'all' }),
      sinkOf('oldest', oldest, { buffer: 'all' }),
      sinkOf('newest', newest, { buffer: 'all', startAt: 'newest' }),
    ];
    await start(settingsOf(tap, sinks));
    await tap.emit(1);
    await Promise.all([again.until(5), oldest.until(5), newest.until(1)]);
    expect([again.received, oldest.received]).toEqual([markersOf(1, 5), markersOf(1, 5)]);
    expect(newest.received).toEqual(markersOf(5, 1));
  });

  it('drains and ends when all input has ended', async () => {
    const [tap, basin] = [new Tap(), new Basin()];
    tap.live = async () => {
      await tap.emit(7);
    };
    const pipeline = await start(settingsOf(tap, [sinkOf('basin', basin)]));
    expect(await pipeline.ended).toBe('drained');
    expect(basin.received).toEqual(markersOf(1, 7));
  });

  it('delivers at a stop what is in memory only, and lets it go when there is a hurry', async () => {
    const [tap, basin] = [new Tap(), new Basin()];
    const settings = settingsOf(tap, [sinkOf('basin', basin)], { buffers: [{ id: 'basin', stages: [memory] }] });
    const pipeline = await start(settings);
    for (let count = 0; count < 20; count++) void tap.emit(1);
    await pipeline.stop();
    expect(basin.received).toEqual(markersOf(1, 20));
    const stuck = new Basin();
    stuck.answer = () => Promise.resolve({ kind: 'retryable', reason: 'away' });
    const second = await start({ ...settings, sinks: [sinkOf('basin', stuck)] });
    await tap.emit(1);
    void second.stop();
    await second.abort();
    expect(await second.ended).toBe('stopped');
  });

  it('hands back what a sink does not answer in time, without loss', async () => {
    const [tap, stuck, basin] = [new Tap(), new Basin(), new Basin()];
    stuck.answer = (_batch, { signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ kind: 'retryable', reason: 'aborted' }));
      });
    const sinks = [sinkOf('basin', stuck)];
    const pipeline = await start(settingsOf(tap, sinks, { shutdownTimeoutMs: 50 }));
    await tap.emit(3);
    await pipeline.stop();
    expect(await pipeline.ended).toBe('stopped');
    await start(settingsOf(tap, [sinkOf('basin', basin)]));
    await basin.until(3);
    expect(basin.received).toEqual(markersOf(1, 3));
  });

  it('reports a directory and a cursor that no config names, and touches neither', async () => {
    const [tap, basin] = [new Tap(), new Basin()];
    const sinks = [sinkOf('basin', basin, { buffer: 'all' }), sinkOf('old', basin, { buffer: 'all' })];
    await (await start(settingsOf(tap, sinks))).stop();
    await mkdir(join(folder, 'data/buffers/renamed'));
    await (await start(settingsOf(tap, [sinkOf('basin', basin, { buffer: 'all' })]))).stop();
    const warnings = log.lines.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ fields }) => fields)).toMatchObject([
      { cursor: 'old', events: 0 },
      { directory: join(folder, 'data/buffers/renamed') },
    ]);
    expect(warnings[0]?.message).toContain(`spillway cursor remove ${join(folder, 'data/buffers/all')} old`);
    expect(existsSync(join(folder, 'data/buffers/renamed'))).toBe(true);
  });

  it('starts a crashed source and a crashed sink again without harm to the others', async () => {
    const [tap, basin, other] = [new Tap(), new Basin(), new Basin()];
    const settings = settingsOf(tap, [sinkOf('basin', basin), sinkOf('other', other)]);
    basin.answer = () => {
      basin.answer = undefined;
      return Promise.reject(new Error('a bug'));
    };
    const pipeline = await start(settings);
    await tap.emit(3);
    await other.until(3);
    await basin.until(3);
    expect(basin.received).toEqual(markersOf(1, 3));
    expect(pipeline.status().sinks).toMatchObject([{ restarts: 1 }, { restarts: 0 }]);
    expect([basin.lives, basin.closed]).toEqual([2, 1]);
  });

  it('ends with the error when a sink finds that the config is wrong', async () => {
    const [tap, basin] = [new Tap(), new Basin()];
    const cause = new ConfigError({ code: 'SPILLWAY_CONFIG_OWNER', message: 'it belongs to another' });
    basin.create = () => {
      throw cause;
    };
    const pipeline = await start(settingsOf(tap, [sinkOf('basin', basin)]));
    await expect(pipeline.ended).rejects.toBe(cause);
    expect(pipeline.status().state).toBe('stopped');
  });

  it('does not start, and closes everything, without a buffer or a health that is required', async () => {
    const [tap, basin] = [new Tap(), new Basin()];
    basin.health = () => Promise.resolve({ kind: 'retryable', reason: 'nobody is there' });
    const required = { ...delivery, healthcheck: { enabled: true, isRequired: true } };
    const settings = settingsOf(tap, [sinkOf('basin', basin, { delivery: required })]);
    await expect(start(settings)).rejects.toMatchObject({ code: 'SPILLWAY_PLUGIN_FAILED' });
    expect(tap.lives).toBe(0);
    const [free, taken] = [new Basin(), new Basin()];
    const holder = await start(settingsOf(tap, [sinkOf('taken', taken)]));
    const both = settingsOf(tap, [sinkOf('free', free), sinkOf('taken', taken)]);
    await expect(start(both)).rejects.toMatchObject({ code: 'SPILLWAY_STORAGE_LOCKED' });
    await start(settingsOf(tap, [sinkOf('free', free)])); // Its buffer was given back.
    await holder.stop();
  });

  it('tells its health to whoever asks, and leaves its last word for inspect', async () => {
    const [tap, basin] = [new Tap(), new Basin()];
    const pipeline = await start(settingsOf(tap, [sinkOf('basin', basin)], { health: { host: '127.0.0.1', port: 0 } }));
    const ask = async (path: string) => await fetch(`${pipeline.healthAddress}${path}`);
    expect((await ask('/healthz')).status).toBe(200);
    expect(await (await ask('/readyz')).json()).toEqual({ ready: true, reasons: [] });
    expect((await ask('/nothing')).status).toBe(404);
    expect((await fetch(`${pipeline.healthAddress}/readyz`, { method: 'POST' })).status).toBe(405);
    basin.answer = () => Promise.resolve({ kind: 'blocked', reason: '401 Unauthorized' });
    await tap.emit(1);
    await waitUntil(async () => (await ask('/readyz')).status === 503);
    expect(await (await ask('/readyz')).json()).toMatchObject({ reasons: ['sink basin is blocked: 401 Unauthorized'] });
    expect(await (await ask('/status')).json()).toMatchObject({ state: 'running', sinks: [{ state: 'blocked' }] });
    await pipeline.stop();
    await expect(ask('/healthz')).rejects.toThrow();
    const left = JSON.parse(readFileSync(join(folder, 'data/status.json'), 'utf8'));
    expect(left).toMatchObject({ pid: process.pid, sinks: [{ id: 'basin', buffer: 'basin' }] });
    expect(messages('error')).toEqual([expect.stringContaining('blocked')]);
  });
});

/** Asks again at every turn of the event loop: whatever is waited for needs no time of its own. */
async function waitUntil(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}
