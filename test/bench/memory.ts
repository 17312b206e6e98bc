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
/** Memory hardly depends on the weather, and a backlog takes its time. */
const repetitionsMax = 2;

export async function measureMemory(bench: Bench): Promise<Section> {
  const { memoryBacklogBytes: backlogBytes } = bench.options.work;
  const cases = varied(bench.options, durabilities).map(
    (durability): Case<MemoryUse> => ({
      name: `${figure(backlogBytes / GiB)} GiB, ${durability}`,
      run: () => buildUpAndDrain(bench.scratch, durability, backlogBytes),
      rank: ({ filling, draining }) => Math.max(filling.rss, draining.rss), // The worst counts, here alone.
    }),
  );
  await buildUpAndDrain(bench.scratch, 'sync', 1); // So that the code is in the cache.
  const repetitions = Math.min(bench.options.repetitions, repetitionsMax);
  const measured = await measureInTurns({ ...bench, options: { ...bench.options, repetitions } }, cases);
  return {
    title: 'Memory',
    notes: [
      'Highest values in MiB, from `process.memoryUsage()` after every delivery and every 1,024 appends, of a ' +
        'process that appends 1 KiB records until the whole backlog lies on disk and then reads and acknowledges all of it, ' +
        'with the collector left alone; the worst repetition. "Before" is that process before it opened the buffer. ' +
        'rss is the whole process, Node itself included.',
    ],
    header: [
      'backlog',
      ...['rss before', 'rss filling', 'rss draining', 'heap filling', 'heap draining'],
      ...['external filling', 'external draining'],
      ...calibrationHeader,
    ],
    rows: measured.map(({ name, best: { before, filling, draining }, calibration }) => [
      name,
      ...[before.rss, filling.rss, draining.rss].map(inMiB),
      ...both(filling, draining, 'heapUsed'),
      ...both(filling, draining, 'external'),
      ...calibrationCells(calibration),
    ]),
  };
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
