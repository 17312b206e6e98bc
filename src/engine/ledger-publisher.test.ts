// When the ledger is written: soon after a change, never twice at once, again with backoff when it fails.
import { describe, expect, test } from 'vitest';
import { rejectionOf } from '../../test/writing-side.ts';
import { type Latencies, SimDisk, type SimProcess, SimWorld } from '../testing/index.ts';
import { EventHub } from './events.ts';
import { Ledger } from './ledger.ts';
import { LedgerPublisher } from './ledger-publisher.ts';
import type { LedgerContent } from './ledger-slot.ts';

const directory = '/data/buffer';
const none = { events: 0, bytes: 0 };
const fixed: Latencies = { data: [0.5, 0.5], sync: [2, 2], names: [0.5, 0.5] };

class Rig {
  readonly world: SimWorld = new SimWorld({ seed: 1 });
  readonly disk: SimDisk = new SimDisk(this.world, { directories: [directory], latencies: fixed });
  readonly process: SimProcess = this.disk.start();
  readonly events: EventHub = new EventHub();
  /** Virtual times of captures and successes, and the delays announced after failures. */
  readonly captured: number[] = [];
  readonly published: number[] = [];
  readonly retries: number[] = [];
  failed = 0;
  ledger!: Ledger;
  publisher!: LedgerPublisher;
  /** What the next capture waits for. */
  gate: Promise<void> = Promise.resolve();

  static async make(): Promise<Rig> {
    const rig = new Rig();
    const { ledger } = await rig.world.run(Ledger.open(rig.process.fileSystem, directory));
    rig.ledger = ledger;
    rig.events.on('publish_failed', ({ retryInMs }) => rig.retries.push(retryInMs));
    rig.publisher = new LedgerPublisher({
      ledger,
      clock: rig.process.clock,
      events: rig.events,
      intervalMs: 100,
      capture: () => rig.#capture(),
      published: () => rig.published.push(rig.world.timeMs),
      failed: () => {
        rig.failed += 1;
      },
    });
    // The file exists from now on, so that every publish takes the same time.
    await rig.world.run(rig.publisher.publish());
    rig.captured.length = 0;
    rig.published.length = 0;
    return rig;
  }

  breakDisk(): () => void {
    return this.disk.faults.inject({ fault: 'EIO', operation: 'sync' });
  }

  async #capture(): Promise<LedgerContent> {
    this.captured.push(this.world.timeMs);
    await this.gate;
    return {
      uuid: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0',
      formatVersion: 1,
      epoch: 1,
      clean: false,
      writer: { segment: 1, offset: 4096, nextId: 1, newestSegment: 1 },
      cursors: [],
      totals: {
        appended: none,
        acknowledged: none,
        removed: { rejected: none, dropped_oldest: none, dropped_newest: none, disk_full: none, unconfirmed: none },
        damaged: none,
      },
      unconfirmed: [],
    };
  }
}

describe('changed', () => {
  test('publishes after the interval, once for all changes of that time', async () => {
    const rig = await Rig.make();
    const at = rig.world.timeMs;
    rig.publisher.changed();
    await rig.world.advance(60);
    rig.publisher.changed();
    await rig.world.drain();
    expect(rig.captured.map((time) => time - at)).toEqual([100]);
    expect(rig.published).toHaveLength(1);
  });

  test('during a publish brings another one an interval later', async () => {
    const rig = await Rig.make();
    rig.publisher.changed();
    await rig.world.run(() => rig.captured.length === 1);
    rig.publisher.changed();
    await rig.world.drain();
    expect(rig.published).toHaveLength(2);
    expect((rig.captured[1] ?? 0) - (rig.published[0] ?? 0)).toBeCloseTo(100, 5);
  });

  test('without a change nothing is published and nothing owed', async () => {
    const rig = await Rig.make();
    await rig.world.advance(10_000);
    expect(rig.captured).toEqual([]);
    expect(rig.process.clock.owedCount).toBe(0);
  });
});

describe('publish', () => {
  test('begins at once and resolves with success', async () => {
    const rig = await Rig.make();
    const at = rig.world.timeMs;
    await rig.world.run(rig.publisher.publish());
    expect(rig.captured).toEqual([at]);
    expect(rig.world.timeMs - at).toBeLessThan(5);
  });

  test('resolves only after a capture that began after the call', async () => {
    const rig = await Rig.make();
    const first = rig.publisher.publish();
    const second = rig.publisher.publish(); // The capture of the first has begun already.
    await rig.world.run(first);
    expect(rig.captured).toHaveLength(1);
    await rig.world.run(second);
    expect(rig.captured).toHaveLength(2);
  });

  test('many that wait share the next one', async () => {
    const rig = await Rig.make();
    const all = Array.from({ length: 20 }, () => rig.publisher.publish());
    await rig.world.run(Promise.all(all));
    expect(rig.captured).toHaveLength(2);
  });

  test('I5.2: never two at once, whoever asks in whatever way', async () => {
    const rig = await Rig.make();
    // The ledger itself asserts it; here everybody asks at every moment of a publish.
    for (let turn = 0; turn < 30; turn++) {
      rig.publisher.changed();
      rig.publisher.hurry();
      void rig.publisher.publish();
      void rig.publisher.attempt();
      await rig.world.step();
    }
    await rig.world.drain();
    expect(rig.failed).toBe(0);
    expect(rig.captured.length).toBe(rig.published.length);
  });
});

