// npm start: a tour on the real disk, in about eight seconds.
//
//   1. a process of its own appends records, each durable before it is accepted
//   2. it is killed with SIGKILL, in the middle of everything
//   3. the buffer is opened again
//   4. everything not yet acknowledged is delivered, compared byte by byte, and acknowledged
//   5. what was promised and what came back is counted; the exit code is 1 if they differ
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { DiskBuffer } from 'spillway';
import { Account } from './account.ts';
import { payloadOf } from './records.ts';
import { type Progress, ReportReader } from './reports.ts';
import { count, mebibytes, milliseconds, Terminal } from './terminal.ts';

const usage = `usage: npm start -- [--seconds <n>] [--in <folder>] [--keep]

  --seconds <n>   how long the writer lives before it is killed (default 5)
  --in <folder>   make the buffer's directory in this folder (default: the one for temporary files)
  --keep          leave the directory behind
`;
const secondsMax = 60;

type Options = { readonly seconds: number; readonly folder: string; readonly keep: boolean };

function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '5' },
      in: { type: 'string', default: tmpdir() },
      keep: { type: 'boolean', default: false },
    },
  });
  const seconds = Number(values.seconds);
  if (!(seconds > 0 && seconds <= secondsMax)) {
    throw new Error(`--seconds ${values.seconds}: expected a number above 0, at most ${secondsMax}`);
  }
  return { seconds, folder: resolve(values.in), keep: values.keep };
}

type SecondLife = { readonly openMs: number; readonly deliverMs: number; readonly records: number };

class Tour {
  readonly #terminal: Terminal;
  readonly #options: Options;
  readonly #account = new Account();
  readonly #root: string;
  #writer: ChildProcess | undefined;

  constructor(options: Options, terminal: Terminal) {
    this.#options = options;
    this.#terminal = terminal;
    this.#root = mkdtempSync(join(options.folder, 'spillway-tour-'));
  }

  get #directory(): string {
    return join(this.#root, 'buffer');
  }

