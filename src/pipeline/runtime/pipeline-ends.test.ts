// How pipelines end when something else is in the way: everything that hangs, fails or comes at the wrong moment, in
// virtual time on a simulated disk.

import { describe, expect, it } from 'vitest';
import { numbers } from '../../../test/delivery-rig.ts';
import { away, Basin, diskStage, memoryStage, PipelineRig, sinkOf, Tap } from '../../../test/pipeline-rig.ts';
import { InvariantViolation } from '../../base/assert.ts';
import { ConfigError } from '../../base/errors.ts';
import { markersIn } from '../../testing/otlp-samples.ts';

const never = <Value>(): Promise<Value> => new Promise(() => undefined);
const required = { delivery: { healthcheck: { enabled: true, isRequired: true } } } as const;

describe('a drain', () => {
  it('ends within the shutdown timeout when somebody stops it, as stopped, and keeps what is left', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    basin.answer = away;
    tap.live = async () => {
      await tap.emit(1, 3);
    };
    const settings = rig.settings(tap, [sinkOf('basin', basin)]);
    const pipeline = await rig.start(settings);
    await rig.advance(120_000);
    expect(pipeline.status().state).toBe('stopping');
    expect(await rig.took(60_000, pipeline.stop())).toBeLessThan(12_000);
    expect(await pipeline.ended).toBe('stopped');
    expect(rig.timers).toBe(0);
    basin.answer = () => ({ kind: 'delivered' });
    await rig.run((await rig.start({ ...settings, sources: [] })).ended);
    expect(basin.received).toEqual([1, 2, 3]);
  });

  it('does not wait for a cursor that no sink reads any more, and says what it holds', async () => {
    const [rig, tap, basin, gone] = [new PipelineRig(), new Tap(), new Basin(), new Basin()];
    gone.answer = away;
    tap.live = async () => {
      await tap.emit(1, 3);
    };
    const sinks = [sinkOf('basin', basin), sinkOf('gone', gone, { buffer: 'basin' })];
    const both = await rig.start(rig.settings(tap, sinks));
    await rig.advance(1_000);
    await rig.run(both.stop());
    const one = await rig.start(rig.settings(tap, sinks.slice(0, 1), { sources: [] }));
    await rig.took(10_000, one.ended);
    expect(await one.ended).toBe('drained');
    expect(basin.received).toEqual([1, 2, 3]);
    expect(rig.log.lines.at(-1)).toMatchObject({ message: 'the pipeline has stopped', fields: { left: { gone: 3 } } });
    expect(rig.timers).toBe(0);
  });

  it('does not wait for what a broken disk never took, beside a cursor that no sink reads any more', async () => {
    const [rig, tap, basin, gone] = [new PipelineRig(), new Tap(), new Basin(), new Basin()];
    gone.answer = away;
    tap.live = async () => {
      await tap.emit(1, 3);
    };
    const buffers = [{ id: 'basin', stages: [diskStage({ durability: 'memory' })] }];
    const sinks = [sinkOf('basin', basin), sinkOf('gone', gone, { buffer: 'basin' })];
    const both = await rig.start(rig.settings(tap, sinks, { buffers }));
    await rig.advance(1_000);
    await rig.run(both.stop());
    rig.disk.faults.inject({ fault: 'EIO', operation: 'write', path: /\.seg$/ });
    const one = await rig.start(rig.settings(tap, sinks.slice(0, 1), { buffers }));
    expect(await rig.took(60_000, one.ended)).toBeLessThan(10_000);
    await expect(one.ended).rejects.toThrow('EIO');
    expect(rig.timers).toBe(0);
  });

  it('ends although a sink never closes', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    tap.live = async () => {
      await tap.emit(1, 3);
    };
    basin.close = never;
    const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin)]));
    await rig.took(60_000, pipeline.ended);
    expect(pipeline.status().state).toBe('stopped');
    expect(await pipeline.ended).toBe('drained');
  });

  it('is ended by a stop although the disk is full and something is not written yet', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    rig.disk.faults.inject({ fault: 'ENOSPC', operation: 'write', path: '.seg' });
    rig.disk.faults.inject({ fault: 'ENOSPC', operation: 'create', path: '.seg' });
    tap.live = async () => {
      await tap.emit(1, 3, { maxWaitMs: 1_000 });
    };
    const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin)]));
    await rig.advance(60_000);
    expect(pipeline.status()).toMatchObject({ state: 'stopping', sources: [{ state: 'ended' }] });
    expect(await rig.took(60_000, pipeline.stop())).toBeLessThan(30_000);
    expect(rig.timers).toBe(0);
  });

  it('takes what a source had under way when it ended', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    const emitted: Promise<unknown>[] = [];
    basin.answer = async () => {
      await rig.after(2_000);
      return { kind: 'delivered' };
    };
    const text = 'x'.repeat(60_000);
    tap.live = () => {
      for (const first of numbers(1, 30)) emitted.push(tap.emit(first, 1, {}, text));
      return Promise.resolve();
    };
    const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin)]));
    expect(await rig.run(pipeline.ended)).toBe('drained');
    expect(await Promise.all(emitted)).toEqual(numbers(1, 30).map(() => ({ kind: 'accepted' })));
    expect(basin.received).toEqual(numbers(1, 30));
  });
});

