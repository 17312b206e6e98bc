// Memory while a backlog grows and is drained: it must depend on the limits that were chosen, not on the backlog.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { GiB, MiB } from '../../src/base/units.ts';
import type { Durability } from '../../src/index.ts';
import { runChild } from './children.ts';
import type { MemoryTask, MemoryUse, Peak } from './memory-child.ts';
import { varied } from './options.ts';
import { type Bench, type Case, measureInTurns } from './repetitions.ts';
import { calibrationCells, calibrationHeader, figure, type Section } from './report.ts';

const durabilities: readonly Durability[] = ['sync', 'interval', 'os', 'memory'];
/** Beside this one it shows that memory does not depend on the backlog. */
const smallBacklogBytes = 1 * GiB;
const repetitionsMax = 3;

export async function measureMemory(bench: Bench): Promise<Section> {
  const { memoryBacklogBytes } = bench.options.work;
  const caseOf = (durability: Durability, backlogBytes: number): Case<MemoryUse> => ({
    name: `${figure(backlogBytes / GiB)} GiB, ${durability}`,
    run: () => buildUpAndDrain(bench.scratch, durability, backlogBytes),
    rank: (use) => -peakOf(use),
  });
  await buildUpAndDrain(bench.scratch, 'sync', 1); // So that the code is in the cache.
  const repetitions = Math.min(bench.options.repetitions, repetitionsMax);
  const measured = await measureInTurns({ ...bench, options: { ...bench.options, repetitions } }, [
    caseOf('sync', Math.min(smallBacklogBytes, memoryBacklogBytes)),
    ...varied(bench.options, durabilities).map((durability) => caseOf(durability, memoryBacklogBytes)),
  ]);
  return {
    title: 'Memory',
    notes: [
      'Highest values in MiB, from `process.memoryUsage()` after every delivery and every 1,024 appends, of a ' +
        'process that appends 1 KiB records until the whole backlog lies on disk and then reads and acknowledges ' +
        'all of it as fast as it can, with the collector left alone but for one call between the two, after which ' +
        '"held" (heap and external) was measured. "Before" is that process before it opened the buffer; rss is the ' +
        'whole process, Node itself included. The repetition with the median growth; "worst" is the largest growth. ' +
        'Most of the growth is payloads that nobody holds any more and that V8 has not freed yet: more on a busy ' +
        'machine, where its helper threads come late.',
    ],
    header: [
      'backlog',
      ...['rss before', 'rss filling', 'rss draining', 'growth', 'worst', 'held'],
      ...['heap filling', 'heap draining', 'external filling', 'external draining'],
      ...calibrationHeader,
    ],
    rows: measured.map(({ name, outcomes, calibration }) => {
      const use = medianOf(outcomes);
      const { before, filling, draining, held } = use;
      return [
        name,
        ...[before.rss, filling.rss, draining.rss, growthOf(use), Math.max(...outcomes.map(growthOf))].map(inMiB),
        inMiB(held.heapUsed + held.external),
        ...both(filling, draining, 'heapUsed'),
        ...both(filling, draining, 'external'),
        ...calibrationCells(calibration),
      ];
    }),
    targets: measured.map(({ name, outcomes }) => {
      const growth = growthOf(medianOf(outcomes));
      const what = `growth of rss, backlog of ${name}`;
      return { what, wanted: 'under 150 MiB', found: `${inMiB(growth)} MiB`, holds: growth < 150 * MiB };
    }),
  };
}

function peakOf({ filling, draining }: MemoryUse): number {
  return Math.max(filling.rss, draining.rss);
}

function growthOf(use: MemoryUse): number {
  return peakOf(use) - use.before.rss;
}

function medianOf(outcomes: readonly MemoryUse[]): MemoryUse {
  const sorted = outcomes.toSorted((one, other) => growthOf(one) - growthOf(other));
  return sorted[sorted.length >>> 1] as MemoryUse;
}

async function buildUpAndDrain(scratch: string, durability: Durability, backlogBytes: number): Promise<MemoryUse> {
  const path = mkdtempSync(join(scratch, 'buffer-'));
  try {
    const task: MemoryTask = { path, durability, backlogBytes };
    return await runChild<MemoryUse>(scratch, 'memory-child.ts', task);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

function both(filling: Peak, draining: Peak, key: keyof Peak): readonly string[] {
  return [inMiB(filling[key]), inMiB(draining[key])];
}

function inMiB(bytes: number): string {
  return figure(bytes / MiB);
}
