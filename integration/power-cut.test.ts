// The power fails under a writer: a file system is shut down beneath it without its journal being written, and what was
// not synced is gone. In `sync` everything accepted is there afterwards; in `interval` at most the interval is lost; in
// `os` what a commit or the ledger's own sync has covered is there.
//
// The writer is frozen first, with no thread inside a system call: a sync that is under way at the very moment of the
// shutdown may report success for bytes that are lost, which no disk does and no program could survive.
import { cpSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DiskBufferOptions, Durability } from '../src/index.ts';
import { SeededRandom } from '../src/testing/seeded-random.ts';
import { byScale, repeatable, seedOr } from '../test/sweep.ts';
import { DiskImage, type FileSystemKind } from './disk-image.ts';
import { LoadProcess } from './load-process.ts';
import type { Plan } from './programs/records.ts';
import { Promises } from './promises.ts';
import { inspect } from './reading.ts';
import { needs } from './requirements.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const file = import.meta.filename;
const seed = seedOr(1);
const cuts = byScale({ sample: 2, full: 10 });
/** What a timer may be late although the process was never seen to be busy for long. */
const timerSlackMs = 50;
const syncIntervalMs = 100;

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spillway-cut-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Milliseconds on the clock that all processes share, and that `programs/load.ts` reports. */
const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const timeOf = (line: string): number => Number(line.slice(line.lastIndexOf(' ') + 1));

function timesOf(lines: readonly string[]): readonly number[] {
  return lines.filter((line) => /^(?:open|accepted|syncing|synced) /.test(line)).map(timeOf);
}

/**
 * Everything accepted before this moment has to be durable: one interval before the cut, or before the sync it hit.
 * A record accepted just after a sync began waits for that one too before its own can begin, because one is under way
 * at a time; on a disk that takes longer than the interval for a sync, that is what counts.
 */
function dueMs(lines: readonly string[], cutMs: number): number {
  const times = timesOf(lines);
  const busyMs = longest(times.map((time, at) => time - (times[at - 1] ?? time)));
  const lastDurable = lines.findLastIndex((line) => line.startsWith('durable '));
  const hit = lines.slice(lastDurable + 1).find((line) => line.startsWith('syncing '));
  const endMs = hit === undefined ? cutMs : timeOf(hit);
  return endMs - syncIntervalMs - busyMs - longest(syncsOf(lines)) - timerSlackMs;
}

const longest = (spans: readonly number[]): number => Math.max(0, ...spans);

/** How long each sync took that has ended, all of its files together. */
function syncsOf(lines: readonly string[]): readonly number[] {
  const spans: number[] = [];
  let beganMs: number | undefined;
  let endedMs = 0;
  for (const line of lines) {
    if (line.startsWith('syncing ')) beganMs ??= timeOf(line);
    else if (line.startsWith('synced ')) endedMs = timeOf(line);
    else if (line.startsWith('durable ') && beganMs !== undefined) {
      spans.push(endedMs - beganMs);
      beganMs = undefined;
    }
  }
  return spans;
}

/** Resolves when this many calls of the file system have begun, or the buffer is open. Nothing is accepted by then. */
async function reachCall(load: LoadProcess, calls: number): Promise<0> {
  await load.until(() => {
    const begun = load.lines.filter((line) => line.startsWith('file ')).length;
    return begun >= calls || load.lines.some((line) => line.startsWith('open '));
  });
  return 0;
}

class Cuts {
  readonly #durability: Durability;
  readonly #image: DiskImage;
  readonly #random: SeededRandom;
  readonly #buffer: DiskBufferOptions;
  readonly #promises: Promises;
  readonly #plan: Plan;
  accepted = 0;

