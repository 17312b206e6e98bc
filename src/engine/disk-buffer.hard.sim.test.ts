// Hard times, one by one: each of these once broke a promise or kept somebody waiting for ever.
import { describe, expect, test } from 'vitest';
import { Journal } from '../../test/buffer-journal.ts';
import { BufferLife, cursorNames } from '../../test/buffer-life.ts';
import { prove, runChecked, withoutStrays } from '../../test/buffer-sweep.ts';
import { SimDisk, SimWorld } from '../testing/index.ts';
import type { DiskBufferOptions } from './limits.ts';

function lifeOf(options: Partial<DiskBufferOptions> = {}, disk = new SimDisk(new SimWorld({ seed: 1 }))): BufferLife {
  return new BufferLife({ disk, process: disk.start(), journal: new Journal(), options });
}

describe('records larger than a slot', () => {
  test('follow each other without waiting for a small one in between', async () => {
    const life = lifeOf();
    const stored = async (): Promise<boolean[]> => {
      await life.open();
      for (const name of cursorNames) life.consume(name, 'eager');
      const results = await Promise.all([life.append(100_000), life.append(100_000), life.append(100_000)]);
      await life.close({ drain: true });
      return results;
    };
    expect(await runChecked(life.disk, stored())).toEqual([true, true, true]);
  });
});

describe('a cursor that keeps up', () => {
  test('goes on to the next segment while the one behind it is being removed', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const latencies = { data: [0.01, 0.3], sync: [0.05, 2], names: [5, 20] } as const;
      const life = lifeOf({}, new SimDisk(new SimWorld({ seed }), { latencies }));
      const lived = async (): Promise<void> => {
        await life.open();
        for (const name of cursorNames) life.consume(name, 'eager');
        for (let record = 0; record < 6; record++) await life.append(100_000);
        await life.close({ drain: true });
      };
      await runChecked(life.disk, lived());
      expect(life.refusals).toEqual([]);
    }
  });
});

describe('a start after a crash', () => {
  test('frees nothing that is still being repaired', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const life = lifeOf({}, new SimDisk(new SimWorld({ seed })));
      await runChecked(life.disk, life.open());
      for (const name of cursorNames) life.consume(name, 'eager');
      await runChecked(life.disk, life.append(100_000));
      // Killed when the next segment has a header and no frame yet: the repairs are going to remove it.
      const killed = new Promise<void>((resolve) => {
        life.buffer.events.on('segment_created', () => {
          life.disk.killProcess(life.process, 'none');
          resolve();
        });
      });
      void life.append(100_000);
      await runChecked(life.disk, killed);
      await withoutStrays(() => prove(life.disk, life.journal, {}));
    }
  });
});

describe('a reader during the repairs', () => {
  test('steps over a segment that is being removed', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const options = { durability: 'os' } as const;
      const life = lifeOf(options, new SimDisk(new SimWorld({ seed })));
      await runChecked(life.disk, life.open());
      await runChecked(life.disk, Promise.all([0, 1, 2, 3, 4].map(() => life.append(100_000))));
      life.disk.powerCut('random');
      life.journal.crashed('power', 'os', 0, 0);
      await prove(life.disk, life.journal, options);
    }
  });
});

describe('a first open that was killed half-way', () => {
  test('is finished by the next one: directory and ledger have durable names before the first append', async () => {
    for (let operations = 1; operations <= 10; operations++) {
      const life = lifeOf({}, new SimDisk(new SimWorld({ seed: operations })));
      const crashed = life.disk.crashAfterOperation(operations);
      await runChecked(life.disk, Promise.race([crashed, life.open()]));
      life.disk.killProcess(life.process, 'none');
      await prove(life.disk, life.journal, {});
    }
  });
});

describe('a commit', () => {
  test('is told when the buffer closes before it could ever write', async () => {
    const life = lifeOf();
    await runChecked(life.disk, life.open());
    await runChecked(life.disk, life.append(1_000));
    life.disk.killProcess(life.process, 'none');
    const next = lifeOf({}, life.disk);
    life.disk.faults.inject({ fault: 'ENOSPC', operation: 'write', path: '/ledger' });
    await runChecked(life.disk, next.open());
    const committed = next.commit();
    await runChecked(life.disk, next.close());
    await runChecked(life.disk, committed);
    expect(next.refusals).toMatchObject([{ code: 'SPILLWAY_USAGE_CLOSED' }]);
  });
});

describe('a file that cannot be removed', () => {
  test('is tried again although nothing changes any more', async () => {
    const life = lifeOf();
    await runChecked(life.disk, life.open());
    for (const name of cursorNames) life.consume(name, 'eager');
    const lift = life.disk.faults.inject({ fault: 'EIO', operation: 'remove', path: '.seg' });
    const stored = Promise.all(Array.from({ length: 12 }, () => life.append(100_000)));
    await life.disk.world.advance(5_000);
    expect(life.buffer.stats().waitingAppends).toBeGreaterThan(0);
    lift();
    expect(await runChecked(life.disk, stored)).not.toContain(false);
    await runChecked(life.disk, life.close());
  });
});
