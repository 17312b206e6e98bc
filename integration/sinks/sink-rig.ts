// A steady load of numbers, a pipeline in a process of its own with a disk buffer, and a server behind it.
//
// Progress is read from the pipeline's own status: what it has accepted in this life, less its backlog, is how far the
// sink has come. That number starts below zero where an earlier life has left something, and reaches what was accepted
// at some moment when everything accepted until then has been acknowledged by the server.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DiskBuffer } from '../../src/index.ts';
import type { PipelineStatus, SinkStatus } from '../../src/pipeline/contract/status.ts';
import { freePort } from '../free-port.ts';
import { NumberLoad } from '../number-load.ts';
import { SpillwayProcess } from '../spillway-process.ts';
import { MemoryWatch } from './memory-watch.ts';
import type { StartedSubject } from './sink-subject.ts';
import { judge, type SinkVerdict } from './sink-verdict.ts';

/** Its sink, and the buffer of that. */
const id = 'server';
/** Far beyond what anything here takes on a busy machine. */
const patienceMs = 60_000;
/** About a thousand events a second: a steady load, and little work for the two processors of a usual test machine. */
const intervalMs = 10;
/** A kill waits so long for a batch to be at the sink. */
const batchPatienceMs = 500;

export class SinkRig implements AsyncDisposable {
  readonly subject: StartedSubject;
  readonly pipeline: SpillwayProcess;
  readonly load: NumberLoad;
  readonly memory: MemoryWatch;
  /** Kills while a batch was at the sink, by its last status. */
  killsWithBatch = 0;
  readonly #folder: string;

  private constructor(
    subject: StartedSubject,
    folder: string,
    ports: { readonly source: number; readonly health: number },
  ) {
    this.subject = subject;
    this.#folder = folder;
    const address = `127.0.0.1:${ports.source}`;
    this.pipeline = new SpillwayProcess({ folder, config: configOf(subject.sink, address), healthPort: ports.health });
    this.pipeline.start();
    this.memory = new MemoryWatch(() => this.pipeline.residentBytes());
    this.load = new NumberLoad(address, { intervalMs });
  }

  /** The rig disposes of the subject, too. */
  static async start(subject: StartedSubject): Promise<SinkRig> {
    const ports = { source: await freePort(), health: await freePort() };
    return new SinkRig(subject, mkdtempSync(join(tmpdir(), 'spillway-sink-')), ports);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.memory[Symbol.dispose]();
    await this.load.stop();
    await this.pipeline.kill().catch(() => undefined); // It may have ended by itself.
    await this.subject[Symbol.asyncDispose](); // Where a test has done so itself, nothing is left to do.
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Waits until the pipeline has taken so many numbers more, and so many milliseconds have passed. */
  async accepts(count: number, { atLeastMs = 0 }: { readonly atLeastMs?: number } = {}): Promise<void> {
    const startedMs = performance.now();
    const goal = this.load.accepted.length + count;
    while (this.load.accepted.length < goal || performance.now() < startedMs + atLeastMs) {
      if (!this.pipeline.isRunning) throw new Error('the pipeline has ended by itself');
      if (performance.now() > startedMs + atLeastMs + patienceMs)
        throw new Error(`not accepted: ${count} more numbers`);
      await sleep(10);
    }
  }

  /**
   * Waits until the server has acknowledged everything that is accepted now. Gives the milliseconds it took, without
   * those of a process that only starts: how long that takes is the machine's affair.
   */
  async delivers(): Promise<number> {
    // The pipeline counts a number before it answers: what the load has counted by now is part of this.
    const { accepted } = await this.#until('it answers', () => true);
    const startedMs = performance.now();
    await this.#until(`acknowledged: ${accepted} of this life`, ({ done }) => done >= accepted);
    return performance.now() - startedMs;
  }

  /** The sink's part of the status. */
  async sink(): Promise<SinkStatus> {
    return (await this.#until('it answers', () => true)).sink;
  }

  /** Waits until the sink is in this state, for this reason: others may come before it. */
  async reaches(state: SinkStatus['state'], reason: RegExp = /(?:)/): Promise<SinkStatus> {
    const what = `the sink is ${state}, ${reason.source}`;
    return (await this.#until(what, ({ sink }) => sink.state === state && reason.test(sink.reason ?? ''))).sink;
  }

  /** Events in the buffer by the status of now. */
  async backlog(): Promise<number> {
    return (await this.#until('it answers', () => true)).backlog;
  }

  /** Kills the pipeline with SIGKILL, if it can be with a batch at the sink, and starts it again. */
  async killPipeline(): Promise<void> {
    const deadlineMs = performance.now() + batchPatienceMs;
    for (let inFlight = 0; inFlight === 0 && performance.now() < deadlineMs; ) {
      inFlight = progressOf(await this.pipeline.status())?.sink.inFlight ?? 0;
      if (inFlight > 0) this.killsWithBatch += 1;
    }
    await this.pipeline.kill();
    this.memory.nextLife();
    this.pipeline.start();
  }

  /** Ends the load and, when everything has arrived, the pipeline. Gives its exit code. */
  async finishes(): Promise<number | null> {
    await this.load.stop();
    await this.#until('the backlog is empty', ({ backlog }) => backlog === 0);
    this.memory[Symbol.dispose]();
    return await this.pipeline.stop();
  }

  /** What the server holds, judged. The pipeline must have ended. */
  async verdict(): Promise<SinkVerdict> {
    const { accepted, sent } = this.load;
    return judge({ accepted, sent, found: await this.subject.numbers() });
  }

  /** Events that the buffer on the disk still has for the sink. The pipeline must have ended. */
  async storedEvents(): Promise<number> {
    const path = join(this.#folder, 'data', 'buffers', id);
    await using buffer = await DiskBuffer.open({ path, cursors: [id], maxBytes: bufferBytesMax });
    return buffer.stats().backlog.events;
  }

  async #until(what: string, holds: (progress: Progress) => boolean): Promise<Progress> {
    const status = await this.pipeline.until(
      (now) => {
        const progress = progressOf(now);
        return progress !== undefined && holds(progress);
      },
      { what, patienceMs },
    );
    return progressOf(status) as Progress;
  }
}

interface Progress {
  readonly accepted: number;
  readonly backlog: number;
  /** Of what this life has accepted; below zero as long as something of an earlier one is there. */
  readonly done: number;
  readonly sink: SinkStatus;
}

/** Undefined while the pipeline starts. */
function progressOf(status: PipelineStatus | undefined): Progress | undefined {
  const [source] = status?.sources ?? [];
  const [buffer] = status?.buffers ?? [];
  const [sink] = status?.sinks ?? [];
  if (status?.state !== 'running' || source === undefined || buffer === undefined || sink === undefined)
    return undefined;
  const accepted = source.accepted.events;
  const backlog = buffer.backlog.events;
  return { accepted, backlog, done: accepted - backlog, sink };
}

const bufferBytesMax = 64 * 1024 * 1024;

/** JSON is YAML. */
function configOf(sink: StartedSubject['sink'], address: string): string {
  const numbers = { type: 'otlp', address };
  const server = {
    ...sink,
    inputs: ['numbers'],
    buffer: { type: 'disk', max_size: bufferBytesMax, durability: 'sync' },
    request: { timeout_secs: 2, retry_initial_backoff_secs: 0.05, retry_max_duration_secs: 0.5 },
  };
  return `data_dir: ./data\nsources: ${JSON.stringify({ numbers })}\nsinks: ${JSON.stringify({ [id]: server })}\n`;
}