describe('a stop', () => {
  it('leaves no timer behind, graceful or in a hurry', async () => {
    for (const end of ['stop', 'abort'] as const) {
      const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
      const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin)]));
      await rig.run(tap.emit(1, 3));
      await rig.run(pipeline[end]());
      expect(rig.timers).toBe(0);
    }
  });

  it('gives the sinks their time when a source does not end', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    tap.live = never;
    basin.answer = async () => {
      await rig.after(1_000);
      return { kind: 'delivered' };
    };
    const settings = rig.settings(tap, [sinkOf('basin', basin)], {
      buffers: [{ id: 'basin', stages: [memoryStage()] }],
    });
    const pipeline = await rig.start(settings);
    await rig.run(tap.emit(1, 3));
    expect(await rig.took(60_000, pipeline.stop())).toBeLessThan(12_000);
    expect(basin.received).toEqual([1, 2, 3]);
  });

  it('says how much was in memory only and is lost', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    basin.answer = away;
    const settings = rig.settings(tap, [sinkOf('basin', basin)], {
      buffers: [{ id: 'basin', stages: [memoryStage()] }],
    });
    const pipeline = await rig.start(settings);
    await rig.run(tap.emit(1, 3));
    await rig.run(pipeline.stop());
    const said = rig.log.lines.filter(({ message }) => message.includes('lost'));
    expect(said).toMatchObject([{ level: 'warn', fields: { buffer: 'basin', events: 3 } }]);
  });

  it('says how much is left on the disk of a chain, beside what was in its memory and is lost', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    basin.answer = away;
    const settings = rig.settings(tap, [sinkOf('basin', basin)], {
      buffers: [{ id: 'basin', stages: [memoryStage({ max_events: 3 }), diskStage()] }],
    });
    const pipeline = await rig.start(settings);
    for (const first of numbers(1, 10)) await rig.run(tap.emit(first, 1));
    await rig.run(pipeline.stop());
    const said = rig.log.lines.filter(({ message }) => message.includes('lost'));
    expect(said).toMatchObject([{ fields: { buffer: 'basin', events: 3 } }]);
    expect(rig.log.lines.at(-1)).toMatchObject({ message: 'the pipeline has stopped', fields: { left: { basin: 7 } } });
  });

  it('delivers what is in memory, or is drained, without waiting for company that cannot come any more', async () => {
    const delivery = { batch: { timeoutMs: 60_000 } };
    for (const [stages, drains] of [[[memoryStage()], false] as const, [[diskStage()], true] as const]) {
      const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
      const buffers = [{ id: 'basin', stages }];
      const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin, { delivery })], { buffers }));
      await rig.run(tap.emit(1, 3));
      await rig.advance(100);
      if (drains) await rig.run(pipeline.stop());
      const ended = drains
        ? (await rig.start(rig.settings(tap, [sinkOf('basin', basin, { delivery })], { sources: [] }))).ended
        : pipeline.stop();
      expect(await rig.took(200_000, ended)).toBeLessThan(1_000);
      expect(basin.received).toEqual([1, 2, 3]);
    }
  });

  it('is possible while a sink is asked for its health for ever', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    basin.health = never;
    const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin)]));
    await rig.run(tap.emit(1, 3));
    expect(await rig.took(30_000, pipeline.stop())).toBeLessThan(3_000);
    expect(rig.timers).toBe(0);
  });
});

