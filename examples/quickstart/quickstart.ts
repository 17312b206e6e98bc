// npm start: telemetry flows through a buffer on disk, and you break things.
//
//   s   takes the sink away, and brings it back
//   k   kills the pipeline with SIGKILL, and starts it again
//   q   stops, delivers what is still on disk, counts, and ends
//
// After ten seconds without a key it plays all of it by itself. The figures at the end are counted: what was sent, by
// the ids in the buffer's files; what was received, by the numbers that the events carry. The exit code is 1 if they
// differ.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { PipelineProcess, type PipelineView } from './pipeline-process.ts';
import { Receiver } from './receiver.ts';
import { count, type Picture, Screen } from './screen.ts';

const usage = `usage: npm start -- [--rate <n>] [--pace <n>] [--in <folder>] [--keep]

  --rate <n>      events a second (default 2000)
  --pace <n>      how fast it plays by itself: 2 is twice as fast (default 1: about 40 seconds)
  --in <folder>   make the data directory in this folder (default: the one for temporary files)
  --keep          leave the data directory behind: buffer, log of the pipeline
`;

type Options = { readonly rate: number; readonly pace: number; readonly folder: string; readonly keep: boolean };
type Step = { readonly atMs: number; readonly what: string; readonly act: () => Promise<void> };

const idleMs = 10_000;
const refreshMs = 200;
const drainMsMax = 60_000;

class Quickstart {
  readonly #options: Options;
  readonly #screen: Screen;
  readonly #receiver = new Receiver();
  readonly #dataDir: string;
  #pipeline: PipelineProcess | undefined;
  #view: PipelineView | undefined;
  #rates = { at: 0, accepted: 0, delivered: 0, in: 0, out: 0 };
  #state = 'starting';
  #script: readonly Step[] = [];
  #startedMs = 0;
  #lastKeyMs = Number.NEGATIVE_INFINITY;
  #shownMs = Number.NEGATIVE_INFINITY;
  #busy: Promise<void> = Promise.resolve();
  #isEnding = false;

  constructor(options: Options, screen: Screen) {
    this.#options = options;
    this.#screen = screen;
    mkdirSync(options.folder, { recursive: true });
    this.#dataDir = mkdtempSync(join(options.folder, 'spillway-quickstart-'));
  }

