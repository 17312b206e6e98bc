// Many lives of one buffer directory, most of them ended by SIGKILL at a drawn moment, each of them examined.
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiskBufferOptions, Durability } from '../src/index.ts';
import { SeededRandom } from '../src/testing/seeded-random.ts';
import { LoadProcess } from './load-process.ts';
import type { Plan } from './programs/records.ts';
import { BrokenPromise, Promises } from './promises.ts';
import { bytesInDirectory, inspect } from './reading.ts';

export type LivesOptions = {
  readonly seed: number;
  readonly case: number;
  readonly durability: Durability;
  readonly lives: number;
};

/** What happened, so that a run can prove that it killed and that there was something to lose. */
export type LivesSummary = {
  readonly kills: number;
  readonly killedWhile: Readonly<Record<Moment['kind'], number>>;
  readonly accepted: number;
  readonly read: number;
  readonly openMsMax: number;
};

/** When the process is killed, in what it has reported: never by the clock. */
type Moment =
  | { readonly kind: 'opening' | 'closing'; readonly fileCalls: number }
  | { readonly kind: 'running'; readonly accepted: number; readonly furtherBytes: number }
  | { readonly kind: 'never' };

const KiB = 1024;
const MiB = 1024 * KiB;

function drawMoment(random: SeededRandom): Moment {
  const draw = random.int(100);
  if (draw < 12) return { kind: 'opening', fileCalls: random.between(1, 45) };
  if (draw < 20) return { kind: 'closing', fileCalls: random.between(0, 12) };
  if (draw < 24) return { kind: 'never' };
  return { kind: 'running', accepted: random.between(1, 1_200), furtherBytes: random.int(40_000) };
}

/** The audit cursor acknowledges only between lives: it sees every record there ever was, and lets the buffer fill. */
function drawBuffer(random: SeededRandom, directory: string, durability: Durability): DiskBufferOptions {
  const audit = random.chance(0.5);
  return {
    path: directory,
    durability,
    cursors: audit ? ['default', 'audit'] : ['default'],
    maxBytes: (audit ? 24 : random.pick([3, 8])) * MiB,
    segmentBytes: random.pick([256, 512, 768]) * KiB,
    publishIntervalMs: random.pick([1, 5, 20, 100]),
    syncIntervalMs: random.pick([5, 20, 100]),
    maxUnsettledBytes: random.pick([256, 2_048]) * KiB,
    lockTimeoutMs: 5_000,
  };
}

/** `ends`: nobody makes room in this life, so that nothing follows once the buffer is full. */
async function reach(load: LoadProcess, moment: Moment, ends: boolean): Promise<void> {
  if (moment.kind === 'never') return;
  let seen = 0;
  let phase = 'opening';
  let count = 0;
  let bytesThen: number | undefined;
  await load.until(() => {
    for (; seen < load.lines.length; seen++) {
      const line = load.lines[seen] as string;
      if (line === 'closing') phase = 'closing';
      else if (line.startsWith('open ')) phase = 'running';
      if (phase !== moment.kind) {
        // Early enough, or the moment has passed by: an opening may take fewer calls than drawn.
        if (phase === 'closing' || (phase === 'running' && moment.kind === 'opening')) return true;
        continue;
      }
      if (moment.kind === 'running') {
        if (line.startsWith('accepted ')) count += 1;
        if (line === 'full' && ends) return true;
      } else if (line.startsWith('file ') || line === 'closing') count += 1;
    }
    if (moment.kind !== 'running') return count > moment.fileCalls;
    if (count < moment.accepted) return false;
    bytesThen ??= load.bytes;
    return load.bytes >= bytesThen + moment.furtherBytes;
  });
}

export async function runLives(options: LivesOptions): Promise<LivesSummary> {
  const { seed, case: number, durability } = options;
  const directory = mkdtempSync(join(tmpdir(), 'spillway-kill-'));
  try {
    return await new Lives(`${seed}/${number}/${durability}`, join(directory, 'buffer'), options).run();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

class Lives {
  readonly #random: SeededRandom;
  readonly #options: LivesOptions;
  readonly #buffer: DiskBufferOptions;
  readonly #plan: Plan;
  readonly #promises: Promises;
  readonly #killedWhile: Record<Moment['kind'], number> = { opening: 0, running: 0, closing: 0, never: 0 };
  #read = 0;
  #openMsMax = 0;

  constructor(seed: string, directory: string, options: LivesOptions) {
    this.#random = new SeededRandom(seed);
    this.#options = options;
    this.#buffer = drawBuffer(this.#random, directory, options.durability);
    this.#plan = { seed, segmentBytes: this.#buffer.segmentBytes ?? 0 };
    this.#promises = new Promises(this.#plan, 'default');
  }

  async run(): Promise<LivesSummary> {
    for (let life = 1; life <= this.#options.lives; life++) {
      await this.#live(life).catch((cause: unknown) => {
        const message = cause instanceof Error ? cause.message : String(cause);
        throw new BrokenPromise(`${this.#options.durability}, life ${life}: ${message}`, { cause });
      });
    }
    const { opening, running, closing } = this.#killedWhile;
    return {
      kills: opening + running + closing,
      killedWhile: this.#killedWhile,
      accepted: this.#promises.acceptedCount,
      read: this.#read,
      openMsMax: this.#openMsMax,
    };
  }

  async #live(life: number): Promise<void> {
    const random = this.#random.fork(`life ${life}`);
    const moment = drawMoment(random);
    const isShort = moment.kind === 'closing' || moment.kind === 'never';
    const audited = this.#buffer.cursors?.includes('audit') === true;
    const load = new LoadProcess({
      plan: this.#plan,
      life,
      buffer: this.#buffer,
      appenders: random.pick([1, 16, 64, 300]),
      records: isShort ? random.between(1, 400) : 1_000_000,
      // Where another cursor holds everything back, a life may well do without a consumer.
      ...(audited && random.chance(0.3) ? {} : { consume: 'default' }),
    });
    await reach(load, moment, audited);
    await (moment.kind === 'never' ? load.end() : load.kill());
    this.#killedWhile[moment.kind] += 1;
    this.#promises.take(life, load.lines);
    await this.#examine(random, life === this.#options.lives);
  }

  /** Mostly on a copy, so that the next life finds the directory as the kill has left it. */
  async #examine(random: SeededRandom, isLast: boolean): Promise<void> {
    const { path, maxBytes = 0 } = this.#buffer;
    if (!existsSync(path)) return; // Killed before it had made the directory.
    const bytes = bytesInDirectory(path);
    if (bytes > maxBytes) throw new BrokenPromise(`the directory takes ${bytes} bytes, maxBytes is ${maxBytes}`);
    const isAuditDue = bytes > maxBytes / 3 && this.#buffer.cursors?.includes('audit') === true;
    if (isAuditDue || isLast || random.chance(0.25)) {
      this.#note(await inspect(this.#buffer, this.#promises, ['audit']));
      return;
    }
    const copy = `${path}-copy`;
    cpSync(path, copy, { recursive: true });
    this.#note(await inspect({ ...this.#buffer, path: copy }, this.#promises));
    rmSync(copy, { recursive: true });
  }

  #note({ records, openMs }: { readonly records: number; readonly openMs: number }): void {
    this.#read += records;
    this.#openMsMax = Math.max(this.#openMsMax, openMs);
  }
}