describe('hurry', () => {
  test('begins at once, and right behind a publish under way', async () => {
    const rig = await Rig.make();
    const at = rig.world.timeMs;
    rig.publisher.hurry();
    expect(rig.captured).toEqual([at]);
    rig.publisher.hurry();
    await rig.world.drain();
    expect(rig.captured).toHaveLength(2);
    expect(rig.captured[1]).toBeCloseTo(rig.published[0] ?? 0, 5);
  });

  test('hurries one publish, not all that follow', async () => {
    const rig = await Rig.make();
    rig.publisher.hurry();
    rig.publisher.changed();
    await rig.world.drain();
    expect((rig.captured[1] ?? 0) - (rig.published[0] ?? 0)).toBeCloseTo(100, 5);
  });

  test('takes the place of the timer', async () => {
    const rig = await Rig.make();
    rig.publisher.changed();
    rig.publisher.hurry();
    await rig.world.drain();
    expect(rig.captured).toHaveLength(1);
    expect(rig.process.clock.owedCount).toBe(0);
  });
});

describe('a failed publish', () => {
  test('is repeated with backoff from 100 ms up to 10 s, whoever hurries, and fails nobody', async () => {
    const rig = await Rig.make();
    const lift = rig.breakDisk();
    const publish = rig.publisher.publish();
    await rig.world.run(() => rig.retries.length === 1);
    for (let turn = 0; turn < 12; turn++) {
      rig.publisher.hurry();
      rig.publisher.changed();
      await rig.world.step();
    }
    await rig.world.run(() => rig.retries.length === 10);
    expect(rig.retries).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
    expect(rig.publisher.failing).toBe(true);
    expect(rig.failed).toBe(10);
    lift();
    await rig.world.run(publish);
    expect(rig.publisher.failing).toBe(false);
    await rig.world.drain();
    expect(rig.process.clock.owedCount).toBe(0);
  });

  test('starts the backoff anew after a success', async () => {
    const rig = await Rig.make();
    for (let round = 0; round < 2; round++) {
      rig.disk.faults.inject({ fault: 'EIO', operation: 'sync', times: 2 });
      await rig.world.run(rig.publisher.publish());
    }
    expect(rig.retries).toEqual([100, 200, 100, 200]);
  });

  test('of a capture that could not be made is one, too', async () => {
    const rig = await Rig.make();
    rig.gate = Promise.reject(new Error('nothing is durable'));
    const publish = rig.publisher.publish();
    await rig.world.run(() => rig.retries.length === 1);
    rig.gate = Promise.resolve();
    await rig.world.run(publish);
  });
});

describe('attempt', () => {
  test('tries once, now, and says whether it worked', async () => {
    const rig = await Rig.make();
    expect(await rig.world.run(rig.publisher.attempt())).toBe(true);
    const lift = rig.breakDisk();
    expect(await rig.world.run(rig.publisher.attempt())).toBe(false);
    expect(rig.publisher.lastFailure).toMatchObject({ kind: 'io' });
    lift();
    expect(await rig.world.run(rig.publisher.attempt())).toBe(true);
  });

  test('does not take the success of a publish that had begun before for its own', async () => {
    const rig = await Rig.make();
    rig.publisher.hurry();
    await rig.world.run(rig.publisher.attempt());
    expect(rig.captured).toHaveLength(2);
  });
});

describe('stop', () => {
  const closed = new Error('closed');

  test('leaves no timer, waits for the publish under way, and rejects who waits for another', async () => {
    const rig = await Rig.make();
    const first = rig.publisher.publish();
    const second = rig.publisher.publish();
    const stopped = rig.publisher.stop(closed);
    rig.publisher.changed();
    expect(await rig.world.run(rejectionOf(second))).toBe(closed);
    await rig.world.run(Promise.all([first, stopped]));
    expect(rig.captured).toHaveLength(1);
    await rig.world.drain();
    expect(rig.captured).toHaveLength(1);
    expect(rig.process.clock.owedCount).toBe(0);
  });

  test('whoever comes afterwards publishes nothing: the ledger may be closed already', async () => {
    const rig = await Rig.make();
    await rig.world.run(rig.publisher.stop(closed));
    const calls = rig.disk.callCount;
    rig.publisher.changed();
    rig.publisher.hurry();
    expect(await rig.world.run(rejectionOf(rig.publisher.publish()))).toBe(closed);
    await rig.world.drain();
    expect(rig.disk.callCount).toBe(calls);
  });

  test('ends the backoff', async () => {
    const rig = await Rig.make();
    rig.breakDisk();
    const publish = rig.publisher.publish();
    await rig.world.run(() => rig.retries.length === 3);
    const rejection = rejectionOf(publish);
    await rig.world.run(rig.publisher.stop(closed));
    expect(await rejection).toBe(closed);
    await rig.world.drain();
    expect(rig.retries).toHaveLength(3);
  });
});
