// A log of this machine is written again, line by line, rotated by rename and by copy-and-truncate, and tailed all the
// while by a pipeline that is stopped and killed: after removing repeats by fingerprint and offset, every line is in
// the output, none twice and none invented.
//
// Old files are removed, as logrotate does, but never one that is not in the output: on a busy disk the rotations of a
// second, which are a month of a real log, overtake the pipeline, and what is gone nobody can read.
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SeededRandom } from '../src/testing/index.ts';
import { byScale, repeatable, seedOr } from '../test/sweep.ts';
import { freePort } from './free-port.ts';
import { SpillwayProcess } from './spillway-process.ts';

const file = import.meta.filename;
const name = 'has every line of a log that is rotated under it, while it is stopped and killed';
const seed = seedOr(1);
/** Each round appends lines, then rotates, ends the pipeline, or neither. */
const rounds = byScale({ sample: 40, full: 400 });
const linesPerRound = { min: 1, max: 200 };
const timeoutMs = byScale({ sample: 180_000, full: 10 * 60_000 });
const keptFiles = 12;

/** Lines of a real log where there is one, with whatever is in them. */
function realLines(): readonly string[] {
  for (const path of ['/var/log/dpkg.log', '/var/log/syslog', '/var/log/alternatives.log']) {
    if (!existsSync(path)) continue;
    const lines = readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    if (lines.length > 0) return lines;
  }
  return ['2026-11-20 14:00:00 status installed nothing:amd64 0.1-1', 'ünïcödé \t and "quotes"', '   '];
}

type Summary = { readonly lines: number; readonly rotations: number; readonly removals: number; readonly ends: number };

