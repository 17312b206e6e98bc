// The pipeline, in a process of its own: `spillway run pipeline.yaml`. It can be killed like any other.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { inspectBuffer } from 'spillway';

/** The parts of the pipeline's `/status` that are shown. */
export interface PipelineView {
  readonly accepted: number;
  readonly delivered: number;
  readonly usedBytes: number;
  readonly maxBytes: number;
  readonly sink: string;
}

type Status = {
  readonly sources: readonly { readonly accepted: { readonly events: number } }[];
  readonly buffers: readonly { readonly usedBytes: number; readonly maxBytes: number }[];
  readonly sinks: readonly { readonly state: string; readonly delivered: { readonly events: number } }[];
};

const program = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const config = new URL('./pipeline.yaml', import.meta.url).pathname;

export class PipelineProcess {
  readonly bufferDirectory: string;
  readonly #dataDir: string;
  readonly #receiver: string;
  readonly #rate: number;
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  #healthPort = 0;
  #kills = 0;

  constructor(options: { readonly dataDir: string; readonly receiver: string; readonly rate: number }) {
    this.#dataDir = options.dataDir;
    this.#receiver = options.receiver;
    this.#rate = options.rate;
    this.bufferDirectory = join(options.dataDir, 'buffers', 'collector');
    this.#log = createWriteStream(join(options.dataDir, 'pipeline.log'), { flags: 'a' });
  }

  get kills(): number {
    return this.#kills;
  }

  async start(): Promise<void> {
    this.#healthPort ||= await freePort();
    this.#child = this.#spawn();
  }

  /** SIGKILL: no goodbye, no last write. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    this.#kills += 1;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Stops what takes in, then delivers everything that is still on disk. */
  async drain(signal: AbortSignal): Promise<void> {
    await this.end();
    const child = this.#spawn('--drain');
    this.#child = child;
    const giveUp = (): boolean => child.kill('SIGTERM');
    signal.addEventListener('abort', giveUp, { once: true });
    await once(child, 'exit');
    signal.removeEventListener('abort', giveUp);
  }

  async end(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  /** What the running pipeline says of itself; undefined while it does not answer. */
  async view(): Promise<PipelineView | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#healthPort}/status`, { signal: AbortSignal.timeout(500) });
      const { sources, buffers, sinks } = (await answer.json()) as Status;
      return {
        accepted: sources[0]?.accepted.events ?? 0,
        delivered: sinks[0]?.delivered.events ?? 0,
        usedBytes: buffers[0]?.usedBytes ?? 0,
        maxBytes: buffers[0]?.maxBytes ?? 1,
        sink: sinks[0]?.state ?? 'starting',
      };
    } catch {
      return undefined;
    }
  }

  /** What is on disk, read from the files beside whoever writes them: how many events ever, how many wait, how old. */
  async onDisk(): Promise<{ readonly sent: number; readonly waiting: number; readonly oldestMs: number | undefined }> {
    try {
      const { nextId, cursors } = await inspectBuffer({ path: this.bufferDirectory });
      // Ids count events from 1, and none is given twice: this many were ever taken.
      const cursor = cursors.find(({ name }) => name === 'collector');
      return { sent: nextId - 1, waiting: cursor?.backlog.events ?? 0, oldestMs: cursor?.oldestMs };
    } catch {
      return { sent: 0, waiting: 0, oldestMs: undefined }; // Not there yet.
    }
  }

  #spawn(...options: readonly string[]): ChildProcess {
    const args = ['--conditions=spillway-source', program, 'run', config, '--log-format', 'text', ...options];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...process.env,
        DATA_DIR: this.#dataDir,
        RECEIVER: this.#receiver,
        RATE: String(this.#rate),
        HEALTH: `127.0.0.1:${this.#healthPort}`,
      },
    });
    child.stderr.pipe(this.#log, { end: false });
    return child;
  }
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
