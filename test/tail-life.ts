// The life of a log, drawn from a seed: written, rotated in both ways, slowly copied, while its reader is stopped,
// killed, kept waiting and started again. What must be in the output at the end is known line by line.

import type { EmitResult } from '../src/pipeline/contract/source.ts';
import { SeededRandom } from '../src/testing/seeded-random.ts';
import { logs, type TailedLine, TailRig } from './tail-rig.ts';

export interface TailLifeResult {
  readonly rotations: { readonly renamed: number; readonly copied: number; readonly away: number };
  readonly kills: number;
  readonly repeats: number;
  readonly lines: number;
  /** Lines that are there under two fingerprints. */
  readonly doubled: number;
}

const live = 'app.log';

export class TailLife {
  readonly rig: TailRig;
  readonly #random: SeededRandom;
  readonly #header: string | undefined;
  readonly #required = new Set<string>();
  readonly #optional = new Set<string>();
  #lineCount = 0;
  #partial = '';
  #generation = 0;
  #renamed = 0;
  #copied = 0;
  #away = 0;
  #kills = 0;
  #isSwamped = false;

  constructor(seed: number | string) {
    const random = new SeededRandom(seed).fork('life');
    const options = {
      max_read_bytes: random.pick([1_024, 4_096, 262_144]),
      max_line_bytes: 400,
      oldest_first: random.chance(0.3),
      glob_minimum_cooldown_ms: random.pick([100, 1_000, 3_000]),
      rotate_wait_secs: random.pick([8, 60]),
    };
    this.rig = new TailRig(options, seed);
    this.rig.host.reusesNumbers = random.chance(0.5);
    this.rig.answer = () => this.#answer();
    this.#random = random;
    this.#header = random.chance(0.3) ? '=== a log that always begins like this ===' : undefined;
  }

  async run(steps: number): Promise<TailLifeResult> {
    await this.rig.start();
    for (let step = 0; step < steps; step++) await this.#step();
    if (!this.rig.isRunning) await this.rig.start();
    this.#isSwamped = false;
    this.#endPartial();
    await this.rig.advance(100_000);
    await this.rig.stop();
    return this.#check();
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const draw = random.int(100);
    if (draw < 50) this.#write(random.int(random.chance(0.1) ? 200 : 8));
    else if (draw < 62) await this.rig.advance(random.int(random.chance(0.2) ? 8_000 : 600));
    else if (draw < 70) await this.#rotateByRename();
    else if (draw < 82) await this.#rotateByCopy();
    else if (draw < 88) this.#kill();
    else if (draw < 91) await this.rig.stop();
    else if (draw < 96) this.#isSwamped = random.chance(0.3);
    if (!this.rig.isRunning && random.chance(0.4)) await this.rig.start();
    await this.rig.advance(random.int(40));
  }

  #answer(): EmitResult | Promise<EmitResult> {
    const random = this.#random;
    const draw = random.int(20);
    if (this.#isSwamped || draw === 0) return { kind: 'full', retryAfterMs: random.int(2_000) };
    if (draw === 1) return { kind: 'unavailable', reason: 'the test says so', retryAfterMs: random.int(500) };
    const { sim } = this.rig;
    return new Promise((resolve) => {
      sim.schedule(random.int(300), 'accepted', '', () => resolve({ kind: 'accepted' }));
    });
  }

  #line(): string {
    const random = this.#random;
    const filler = random.chance(0.05) ? random.int(300) : random.int(30);
    return `${this.#lineCount++} ${Buffer.from(random.bytes(filler >> 1)).toString('hex')}`;
  }

  #write(count: number, name: string = live, isOptional = false): void {
    if (count === 0) return;
    let text = '';
    if (name === live) {
      if (this.#header !== undefined && this.rig.host.text(`${logs}/${live}`) === '') text = `${this.#header}\n`;
      text += this.#partial;
      if (this.#partial !== '') text += '\n';
      this.#partial = '';
    }
    for (let index = 0; index < count; index++) {
      const line = this.#line();
      (isOptional ? this.#optional : this.#required).add(line);
      text += `${line}\n`;
    }
    this.rig.append(text, name);
    if (name === live && !isOptional && this.#random.chance(0.2)) {
      const line = this.#line();
      const at = this.#random.int(line.length);
      this.#required.add(line);
      this.rig.append(line.slice(0, at), name);
      this.#partial = line.slice(at);
    }
  }

  #endPartial(): void {
    if (this.#partial !== '') this.rig.append(`${this.#partial}\n`);
    this.#partial = '';
  }

  #shift(): void {
    this.#endPartial(); // A writer that is told to reopen its file does so between two lines.
    for (let number = this.#generation++; number > 0; number--) {
      this.rig.rename(`${live}.${number}`, `${live}.${number + 1}`);
    }
    if (!this.rig.isRunning) this.#away += 1;
  }

  async #rotateByRename(): Promise<void> {
    this.#shift();
    if (this.rig.host.inode(`${logs}/${live}`) === undefined) {
      this.#generation -= 1;
      for (let number = 1; number <= this.#generation; number++)
        this.rig.rename(`${live}.${number + 1}`, `${live}.${number}`);
      return;
    }
    this.#renamed += 1;
    this.rig.rename(live, `${live}.1`);
    while (this.#random.chance(0.5)) {
      this.#write(this.#random.int(4), `${live}.1`);
      await this.rig.advance(this.#random.int(1_500));
    }
    if (this.#random.chance(0.7)) this.#write(1 + this.#random.int(3));
  }

  async #rotateByCopy(): Promise<void> {
    const { host } = this.rig;
    if (host.text(`${logs}/${live}`) === '') return;
    this.#shift();
    this.#copied += 1;
    const text = host.text(`${logs}/${live}`);
    if (this.#random.chance(0.3)) {
      const half = this.#random.int(text.length);
      this.rig.append(text.slice(0, half), `${live}.1`);
      await this.rig.advance(this.#random.int(3_000));
      this.rig.append(text.slice(half), `${live}.1`);
    } else {
      this.rig.copy(live, `${live}.1`);
    }
    if (this.#random.chance(0.3)) {
      this.#write(this.#random.int(4), live, true); // Present after the copy was taken: lost, unless they were read.
      await this.rig.advance(this.#random.int(400));
    }
    this.rig.truncate(live);
    if (this.#random.chance(0.5)) this.#write(1 + this.#random.int(5));
  }

  #kill(): void {
    if (!this.rig.isRunning) return;
    this.#kills += 1;
    this.rig.kill();
  }

  #check(): TailLifeResult {
    const unique = this.rig.unique();
    const texts = unique.map(({ text }) => text).filter((text) => text !== this.#header);
    const found = new Set(texts);
    const missing = [...this.#required].filter((line) => !found.has(line));
    if (missing.length > 0) throw new Error(`${missing.length} lines are missing, the first is "${missing[0]}"`);
    const invented = texts.find((text) => !this.#required.has(text) && !this.#optional.has(text));
    if (invented !== undefined) throw new Error(`nobody wrote "${invented}"`);
    checkOrder(unique);
    const rotations = { renamed: this.#renamed, copied: this.#copied, away: this.#away };
    const repeats = this.rig.taken.length - unique.length;
    return { rotations, kills: this.#kills, repeats, lines: texts.length, doubled: texts.length - found.size };
  }
}

function checkOrder(unique: readonly TailedLine[]): void {
  const last = new Map<string, number>();
  for (const { fingerprint, offset, text } of unique) {
    if (offset < (last.get(fingerprint) ?? 0)) throw new Error(`"${text}" came after a line behind it in its log`);
    last.set(fingerprint, offset);
  }
}
