import { expect, it } from 'vitest';
import { simulatedWorld } from '../../testing/index.ts';
import { Deadline, Overdue } from './deadline.ts';

function rig(timeoutMs = 1_000) {
  const { sim, clock } = simulatedWorld();
  const abort = new AbortController();
  const deadline = new Deadline({ clock, timeoutMs, signal: abort.signal });
  const late = async (ms: number): Promise<string> =>
    new Promise((resolve) => {
      clock.setTimer(ms, () => resolve('done'));
    });
  return { sim, clock, abort, deadline, late };
}

it('settles as the work does', async () => {
  const { sim, deadline, late } = rig();
  await expect(sim.run(deadline.within(late(999), 'working'))).resolves.toBe('done');
  await expect(deadline.within(Promise.reject(new Error('no')), 'working')).rejects.toThrow('no');
});

it('is over for all steps together', async () => {
  const { sim, clock, deadline, late } = rig();
  await sim.run(deadline.within(late(600), 'connecting'));
  expect(deadline.leftMs).toBe(400);
  const failure = sim.run(deadline.within(late(600), 'asking'));
  await expect(failure).rejects.toThrow(new Overdue('no answer in time while asking'));
  expect(clock.monotonic()).toBe(1_000);
  expect(deadline.leftMs).toBe(0);
});

it('gives up when the delivery is aborted, before or meanwhile', async () => {
  const { sim, clock, abort, deadline, late } = rig();
  clock.setTimer(10, () => abort.abort());
  await expect(sim.run(deadline.within(late(600), 'asking'))).rejects.toThrow(new Overdue('given up while asking'));
  expect(clock.monotonic()).toBe(10);
  await expect(deadline.within(late(1), 'asking')).rejects.toThrow(Overdue);
});

it('shortened never lasts longer than what it came from', () => {
  const { deadline } = rig(1_000);
  expect(deadline.shortened(100).leftMs).toBe(100);
  expect(deadline.shortened(5_000).leftMs).toBe(1_000);
});

it('leaves no listener behind, whatever became of the work', async () => {
  const { sim, abort, deadline, late } = rig();
  let listeners = 0;
  const { signal } = abort;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1;
    remove(...args);
  };
  await deadline.within(Promise.resolve(), 'a');
  await deadline.within(Promise.reject(new Error('b')), 'b').catch(() => undefined);
  await sim.run(deadline.within(late(5_000), 'c')).catch(() => undefined);
  expect(listeners).toBe(0);
});
