import { describe, expect, it } from 'vitest';
import { InvariantViolation } from '../../base/assert.ts';
import { ConfigError } from '../../base/errors.ts';
import { MemoryLog, simulatedWorld } from '../../testing/pipeline-contexts.ts';
import { supervise } from './supervision.ts';

function rig() {
  const { sim, clock, random } = simulatedWorld();
  const log = new MemoryLog();
  const stopping = new AbortController();
  const crashes: string[] = [];
  const starts: number[] = [];
  const options = {
    what: 'source web',
    clock,
    random,
    log,
    stopping: stopping.signal,
    crashed: (reason: string) => void crashes.push(reason),
  };
  const run = (life: (count: number) => Promise<void>): Promise<void> =>
    supervise(() => {
      starts.push(sim.timeMs);
      return life(starts.length);
    }, options);
  return { sim, log, stopping, crashes, starts, run };
}

describe('supervision', () => {
  it('starts again what crashed, after pauses that grow to half a minute', async () => {
    const { sim, crashes, starts, run, log } = rig();
    await sim.run(run((count) => (count < 12 ? Promise.reject(new Error(`crash ${count}`)) : Promise.resolve())));
    expect(crashes).toEqual(Array.from({ length: 11 }, (_, index) => `crash ${index + 1}`));
    const pauses = starts.slice(1).map((start, index) => start - (starts[index] ?? 0));
    for (const [index, pauseMs] of pauses.entries()) {
      const longest = Math.min(30_000, 1_000 * 2 ** index);
      expect(pauseMs).toBeGreaterThanOrEqual(longest / 2);
      expect(pauseMs).toBeLessThanOrEqual(longest + 1);
    }
    expect(log.lines.filter(({ level }) => level === 'error').length).toBe(11);
  });

  it('begins with a short pause again after it ran well for a while', async () => {
    const { sim, starts, run } = rig();
    const { clock } = sim;
    const life = async (count: number): Promise<void> => {
      if (count === 8) await new Promise<void>((resolve) => clock.setTimer(60_000, resolve));
      if (count < 10) throw new Error('crash');
    };
    await sim.run(run(life));
    expect((starts[8] ?? 0) - (starts[7] ?? 0)).toBeLessThan(61_001);
  });

  it('does not start again what is being stopped, whether it crashes then or waits already', async () => {
    const waiting = rig();
    const ended = waiting.run(() => Promise.reject(new Error('crash')));
    await waiting.sim.advance(100);
    waiting.stopping.abort();
    await waiting.sim.run(ended);
    expect(waiting.starts.length).toBe(1);
    const crashing = rig();
    const life = () =>
      new Promise<void>((_, reject) => {
        crashing.stopping.signal.addEventListener('abort', () => reject(new Error('late')));
      });
    const done = crashing.run(life);
    crashing.stopping.abort();
    await crashing.sim.run(done);
    expect(crashing.crashes).toEqual([]);
    expect(crashing.log.lines).toMatchObject([
      { level: 'warn', message: 'source web crashed while it was being stopped' },
    ]);
  });

  it.each([
    ['an error of the config', new ConfigError({ code: 'SPILLWAY_CONFIG_OWNER', message: 'it belongs to another' })],
    ['a bug of ours', new InvariantViolation('two and two are four')],
  ])('passes on %s, which no start mends', async (_what, cause) => {
    const { sim, run, starts } = rig();
    await expect(sim.run(run(() => Promise.reject(cause)))).rejects.toBe(cause);
    expect(starts.length).toBe(1);
  });
});
