// Every call that the buffer makes on its disk fails, in turn: once, or from then on until the disk is well again. The
// buffer may refuse, wait or end, but it must say so to everybody who waits, and lose nothing that it had accepted.
import { describe, expect, test } from 'vitest';
import { Broken, Journal } from '../../test/buffer-journal.ts';
import { BufferLife, smallBuffer } from '../../test/buffer-life.ts';
import {
  casesOf,
  prove,
  revival,
  runChecked,
  seedOfSources,
  withoutStrays,
  workload,
} from '../../test/buffer-sweep.ts';
import { byScale, onlyCase, repeatable } from '../../test/sweep.ts';
import type { StorageOperation } from '../platform/storage-errors.ts';
import { type Fault, SimDisk, SimWorld } from '../testing/index.ts';
import type { Durability } from './limits.ts';

const seed = seedOfSources();
const file = import.meta.filename;

/** `once`; or until the disk is healed; or until the buffer has been closed on the sick disk. */
const endings = ['once', 'healed', 'closed'] as const;
type Ending = (typeof endings)[number];

/** Longer than the workload takes on a disk that is well. */
const patienceMs = 3_000;
const takeSpace: readonly StorageOperation[] = ['create', 'write', 'make directory', 'truncate'];
/** All but giving the lock back, which only the death of the process can do then. */
const everything: readonly StorageOperation[] = [
  ...takeSpace,
  'open',
  'read',
  'sync',
  'measure',
  'close',
  'list',
  'inspect',
  'resolve',
  'rename',
  'remove',
  'sync directory',
  'lock',
];

type Sickness = { readonly fault: Fault; readonly operation: readonly StorageOperation[] };

const sicknesses: Readonly<Record<string, Sickness>> = {
  'a broken disk, EIO': { fault: 'EIO', operation: everything },
  'a full disk, ENOSPC': { fault: 'ENOSPC', operation: takeSpace },
  'a quota that syncs notice, EDQUOT': { fault: 'EDQUOT', operation: [...takeSpace, 'sync'] },
};

function newLife(durability: Durability = 'sync', worldSeed: number | string = seed): BufferLife {
  const disk = new SimDisk(new SimWorld({ seed: worldSeed }));
  return new BufferLife({ disk, process: disk.start(), journal: new Journal(), options: { durability } });
}

/** How many calls a workload without trouble makes that this sickness could hit. */
async function callsOf(sickness: Sickness, durability: Durability): Promise<number> {
  const life = newLife(durability);
  await runChecked(life.disk, workload(life));
  return life.disk.calls.filter(({ operation }) => sickness.operation.includes(operation)).length;
}

/** A life as far as it comes. Everything in it settles: when the disk is healed, or when the buffer is closed. */
async function suffer(life: BufferLife, ending: Ending, live = workload): Promise<void> {
  const { disk } = life;
  let settled = false;
  const lived = live(life).then(
    () => {
      settled = true;
    },
    (cause: unknown) => {
      settled = true;
      life.refusals.push(cause);
    },
  );
  const patience = new Promise<void>((resolve) => disk.world.clock.setTimer(patienceMs, resolve));
  await runChecked(disk, Promise.race([lived, patience]));
  if (!settled && ending === 'closed') await runChecked(disk, life.close());
  disk.heal();
  await runChecked(disk, lived);
  const files = disk.openFileCount(life.process);
  if (files > 0) throw new Broken(`${files} files stay open`);
  expectNoSyncRepeated(life.disk);
}

/** A4: a sync that failed is never tried again by whoever had it fail. */
function expectNoSyncRepeated(disk: SimDisk): void {
  const failed = new Set<string>();
  for (const { operation, path, outcome, number } of disk.calls) {
    if (operation === 'lock') failed.clear(); // Another life begins: it writes everything again first.
    if (operation !== 'sync' || !path.endsWith('.seg')) continue;
    if (failed.has(path)) throw new Broken(`call ${number} syncs ${path}, whose sync had failed`);
    if (outcome?.startsWith('failed') === true) failed.add(path);
  }
}

/** Nothing is missing: where the cache survives, and where only the disk does. */
async function proveBoth(life: BufferLife, label: string, durability: Durability = 'sync'): Promise<void> {
  const after = life.disk.clone(new SimWorld({ seed: `${seed}/${label}` }));
  after.powerCut();
  const known = life.journal.clone();
  // On a disk that may have failed, what was accepted is durable only where `sync` or a commit has said so.
  known.crashed('power', durability === 'interval' ? 'os' : durability, 0, 0);
  await prove(after, known, { durability });
  await prove(life.disk, life.journal, { durability }, life.process);
}