  /** Resolves with whether everything that was sent was received. */
  async run(): Promise<boolean> {
    try {
      await this.#receiver.comeBack();
      const { rate } = this.#options;
      const pipeline = new PipelineProcess({ dataDir: this.#dataDir, receiver: this.#receiver.url, rate });
      this.#pipeline = pipeline;
      await pipeline.start();
      this.#screen.say(`Telemetry -> a buffer on disk (${pipeline.bufferDirectory}) -> an OTLP receiver`);
      this.#startedMs = performance.now();
      this.#listen();
      while (!this.#isEnding) await this.#tick(pipeline);
      return await this.#finish(pipeline);
    } finally {
      await this.#close();
    }
  }

  /** What a key asks for; one thing at a time. */
  press(key: string): void {
    this.#lastKeyMs = performance.now();
    this.#script = [];
    this.#busy = this.#busy.then(() => this.#act(key));
  }

  async #act(key: string): Promise<void> {
    if (key === 's') await (this.#receiver.isThere ? this.#receiver.goAway() : this.#receiver.comeBack());
    if (key === 'k') await this.#killAndStart();
    if (key === 'q' || key === '\u0003') this.#isEnding = true;
  }

  async #killAndStart(): Promise<void> {
    this.#state = 'killed';
    await this.#pipeline?.kill();
    await this.#pipeline?.start();
  }

  #listen(): void {
    process.once('SIGINT', () => this.press('q'));
    process.once('SIGTERM', () => this.press('q'));
    if (!process.stdin.isTTY || !this.#screen.isLive) return;
    process.stdin.setRawMode(true);
    process.stdin.setEncoding('utf8').on('data', (keys: string) => {
      for (const key of keys) this.press(key);
    });
  }

  async #tick(pipeline: PipelineProcess): Promise<void> {
    await new Promise((done) => setTimeout(done, refreshMs / Math.max(1, this.#options.pace)));
    await this.#play();
    this.#takeView(await pipeline.view());
    const now = performance.now();
    if (!this.#screen.isLive && now - this.#shownMs < 1_000) return;
    this.#shownMs = now;
    this.#screen.show(await this.#picture(pipeline));
  }

  #takeView(view: PipelineView | undefined): void {
    if (view !== undefined) this.#state = 'running';
    else if (this.#state === 'running') this.#state = 'not answering';
    const now = performance.now();
    const sinceS = (now - this.#rates.at) / 1000;
    if (view === undefined) this.#rates = { at: now, accepted: 0, delivered: 0, in: 0, out: 0 };
    else if (sinceS >= 1) {
      const { accepted, delivered } = view;
      const isSameLife = accepted >= this.#rates.accepted && delivered >= this.#rates.delivered;
      const per = (value: number, before: number): number => (isSameLife ? (value - before) / sinceS : 0);
      const rates = { in: per(accepted, this.#rates.accepted), out: per(delivered, this.#rates.delivered) };
      this.#rates = { at: now, accepted, delivered, ...rates };
    }
    this.#view = view ?? this.#view;
  }

  async #picture(pipeline: PipelineProcess): Promise<Picture> {
    const { sent, waiting, oldestMs } = await pipeline.onDisk();
    const { received, repeated } = this.#receiver.tally;
    const sink = this.#receiver.isThere ? (this.#view?.sink ?? 'starting') : `away (${this.#view?.sink ?? 'starting'})`;
    return {
      inPerSecond: this.#rates.in,
      outPerSecond: this.#rates.out,
      usedBytes: this.#view?.usedBytes ?? 0,
      maxBytes: this.#view?.maxBytes ?? 1,
      waiting,
      oldestAgeMs: oldestMs === undefined ? undefined : Date.now() - oldestMs,
      sink,
      pipeline: this.#state,
      sent: Math.max(sent, received),
      received,
      repeated,
      outages: this.#receiver.outages,
      kills: pipeline.kills,
      hint: this.#hint(),
    };
  }

  #hint(): string {
    const keys = 's: sink away and back   k: kill -9 and start again   q: end and count';
    const [next] = this.#script;
    if (next !== undefined)
      return `it plays by itself: ${next.what} in ${Math.max(0, this.#leftS(next)).toFixed(0)} s; ${keys}`;
    return keys;
  }

  // Playing by itself.

  async #play(): Promise<void> {
    const now = performance.now();
    const { pace } = this.#options;
    if (this.#script.length === 0) {
      const quietSince = Math.max(this.#startedMs, this.#lastKeyMs);
      if (now - quietSince < idleMs / pace) return;
      this.#script = this.#writeScript(now);
    }
    const [next] = this.#script;
    if (next === undefined || now < next.atMs) return;
    this.#script = this.#script.slice(1);
    this.#busy = this.#busy.then(next.act);
    await this.#busy;
  }

  #writeScript(now: number): readonly Step[] {
    const at = (seconds: number): number => now + (seconds * 1000) / this.#options.pace;
    const receiver = this.#receiver;
    return [
      { atMs: at(0), what: 'the sink goes away', act: () => receiver.goAway() },
      { atMs: at(9), what: 'the pipeline is killed', act: () => this.#killAndStart() },
      { atMs: at(16), what: 'the sink comes back', act: () => receiver.comeBack() },
      { atMs: at(23), what: 'the pipeline is killed again, under way', act: () => this.#killAndStart() },
      { atMs: at(30), what: 'the end', act: () => this.#act('q') },
    ];
  }

  #leftS({ atMs }: Step): number {
    return (atMs - performance.now()) / 1000;
  }

  // The end.

  async #finish(pipeline: PipelineProcess): Promise<boolean> {
    await this.#busy;
    await this.#receiver.comeBack();
    this.#screen.say('\nStopping the source, and delivering what is still on disk ...');
    await pipeline.drain(AbortSignal.timeout(drainMsMax));
    const { sent, waiting } = await pipeline.onDisk();
    const { received, repeated } = this.#receiver.tally;
    const lost = Math.max(0, sent - waiting - received);
    if (waiting > 0) this.#screen.say(`${count(waiting)} are still on disk: the receiver did not take them in time`);
    this.#screen.say(
      `sent ${sent}  received ${received}  lost ${lost}  repeated ${repeated}  ` +
        `outages ${this.#receiver.outages}  kills ${pipeline.kills}`,
    );
    return sent > 0 && lost === 0 && received === sent;
  }

  async #close(): Promise<void> {
    if (process.stdin.isTTY && this.#screen.isLive) process.stdin.setRawMode(false);
    process.stdin.pause();
    await this.#pipeline?.end();
    await this.#receiver.end();
    if (this.#options.keep) this.#screen.say(`Left behind: ${this.#dataDir}`);
    else rmSync(this.#dataDir, { recursive: true, force: true });
  }
}

function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rate: { type: 'string', default: '2000' },
      pace: { type: 'string', default: '1' },
      in: { type: 'string', default: tmpdir() },
      keep: { type: 'boolean', default: false },
    },
  });
  const positive = (name: string, text: string, max: number): number => {
    const value = Number(text);
    if (value > 0 && value <= max) return value;
    throw new Error(`--${name} ${text}: expected a number above 0, at most ${max}`);
  };
  const rate = positive('rate', values.rate, 100_000);
  return { rate, pace: positive('pace', values.pace, 20), folder: resolve(values.in), keep: values.keep };
}

let options: Options;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exit(2);
}
const quickstart = new Quickstart(options, new Screen(process.stdout, process.env));
process.exitCode = (await quickstart.run()) ? 0 : 1;