  /** Ends the writer and removes the directory, unless it is to be kept. */
  cleanUp(): void {
    this.#terminal.endProgress();
    this.#writer?.kill('SIGKILL');
    if (!this.#options.keep) rmSync(this.#root, { recursive: true, force: true });
  }

  /** Resolves with whether everything that was promised came back. */
  async run(): Promise<boolean> {
    const terminal = this.#terminal;
    terminal.print(`${terminal.bold('Spillway')}  a tour on the real disk`);
    terminal.print(terminal.faint(`Node ${process.versions.node}, directory ${this.#directory}`));
    terminal.print();
    const first = await this.#write();
    const second = await this.#reopen();
    return this.#conclude(first, second);
  }

  async #write(): Promise<Progress> {
    this.#step(1, 'write', '256 appends under way at any time; each is accepted once fdatasync has covered it');
    const program = join(import.meta.dirname, 'writer.ts');
    const writer = spawn(process.execPath, ['--conditions=spillway-source', program, this.#directory], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    this.#writer = writer;
    let errors = '';
    writer.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    let progress: Progress = { appended: 0, accepted: 0, payloadBytes: 0, diskBytes: 0, syncs: 0, elapsedMs: 0 };
    const reports = new ReportReader();
    (writer.stdio[3] as Readable).on('data', (chunk: Uint8Array) => {
      for (const report of reports.read(chunk)) {
        if (report.kind === 'accepted') this.#account.accepted(report.numbers);
        if (report.kind === 'delivered') this.#account.deliveredBeforeKill(report.numbers);
        if (report.kind === 'progress') {
          progress = report.progress;
          this.#showProgress(progress);
          // By its own clock: starting up does not count. Whatever it is doing at this moment, it does not finish.
          if (progress.elapsedMs >= this.#options.seconds * 1_000) writer.kill('SIGKILL');
        }
      }
    });
    await once(writer, 'close');
    if (writer.signalCode !== 'SIGKILL') throw new Error(`the writer ended by itself: ${errors.trim()}`);
    const underWay = count(progress.appended - progress.accepted);
    this.#step(2, 'kill', `SIGKILL to process ${writer.pid}, ${underWay} appends under way`);
    return progress;
  }

  #showProgress({ appended, accepted, diskBytes, syncs, elapsedMs }: Progress): void {
    const seconds = elapsedMs / 1_000;
    this.#terminal.progress(
      `   ${seconds.toFixed(1).padStart(4)} s ${count(appended).padStart(9)} appended ` +
        `${count(accepted).padStart(9)} durable ${mebibytes(diskBytes).padStart(9)} on disk ` +
        `${count(syncs / seconds).padStart(6)} commits/s`,
    );
  }

  async #reopen(): Promise<SecondLife> {
    const startedMs = performance.now();
    const buffer = await DiskBuffer.open({ path: this.#directory, lockTimeoutMs: 5_000 });
    const openMs = performance.now() - startedMs;
    const { epoch, backlog, disk } = buffer.stats();
    this.#step(3, 'reopen', `${milliseconds(openMs)}; epoch ${epoch}; ${mebibytes(disk.usedBytes)} on disk`);
    const deliverMs = await this.#deliver(buffer, backlog.events);
    await buffer.close();
    return { openMs, deliverMs, records: backlog.events };
  }

  async #deliver(buffer: DiskBuffer, backlog: number): Promise<number> {
    const startedMs = performance.now();
    this.#step(4, 'deliver', `${count(backlog)} records are not acknowledged; each is compared with what was written`);
    const cursor = buffer.cursor('default');
    const endId = buffer.stats().frontiers.reserved;
    let lastId = cursor.nextId - 1;
    for (let delivered = 0; lastId < endId - 1; ) {
      const delivery = await cursor.read();
      if (delivery === undefined) break;
      for (const { id, metadata: number, payload } of delivery.records) {
        if (id <= lastId) this.#account.complain(`record ${id} came after record ${lastId}`);
        if (Buffer.compare(payload, payloadOf(number)) !== 0)
          this.#account.complain(`record ${id} is not what was written`);
        else this.#account.deliveredAfterKill(number, id);
        lastId = id;
      }
      delivered += delivery.records.length;
      delivery.ack();
      this.#terminal.progress(`          ${count(delivered).padStart(9)} delivered, the same, acknowledged`);
      // A sink would do some work here; this one lets the terminal and an interrupt have their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return performance.now() - startedMs;
  }

  #conclude(progress: Progress, { openMs, deliverMs, records }: SecondLife): boolean {
    const terminal = this.#terminal;
    const sums = this.#account.sums();
    const { complaints } = this.#account;
    const rate = `${mebibytes(progress.payloadBytes / (progress.elapsedMs / 1_000))}/s of payload`;
    const perSecond = (amount: number, ms: number): string => `${count(amount / (ms / 1_000))} records/s`;
    terminal.print();
    terminal.table([
      { name: 'promised (accepted)', value: count(sums.accepted), remark: 'records, reported before the kill' },
      { name: 'delivered before', value: count(sums.deliveredBefore), remark: 'to the first consumer' },
      {
        name: 'delivered after',
        value: count(sums.deliveredAfter),
        remark: 'to the second one, byte by byte the same',
      },
      { name: 'lost', value: count(sums.lost), remark: 'accepted, and delivered to nobody' },
      { name: 'repeated', value: count(sums.repeated), remark: 'acknowledged just before the kill, same key again' },
      {
        name: 'not promised',
        value: count(sums.unpromised),
        remark: 'under way at the kill, and delivered all the same',
      },
    ]);
    terminal.print();
    terminal.table([
      {
        name: 'commit latency',
        value: milliseconds(this.#account.latencyMs(0.5)),
        remark: 'p50, from append to accepted',
      },
      { name: '', value: milliseconds(this.#account.latencyMs(0.99)), remark: 'p99' },
      { name: 'accepted', value: perSecond(sums.accepted, progress.elapsedMs), remark: rate },
      { name: 'open after the kill', value: milliseconds(openMs) },
      { name: 'delivered', value: perSecond(records, deliverMs), remark: 'compared and acknowledged' },
    ]);
    terminal.print();
    for (const complaint of complaints) terminal.print(terminal.bad(complaint));
    const isKept = sums.lost === 0 && complaints.length === 0;
    terminal.print(
      isKept
        ? terminal.good('Every promise was kept.')
        : terminal.bad(`${count(sums.lost)} accepted records are lost.`),
    );
    terminal.print(terminal.faint(`${this.#directory} ${this.#options.keep ? 'is kept' : 'is removed'}`));
    return isKept;
  }

  #step(number: number, name: string, what: string): void {
    this.#terminal.print(`${number}  ${this.#terminal.bold(name.padEnd(8))} ${what}`);
  }
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return 2;
  }
  const tour = new Tour(options, new Terminal(process.stdout, process.env));
  process.once('exit', () => tour.cleanUp());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
  return (await tour.run()) ? 0 : 1;
}

process.exitCode = await main();