describe('every call fails', () => {
  for (const durability of ['sync', 'interval'] as const) {
    for (const [called, sickness] of Object.entries(sicknesses)) {
      const name = `on ${called}, in ${durability}`;
      test(name, async () => {
        const count = (await callsOf(sickness, durability)) * endings.length;
        const sample = byScale({ sample: 12, full: durability === 'sync' ? Number.POSITIVE_INFINITY : 150 });
        for (const number of casesOf({ count, sample, seed, only: onlyCase() })) {
          const ending = endings[number % endings.length] as Ending;
          await repeatable({ file, name, seed, case: number }, () =>
            withoutStrays(async () => {
              const life = newLife(durability);
              const skip = Math.floor(number / endings.length);
              life.disk.faults.inject({ ...sickness, skip, ...(ending === 'once' && { times: 1 }) });
              life.journal.excusesDamage = sickness.fault === 'EIO' && ending !== 'once';
              await suffer(life, ending);
              life.journal.excusesDamage = false;
              await proveBoth(life, String(number), durability);
            }),
          );
        }
        expect(count).toBeGreaterThan(100);
      });
    }
  }
});

/** A life that begins on what a crash of the workload has left. */
async function lifeAfterCrash(operation: number): Promise<BufferLife> {
  const victim = newLife();
  const crashed = victim.disk.crashAfterOperation(operation);
  await runChecked(victim.disk, Promise.race([crashed, workload(victim)]));
  const disk = victim.disk.clone(new SimWorld({ seed: `${seed}/crash ${operation}` }));
  disk.powerCut();
  return new BufferLife({ disk, process: disk.start(), journal: victim.journal.clone() });
}

describe('every call of a recovery fails', () => {
  const callsMax = 1_024;
  for (const [called, sickness] of Object.entries(sicknesses)) {
    const name = `on ${called}, after a crash`;
    test(name, async () => {
      const only = onlyCase();
      const crashes = byScale({ sample: 2, full: 12 });
      const chosen = byScale({ sample: 4, full: Number.POSITIVE_INFINITY });
      const points = casesOf({ count: 150, sample: crashes, seed, only: only && Math.floor(only / callsMax) });
      for (const point of points) {
        const well = await lifeAfterCrash(point + 1);
        await runChecked(well.disk, reviveAndClose(well));
        const hit = well.disk.calls.filter(({ operation }) => sickness.operation.includes(operation)).length;
        const count = hit * endings.length;
        expect(count).toBeLessThan(callsMax);
        for (const round of casesOf({ count, sample: chosen, seed, only: only && only % callsMax })) {
          const number = point * callsMax + round;
          const ending = endings[round % endings.length] as Ending;
          await repeatable({ file, name, seed, case: number }, () =>
            withoutStrays(async () => {
              const life = await lifeAfterCrash(point + 1);
              const skip = Math.floor(round / endings.length);
              life.disk.faults.inject({ ...sickness, skip, ...(ending === 'once' && { times: 1 }) });
              life.journal.excusesDamage = sickness.fault === 'EIO' && ending !== 'once';
              await suffer(life, ending, reviveAndClose);
              life.journal.excusesDamage = false;
              await proveBoth(life, String(number));
            }),
          );
        }
      }
    });
  }
});

async function reviveAndClose(life: BufferLife): Promise<void> {
  await revival(life);
  await life.close();
}

describe('a disk without room', () => {
  const name = 'stops the buffer at any point, and it goes on when there is room';
  test(name, async () => {
    const step = 8 * 1024;
    const count = Math.ceil(smallBuffer.maxBytes / step);
    const sample = byScale({ sample: 10, full: Number.POSITIVE_INFINITY });
    for (const number of casesOf({ count, sample, seed, only: onlyCase() })) {
      await repeatable({ file, name, seed, case: number }, () =>
        withoutStrays(async () => {
          const life = newLife();
          await runChecked(life.disk, life.open());
          await runChecked(life.disk, life.close());
          life.disk.capacityBytes = life.disk.usedBytes + number * step;
          const lived = workload(life);
          await life.disk.world.advance(patienceMs);
          life.disk.capacityBytes = Number.POSITIVE_INFINITY;
          await runChecked(life.disk, lived);
          expect(life.refusals).toEqual([]);
          await proveBoth(life, String(number));
        }),
      );
    }
  });
});

describe('reads and writes that do a part', () => {
  const name = 'are completed';
  test(name, async () => {
    const sample = byScale({ sample: 5, full: 100 });
    for (const number of casesOf({ count: 100, sample, seed, only: onlyCase() })) {
      await repeatable({ file, name, seed, case: number }, () =>
        withoutStrays(async () => {
          const life = newLife('sync', `${seed}/${number}`);
          life.disk.faults.chances = { shortRead: 0.3, shortWrite: 0.3, slow: 0.02 };
          await runChecked(life.disk, workload(life));
          expect(life.refusals).toEqual([]);
          await proveBoth(life, String(number));
        }),
      );
    }
  });
});
