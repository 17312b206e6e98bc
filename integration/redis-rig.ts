// A pipeline between a load of numbers and a Redis in a container, and what must be true of the stream afterwards.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskBuffer } from '../src/index.ts';
import { type StartedServer, startServer } from './containers.ts';
import { freePort } from './free-port.ts';
import { localImage } from './local-images.ts';
import { NumberLoad, numbersIn } from './number-load.ts';
import { PipelineProcess } from './pipeline-process.ts';
import { RedisClient } from './redis-client.ts';

const stream = 'numbers';
/** Far beyond what anything here takes on a busy machine. */
const patienceMs = 60_000;

/** `appendfsync always`: what Redis has confirmed it finds again after a kill, which is its part of the promise. */
export const durableRedis: readonly string[] = ['--appendonly', 'yes', '--appendfsync', 'always'];

export class RedisRig implements AsyncDisposable {
  readonly server: StartedServer;
  readonly pipeline: PipelineProcess;
  readonly load: NumberLoad;
  readonly #folder: string;
  #memoryBytesMax = 0;

  private constructor(server: StartedServer, folder: string, address: string) {
    this.server = server;
    this.#folder = folder;
    const config = join(folder, 'pipeline.yaml');
    writeFileSync(config, configOf({ address, redisPort: server.port }));
    this.pipeline = new PipelineProcess(config);
    this.pipeline.start();
    this.load = new NumberLoad(address, { intervalMs: 3 });
  }

  /** With a server of its own, unless there is one. */
  static async start(given?: StartedServer): Promise<RedisRig> {
    const image = localImage('redis');
    if (image === undefined) throw new Error('no image: see requirements.ts');
    const server = given ?? (await startServer({ image, port: 6379, command: durableRedis }));
    const folder = mkdtempSync(join(tmpdir(), 'spillway-redis-'));
    return new RedisRig(server, folder, `127.0.0.1:${await freePort()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.load.stop();
    await this.pipeline.kill().catch(() => undefined);
    await this.server[Symbol.asyncDispose](); // Nothing is left to do the second time.
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The most memory that was seen while something was waited for. */
  get memoryBytesMax(): number {
    return this.#memoryBytesMax;
  }

  /** Waits until the pipeline has taken so many numbers more. */
  async accepts(count: number): Promise<void> {
    const goal = this.load.accepted.length + count;
    await this.#until(`accepted ${count} more numbers`, async () => this.load.accepted.length >= goal);
  }

  /** Waits until everything that is accepted now has arrived. Gives the time it took. */
  async delivers(): Promise<number> {
    const goal = this.load.accepted.at(-1) ?? 0;
    const startedMs = performance.now();
    await this.#until(`the stream holds number ${goal}`, async () => (await this.#lastNumber()) >= goal);
    return performance.now() - startedMs;
  }

  /** Kills the pipeline with SIGKILL and starts it again. */
  async killPipeline(): Promise<void> {
    await this.pipeline.kill();
    this.pipeline.start();
  }

  /** All numbers in the stream, in the stream's order. */
  async numbers(): Promise<number[]> {
    const entries = await RedisClient.entries(this.server.port, stream);
    return entries.flatMap(({ data }) => numbersIn(data));
  }

  /** Events that the buffer still has for the sink. The pipeline must have ended. */
  async backlogEvents(): Promise<number> {
    const path = join(this.#folder, 'data', 'buffers', 'archive');
    await using buffer = await DiskBuffer.open({ path, cursors: ['archive'], maxBytes: 64 * 1024 * 1024 });
    return buffer.stats().backlog.events;
  }

  async #lastNumber(): Promise<number> {
    const last = await RedisClient.lastEntry(this.server.port, stream);
    return numbersIn(last?.data ?? '').at(-1) ?? 0;
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + patienceMs;
    while (!(await isSo())) {
      this.#memoryBytesMax = Math.max(this.#memoryBytesMax, this.pipeline.memoryBytes());
      if (performance.now() > deadlineMs)
        throw new Error(`not so after a minute: ${what}. It said:\n${this.pipeline.said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function configOf({ address, redisPort }: { readonly address: string; readonly redisPort: number }): string {
  return `
data_dir: ./data
sources:
  numbers: { type: otlp, address: '${address}' }
sinks:
  archive:
    type: redis
    inputs: [numbers]
    url: redis://127.0.0.1:${redisPort}
    stream: ${stream}
    connect_timeout_secs: 1
    buffer: { type: disk, max_size: 64MiB }
    request: { timeout_secs: 2, retry_initial_backoff_secs: 0.05, retry_max_duration_secs: 0.5 }
`;
}
