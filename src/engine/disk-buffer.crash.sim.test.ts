// The machine stops after every operation that changes the disk, in turn; what survives is drawn; then the buffer is
// opened again and has to keep every promise it made before.
import { describe, expect, test } from 'vitest';
import { Journal } from '../../test/buffer-journal.ts';
import { BufferLife } from '../../test/buffer-life.ts';
import {
  casesOf,
  exposedMs,
  prove,
  revival,
  runChecked,
  seedOfSources,
  withoutStrays,
  workload,
} from '../../test/buffer-sweep.ts';
import { byScale, onlyCase, repeatable } from '../../test/sweep.ts';
import { SimDisk, SimWorld } from '../testing/index.ts';
import type { DiskBufferOptions } from './limits.ts';

const seed = seedOfSources();
const file = import.meta.filename;

/** What becomes of the disk at each crash. Random ones differ by their index. */
const fates = ['kill', 'all', 'none', 'random', 'random', 'random'] as const;
type Fate = (typeof fates)[number];

type Setting = Required<Pick<DiskBufferOptions, 'durability' | 'whenFull'>>;

const settings: readonly Setting[] = [
  { durability: 'sync', whenFull: 'block' },
  { durability: 'interval', whenFull: 'block' },
  { durability: 'os', whenFull: 'block' },
  { durability: 'sync', whenFull: 'drop_oldest' },
];

type Crash = { readonly disk: SimDisk; readonly journal: Journal; readonly crashed: boolean };

/** A life up to its operation number `count`, or to its end if that comes first. */
async function runUntil(
  count: number,
  setting: Setting,
  live: (life: BufferLife) => Promise<void> = workload,
  before: Pick<Crash, 'disk' | 'journal'> = { disk: new SimDisk(new SimWorld({ seed })), journal: new Journal() },
): Promise<Crash> {
  const { disk, journal } = before;
  journal.excusesDrops = setting.whenFull === 'drop_oldest';
  const life = new BufferLife({ disk, process: disk.start(), journal, options: setting });
  const crash = disk.crashAfterOperation(count).then(() => true);
  const crashed = await runChecked(disk, Promise.race([crash, live(life).then(() => false)]));
  if (life.refusals.length > 0) throw life.refusals[0];
  return { disk, journal, crashed };
}

/** The same disk in a world of its own, after the crash; what may be lost is no longer expected. */
function survive({ disk, journal }: Crash, fate: Fate, { durability }: Setting, label: string): Crash {
  const copy = disk.clone(new SimWorld({ seed: `${seed}/${label}` }));
  if (fate !== 'kill') copy.powerCut(fate);
  const known = journal.clone();
  known.crashed(fate === 'kill' ? 'kill' : 'power', durability, disk.world.timeMs, exposedMs);
  return { disk: copy, journal: known, crashed: true };
}

async function operationsOf(setting: Setting): Promise<number> {
  const { disk, crashed } = await runUntil(Number.MAX_SAFE_INTEGER, setting);
  expect(crashed).toBe(false);
  return disk.operationCount;
}

describe('a crash after every operation', () => {
  for (const setting of settings) {
    const name = `keeps every promise of ${setting.durability} under ${setting.whenFull}`;
    test(name, async () => {
      const only = onlyCase();
      const operations = await operationsOf(setting);
      const count = operations * fates.length;
      const sample = byScale({ sample: 10, full: Number.POSITIVE_INFINITY });
      const points = casesOf({ count: operations, sample, seed, only: only && Math.floor(only / fates.length) });
      for (const point of points) {
        const crash = await withoutStrays(() => runUntil(point + 1, setting));
        for (const [index, fate] of fates.entries()) {
          const number = point * fates.length + index;
          if (only !== undefined && only !== number) continue;
          await repeatable({ file, name, seed, case: number }, () =>
            withoutStrays(async () => {
              const { disk, journal } = survive(crash, fate, setting, String(number));
              await prove(disk, journal, setting);
            }),
          );
        }
      }
      expect(count).toBeGreaterThan(0);
    });
  }
});

describe('a second crash, after every operation of the recovery', () => {
  const roundsMax = 64;
  for (const setting of settings) {
    const name = `in ${setting.durability} under ${setting.whenFull}, too`;
    test(name, async () => {
      const only = onlyCase();
      const operations = await operationsOf(setting);
      const sample = byScale({ sample: 3, full: 30 });
      const points = casesOf({ count: operations, sample, seed, only: only && Math.floor(only / roundsMax) });
      for (const point of points) {
        const first = await withoutStrays(() => runUntil(point + 1, setting));
        const fate = setting.durability === 'sync' && point % 3 === 0 ? 'kill' : 'random';
        const fallen = (): Crash => survive(first, fate, setting, `first ${point}`);
        const whole = await runUntil(Number.MAX_SAFE_INTEGER, setting, revival, fallen());
        const count = whole.disk.operationCount;
        expect(count).toBeLessThan(roundsMax);
        const chosen = byScale({ sample: 3, full: Number.POSITIVE_INFINITY });
        for (const round of casesOf({ count, sample: chosen, seed, only: only && only % roundsMax })) {
          const number = point * roundsMax + round;
          await repeatable({ file, name, seed, case: number }, () =>
            withoutStrays(async () => {
              const second = await runUntil(round + 1, setting, revival, fallen());
              const { disk, journal } = survive(second, 'random', setting, `second ${number}`);
              await prove(disk, journal, setting);
            }),
          );
        }
      }
    });
  }
});
