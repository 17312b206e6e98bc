import type { Clock } from 'spillway/plugin';
import { simulatedWorld } from 'spillway/testing';
import { expect, it } from 'vitest';
import { KeepAlive } from './keep-alive.ts';

interface Rig {
  asked: number;
  lost: number;
  readonly alive: KeepAlive;
  readonly clock: Clock;
  pass(ms: number): Promise<void>;
}

function start(intervalMs: number): Rig {
  const { clock, sim } = simulatedWorld();
  const counts = { asked: 0, lost: 0 };
  const ask = (): void => {
    counts.asked += 1;
  };
  const lost = (): void => {
    counts.lost += 1;
  };
  const alive = new KeepAlive({ clock, intervalMs, ask, lost });
  return Object.assign(counts, { alive, clock, pass: (ms: number) => sim.advance(ms) });
}

it('asks twice in its time, as long as there is an answer', async () => {
  const rig = start(60_000);
  for (let half = 1; half <= 10; half += 1) {
    await rig.pass(30_000);
    rig.alive.heard();
    expect(rig).toMatchObject({ asked: half, lost: 0 });
  }
  rig.alive.stop();
});

it('gives up a server that is silent for half of the time after it was asked, once', async () => {
  const rig = start(60_000);
  await rig.pass(59_999);
  expect(rig).toMatchObject({ asked: 1, lost: 0 });
  await rig.pass(300_000);
  expect(rig).toMatchObject({ asked: 1, lost: 1 });
});

it('reads what has come while the process was busy before it gives up a server', async () => {
  const rig = start(60_000);
  // Timers go before the network: the answer is there, and read after the time is over.
  rig.clock.setTimer(60_000, () => rig.clock.defer(() => rig.alive.heard()));
  await rig.pass(60_001);
  expect(rig).toMatchObject({ asked: 2, lost: 0 });
  await rig.pass(30_000);
  expect(rig).toMatchObject({ asked: 2, lost: 1 });
});

it('does nothing when it is stopped, or was never wanted', async () => {
  const stopped = start(60_000);
  stopped.alive.stop();
  await stopped.pass(300_000);
  expect(stopped).toMatchObject({ asked: 0, lost: 0 });
  const justInTime = start(60_000);
  justInTime.clock.setTimer(60_000, () => justInTime.clock.defer(() => justInTime.alive.stop()));
  await justInTime.pass(300_000);
  expect(justInTime).toMatchObject({ asked: 1, lost: 0 });
  const unwanted = start(0);
  await unwanted.pass(300_000);
  expect(unwanted).toMatchObject({ asked: 0, lost: 0 });
});