describe('a sink', () => {
  it('gets its batches although its health check hangs, or rejects', async () => {
    for (const health of [never, () => Promise.reject(new Error('a bug'))] as const) {
      const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
      basin.health = health;
      const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin)]));
      await rig.run(tap.emit(1, 3));
      await rig.advance(60_000);
      expect(basin.received).toEqual([1, 2, 3]);
      expect(basin.lives).toBe(1);
      await rig.run(pipeline.stop());
    }
  });

  it('says why it crashed although it does not close well either', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    basin.answer = () => Promise.reject(new Error('the first bug'));
    basin.close = () => Promise.reject(new Error('the second bug'));
    const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin)]));
    await rig.run(tap.emit(1, 3));
    await rig.until(() => pipeline.status().sinks[0]?.state === 'waiting');
    expect(pipeline.status().sinks[0]?.reason).toBe('the first bug');
    await rig.run(pipeline.abort());
  });

  it('may share a file of dead letters with another', async () => {
    const [rig, tap, one, two] = [new PipelineRig(), new Tap(), new Basin(), new Basin()];
    const refuse = () => ({ kind: 'rejected', reason: 'never' }) as const;
    one.answer = refuse;
    two.answer = refuse;
    rig.disk.plantFile('/data/letters.jsonl', new Uint8Array());
    const delivery = { deadLetters: { path: '/data/letters.jsonl', maxBytes: 1_000_000 } };
    const sinks = [sinkOf('one', one, { delivery }), sinkOf('two', two, { delivery, buffer: 'one' })];
    const pipeline = await rig.start(rig.settings(tap, sinks));
    await rig.run(Promise.all(numbers(1, 10).map((first) => tap.emit(first, 1))));
    await rig.until(() => pipeline.status().sinks.every(({ rejectedEvents }) => rejectedEvents === 10));
    await rig.run(pipeline.stop());
    const lines = new TextDecoder().decode(rig.disk.bytesOf('/data/letters.jsonl')).trimEnd().split('\n');
    for (const id of ['one', 'two']) {
      const own = lines.map((line) => JSON.parse(line)).filter(({ sink }) => sink === id);
      expect(markersIn(JSON.stringify(own)).length).toBe(10);
    }
  });
});

describe('a start', () => {
  it('ends at once when somebody stops it while a directory is held, and leaves nothing open', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    const settings = rig.settings(tap, [sinkOf('free', basin), sinkOf('held', basin)]);
    const holder = await rig.start(rig.settings(tap, [sinkOf('held', basin)]));
    const first = rig.process;
    rig.process = rig.disk.start();
    const stopping = new AbortController();
    const starting = rig.starting(settings, stopping.signal);
    await rig.advance(5_000);
    stopping.abort(new Error('enough'));
    expect(await rig.took(2_000, starting)).toBeLessThan(1_100);
    await expect(starting).rejects.toThrow('enough');
    await rig.advance(60_000);
    expect(rig.timers).toBe(0);
    expect(rig.disk.openFileCount(rig.process)).toBe(0);
    expect(tap.lives).toBe(1);
    rig.process = first;
    await rig.run(holder.stop());
  });

  it('gives back what it opened when it was stopped while it opened', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    const stopping = new AbortController();
    const starting = rig.starting(rig.settings(tap, [sinkOf('basin', basin)]), stopping.signal);
    await rig.advance(1);
    stopping.abort(new Error('enough'));
    await expect(rig.run(starting)).rejects.toThrow('enough');
    await rig.advance(10_000);
    expect([rig.timers, rig.disk.openFileCount(rig.process)]).toEqual([0, 0]);
    expect([tap.lives, basin.lives]).toEqual([0, 0]);
  });

  it('becomes a stop while a sink is asked for the health it must have', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    basin.health = never;
    const stopping = new AbortController();
    const starting = rig.starting(rig.settings(tap, [sinkOf('basin', basin, required)]), stopping.signal);
    await rig.advance(1_000);
    stopping.abort();
    expect(await rig.took(30_000, starting)).toBeLessThan(3_000);
    expect(await (await starting).ended).toBe('stopped');
    expect([tap.lives, rig.timers]).toEqual([0, 0]);
  });

  it('rejects with the error of the config that a sink found meanwhile, and starts no source', async () => {
    const [rig, tap, healthy, wrong] = [new PipelineRig(), new Tap(), new Basin(), new Basin()];
    healthy.health = async () => {
      await rig.after(1_000);
      return { kind: 'healthy' };
    };
    const cause = new ConfigError({ code: 'SPILLWAY_CONFIG_OWNER', message: 'it belongs to another' });
    wrong.create = () => Promise.reject(cause);
    const sinks = [sinkOf('healthy', healthy, required), sinkOf('wrong', wrong)];
    await expect(rig.start(rig.settings(tap, sinks))).rejects.toBe(cause);
    await rig.advance(10_000);
    expect([tap.lives, rig.timers]).toEqual([0, 0]);
  });
});