class Run {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'spillway-file-tail-'));
  readonly #random = new SeededRandom(seed);
  readonly #real = realLines();
  readonly #written = new Set<string>();
  /** How often each line is in the output, repeats by fingerprint and offset left out. */
  readonly #seen = new Map<string, number>();
  readonly #places = new Set<string>();
  #outputEnd = 0;
  #rotations = 0;
  #removals = 0;
  #ends = 0;

  async run(): Promise<Summary> {
    const pipeline = new SpillwayProcess({ folder: this.folder, healthPort: await freePort(), config: this.#config() });
    pipeline.start();
    await pipeline.until(({ state }) => state === 'running');
    for (let round = 0; round < rounds; round++) {
      this.#append();
      // What is not read yet is the point: nothing waits for the pipeline here.
      await new Promise((resolve) => setTimeout(resolve, this.#random.int(60)));
      const draw = this.#random.fraction();
      if (draw < 0.3) this.#rotate(draw < 0.15 ? 'rename' : 'copy');
      else if (draw < 0.45) await this.#restart(pipeline, draw < 0.4 ? 'kill' : 'stop');
    }
    await this.#untilComplete(pipeline);
    expect(await pipeline.stop()).toBe(0);
    return { lines: this.#written.size, rotations: this.#rotations, removals: this.#removals, ends: this.#ends };
  }

  end(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #log(): string {
    return join(this.folder, 'app.log');
  }

  #config(): string {
    return `
data_dir: data
sources:
  log:
    type: file
    include: ["${this.folder}/app.log*"]
    glob_minimum_cooldown_ms: 20
    rotate_wait_secs: 2
sinks:
  out:
    type: file
    inputs: [log]
    path: ${this.folder}/out.jsonl
    encoding: { codec: otlp_json }
    buffer: { type: disk, max_size: 64MiB, durability: sync }
`;
  }

  #append(): void {
    const count = this.#random.between(linesPerRound.min, linesPerRound.max);
    const lines: string[] = [];
    for (let index = 0; index < count; index++) {
      // The number makes lines different that the machine wrote twice, and the first of each file unlike all others.
      const line = `${this.#real[this.#written.size % this.#real.length]} #${this.#written.size}`;
      this.#written.add(line);
      lines.push(`${line}\n`);
    }
    appendFileSync(this.#log, lines.join(''));
  }

  #rotate(how: 'rename' | 'copy'): void {
    if (!existsSync(this.#log)) return;
    this.#rotations += 1;
    let files = 0;
    while (existsSync(`${this.#log}.${files + 1}`)) files += 1;
    for (; files >= keptFiles && this.#isInOutput(`${this.#log}.${files}`); files--) {
      rmSync(`${this.#log}.${files}`);
      this.#removals += 1;
    }
    for (let number = files; number >= 1; number--) renameSync(`${this.#log}.${number}`, `${this.#log}.${number + 1}`);
    if (how === 'rename') {
      renameSync(this.#log, `${this.#log}.1`);
    } else {
      copyFileSync(this.#log, `${this.#log}.1`);
      truncateSync(this.#log, 0);
    }
  }

  async #restart(pipeline: SpillwayProcess, how: 'kill' | 'stop'): Promise<void> {
    this.#ends += 1;
    if (how === 'kill') await pipeline.kill();
    else expect(await pipeline.stop()).toBe(0);
    if (this.#random.chance(0.5)) {
      this.#append(); // Something happens while nobody looks.
      this.#rotate(this.#random.chance(0.5) ? 'rename' : 'copy');
    }
    pipeline.start();
    await pipeline.until(({ state }) => state === 'running');
  }

  /** Resolves once every line is there; otherwise says what is missing, as an error. */
  async #untilComplete(pipeline: SpillwayProcess): Promise<void> {
    const started = performance.now();
    for (;;) {
      this.#readOutput();
      const missing = [...this.#written].filter((line) => !this.#seen.has(line));
      if (missing.length === 0) {
        expect([...this.#seen].filter(([line, count]) => count > 1 || !this.#written.has(line))).toEqual([]);
        return;
      }
      if (performance.now() - started > 20_000) {
        throw new Error(`${missing.length} lines are missing, the first: ${missing[0]}\n${pipeline.log.slice(-3_000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  #isInOutput(path: string): boolean {
    this.#readOutput();
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines.every((line) => line === '' || this.#seen.has(line));
  }

  /** Reads the whole lines that have come to the output since. What a kill has torn, the next life cuts off. */
  #readOutput(): void {
    const path = join(this.folder, 'out.jsonl');
    const bytes = existsSync(path) ? readFileSync(path).subarray(this.#outputEnd) : Buffer.alloc(0);
    const end = bytes.lastIndexOf('\n') + 1;
    this.#outputEnd += end;
    for (const request of bytes.toString('utf8', 0, end).split('\n')) {
      for (const { body, place } of request === '' ? [] : recordsOf(request)) {
        if (this.#places.has(place)) continue;
        this.#places.add(place);
        this.#seen.set(body, (this.#seen.get(body) ?? 0) + 1);
      }
    }
  }
}

type Attribute = {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string };
};
type LogsJson = {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly {
        readonly body: { readonly stringValue: string };
        readonly attributes: readonly Attribute[];
      }[];
    }[];
  }[];
};

function recordsOf(request: string): { readonly body: string; readonly place: string }[] {
  const { resourceLogs } = JSON.parse(request) as LogsJson;
  const records = resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords));
  return records.map(({ body, attributes }) => {
    const attributeOf = (wanted: string): string => {
      const value = attributes.find(({ key }) => key === wanted)?.value;
      return String(value?.stringValue ?? value?.intValue);
    };
    const place = `${attributeOf('spillway.file.fingerprint')} ${attributeOf('spillway.file.offset')}`;
    return { body: body.stringValue, place };
  });
}

test(name, { timeout: timeoutMs }, async () => {
  const run = new Run();
  try {
    const summary = await repeatable({ file, name, seed }, () => run.run());
    expect(summary.rotations).toBeGreaterThan(rounds / 8);
    expect(summary.removals).toBeGreaterThan(rounds / 20);
    expect(summary.ends).toBeGreaterThan(rounds / 20);
    expect(summary.lines).toBeGreaterThan(rounds * 20);
  } finally {
    run.end();
  }
});
