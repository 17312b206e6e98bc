// How long open takes: with a small backlog, with a large one that was closed in good order, and with a large one whose
// writer was killed under load. Every open happens in a process of its own.
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GiB, MiB } from '../../src/base/units.ts';
import type { Durability } from '../../src/index.ts';
import { messageOf, runChild, startChild } from './children.ts';
import type { LoadTask } from './load-child.ts';
import type { Opening, OpeningTask } from './opening-child.ts';
import { varied } from './options.ts';
import { type Bench, type Case, type Measured, measureInTurns } from './repetitions.ts';
import { calibrationCells, calibrationHeader, figure, type Section, type Target } from './report.ts';

const durabilities: readonly Durability[] = ['sync', 'interval', 'os', 'memory'];

export async function measureOpening(bench: Bench): Promise<Section> {
  const { work } = bench.options;
  const small = await fill(bench, 'small', 1 * MiB);
  const large = bench.options.smoke ? small : await fill(bench, 'large', work.backlogBytes);
  const cases = [
    caseOf('1 MiB, after close', small, 'sync', false),
    caseOf(`${(work.backlogBytes / GiB).toFixed(1)} GiB or more, after close`, large, 'sync', false),
    ...varied(bench.options, durabilities).map((durability) =>
      caseOf(`the same, ${durability}, after SIGKILL`, large, durability, true),
    ),
  ];
  const measured = await measureInTurns(bench, cases);
  return {
    title: 'Open',
    notes: [
      'Milliseconds of `DiskBuffer.open` in a process that has just started; the time to load the code is left out. ' +
        'The writer is killed at a random moment while it appends 1 KiB records as fast as it can. ' +
        'The files are in the cache of the operating system. "First commit" is the time from the start of open until ' +
        'a first record is durable: before that, what the scan found is written and synced again.',
    ],
    header: ['what', 'best', 'median', 'worst', 'first commit', 'backlog GiB', ...calibrationHeader],
    rows: measured.map(({ name, best, calibration, outcomes }) => {
      return [
        name,
        figure(best.openMs),
        figure(medianOf(outcomes)),
        figure(Math.max(...outcomes.map(({ openMs }) => openMs))),
        figure(best.firstCommitMs),
        figure(best.backlogBytes / GiB),
        ...calibrationCells(calibration),
      ];
    }),
    targets: targetsOfOpening(measured),
  };

  function caseOf(name: string, path: string, durability: Durability, kill: boolean): Case<Opening> {
    return {
      name,
      run: async () => {
        if (kill) await loadAndKill(bench.scratch, { path, durability }, work.loadMs * (0.5 + Math.random()));
        const task: OpeningTask = { path, durability };
        return await runChild<Opening>(bench.scratch, 'opening-child.ts', task);
      },
      rank: ({ openMs }) => -openMs,
    };
  }
}

/** By medians: one slow open says something about the machine, half of them say something about the code. */
function targetsOfOpening(measured: readonly Measured<Opening>[]): readonly Target[] {
  const [small, ...large] = measured.map(({ name, outcomes }) => ({ name, ms: medianOf(outcomes) }));
  const smallMs = small?.ms ?? Number.NaN;
  return large.map(({ name, ms }) => ({
    what: `open, ${name}, median`,
    wanted: 'under 100 ms, 1 MiB + 50 ms',
    found: `${figure(ms)} ms, 1 MiB + ${figure(Math.max(0, ms - smallMs))} ms`,
    holds: ms < 100 && ms - smallMs <= 50,
  }));
}

/** A buffer with that many payload bytes that nobody has read, closed in good order. */
async function fill(bench: Bench, name: string, payloadBytes: number): Promise<string> {
  bench.progress(`filling ${name}`);
  const path = join(bench.scratch, name);
  mkdirSync(path);
  const task: LoadTask = { path, durability: 'memory', payloadBytes };
  await runChild(bench.scratch, 'load-child.ts', task);
  return path;
}

function medianOf(outcomes: readonly Opening[]): number {
  const times = outcomes.map(({ openMs }) => openMs).sort((one, other) => one - other);
  return times[times.length >>> 1] ?? Number.NaN;
}

async function loadAndKill(scratch: string, task: LoadTask, afterMs: number): Promise<void> {
  const child = startChild(scratch, 'load-child.ts', task);
  const ended = once(child, 'exit');
  await messageOf(child);
  await sleep(afterMs);
  child.kill('SIGKILL');
  await ended;
}