describe('a bug of ours', () => {
  it('ends the pipeline at once, with its error', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    const cause = new InvariantViolation('two and two are four');
    basin.answer = () => {
      throw cause;
    };
    const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin)], { shutdownTimeoutMs: 60_000 }));
    tap.live = never;
    void tap.emit(1, 3);
    const took = await rig.took(120_000, pipeline.ended);
    await expect(pipeline.ended).rejects.toBe(cause);
    expect(took).toBeLessThan(10_000);
    expect(basin.lives).toBe(1);
  });

  it('is not taken for a crash of a sink that is being stopped', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    const cause = new InvariantViolation('two and two are four');
    basin.answer = async () => {
      await rig.after(1_000);
      throw cause;
    };
    const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin)]));
    await rig.run(tap.emit(1, 3));
    await rig.until(() => pipeline.status().sinks[0]?.inFlight === 1);
    await rig.run(pipeline.stop());
    await expect(pipeline.ended).rejects.toBe(cause);
  });
});

describe('a full disk', () => {
  it('goes on by itself once everything on it is delivered', async () => {
    const [rig, tap, basin] = [new PipelineRig({ capacityBytes: 380_000 }), new Tap(), new Basin()];
    basin.answer = away;
    const buffers = [{ id: 'basin', stages: [diskStage({ max_size: 4 * 2 ** 20 })] }]; // Segments of 256 KiB.
    const pipeline = await rig.start(rig.settings(tap, [sinkOf('basin', basin)], { buffers }));
    const emitted = numbers(1, 60).map((first) => tap.emit(first, 1, {}, 'x'.repeat(10_000)));
    await rig.advance(10_000);
    expect(pipeline.status().buffers[0]?.state).toBe('stalled');
    basin.answer = () => ({ kind: 'delivered' });
    await rig.advance(60_000);
    expect(pipeline.status().buffers[0]?.state).toBe('open');
    expect(await rig.run(Promise.all(emitted))).toEqual(numbers(1, 60).map(() => ({ kind: 'accepted' })));
    await rig.until(() => basin.received.length === 60);
    await rig.run(pipeline.stop());
  });
});

describe('a status', () => {
  it('forgets the reason of a crash once the source has run well', async () => {
    const [rig, tap, basin] = [new PipelineRig(), new Tap(), new Basin()];
    tap.live = () => (tap.lives === 1 ? Promise.reject(new Error('a bug')) : tap.untilStopped());
    const settings = rig.settings(tap, [sinkOf('basin', basin)], { buffers: [{ id: 'basin', stages: [diskStage()] }] });
    const pipeline = await rig.start(settings);
    await rig.until(() => tap.lives === 2);
    expect(pipeline.status().sources[0]).toMatchObject({ state: 'running', reason: 'a bug', restarts: 1 });
    await rig.advance(60_000);
    expect(pipeline.status().sources[0]).toMatchObject({ state: 'running', reason: undefined, restarts: 1 });
    await rig.run(pipeline.stop());
  });
});