  constructor(kind: FileSystemKind, durability: Durability, image: DiskImage) {
    this.#durability = durability;
    this.#image = image;
    this.#random = new SeededRandom(`${seed}/${kind}/${durability}`);
    const segmentBytes = this.#random.pick([256, 512]) * KiB;
    // Large records would use up the memory of `interval`, and the sync that frees it would hide one that is overdue.
    const payloads = durability === 'interval' ? { payloadBytesMax: 1_000 } : {};
    this.#plan = { seed: `${seed}/${kind}/${durability}`, segmentBytes, ...payloads };
    this.#buffer = {
      path: join(image.directory, 'buffer'),
      durability,
      cursors: ['default'],
      maxBytes: 24 * MiB,
      segmentBytes,
      publishIntervalMs: this.#random.pick([5, 50]),
      syncIntervalMs,
      maxUnsettledBytes: 512 * KiB,
      lockTimeoutMs: 5_000,
    };
    this.#promises = new Promises(this.#plan, 'default', { powerIsCut: true });
  }

  /** One life under load, the cut, and what is left. */
  async cut(life: number): Promise<void> {
    const random = this.#random.fork(`life ${life}`);
    const isConsumed = life % 2 === 0;
    const load = new LoadProcess({
      plan: this.#plan,
      life,
      buffer: this.#buffer,
      appenders: random.pick([1, 16, 64]),
      records: 1_000_000,
      // A consumer and commits hurry syncs along; without them, time alone must bring them.
      ...(isConsumed ? { consume: 'default' } : { commitChance: 0 }),
    });
    // Some are cut while they recover from the cut before, at a drawn call of the file system.
    const calls = random.chance(0.3) && life > 1 ? random.between(1, 45) : undefined;
    const count = await (calls === undefined ? this.#reachLoad(load, random, isConsumed) : reachCall(load, calls));
    await load.freeze();
    const cutMs = nowMs();
    const canary = join(this.#image.directory, 'canary');
    writeFileSync(canary, 'not synced');
    this.#image.cutPower();
    await load.kill();
    await this.#image.unmount();
    this.#image.mount();
    // Or it was no power cut.
    expect(statSync(canary, { throwIfNoEntry: false })?.size ?? 0).toBe(0);
    await this.#examine(load.lines, life, cutMs, random.chance(0.5));
    this.accepted += count;
  }

  /** Resolves under load, with how many appends were accepted. */
  async #reachLoad(load: LoadProcess, random: SeededRandom, isConsumed: boolean): Promise<number> {
    const accepted = random.between(1, 800);
    const livedMs = random.between(50, 1_200);
    let count = 0;
    let openedMs = 0;
    let atMs = 0;
    let seen = 0;
    await load.until(() => {
      for (; seen < load.lines.length; seen++) {
        const line = load.lines[seen] as string;
        if (line === 'full' && !isConsumed) return true; // Nobody makes room: nothing more will come.
        if (line.startsWith('open ')) openedMs = timeOf(line);
        if (!line.startsWith('accepted ')) continue;
        count += 1;
        atMs = timeOf(line);
      }
      return count >= accepted && atMs - openedMs >= livedMs;
    });
    return count;
  }

  async #examine(lines: readonly string[], life: number, cutMs: number, onCopy: boolean): Promise<void> {
    this.#promises.take(life, lines);
    if (this.#durability === 'interval') this.#promises.forgive(dueMs(lines, cutMs));
    if (this.#durability === 'os') this.#promises.forgive(Number.NEGATIVE_INFINITY);
    if (!onCopy) {
      await inspect(this.#buffer, this.#promises);
      return;
    }
    const path = join(folder, 'copy');
    cpSync(this.#buffer.path, path, { recursive: true });
    await inspect({ ...this.#buffer, path }, this.#promises);
    rmSync(path, { recursive: true });
  }
}

describe.each(['ext4', 'xfs'] as const)('a power cut on %s', (kind) => {
  test.for(['sync', 'interval', 'os'] as const)('keeps what %s promises', async (durability, context) => {
    const reason = needs('linux', 'root', 'loop-device', `mkfs.${kind}`, 'perl');
    if (reason !== undefined) context.skip(reason);
    const name = context.task.name;
    await repeatable({ file, name, seed }, async () => {
      // The smallest that xfs makes; it takes no more room than is written.
      const image = new DiskImage(kind, kind === 'xfs' ? 300 * MiB : 64 * MiB);
      try {
        image.mount();
        const run = new Cuts(kind, durability, image);
        for (let life = 1; life <= cuts; life++) await run.cut(life);
        expect(run.accepted).toBeGreaterThanOrEqual(cuts);
      } finally {
        image.remove();
      }
    });
  });
});
