// `spillway run` in a process of its own, for tests: started from a config text, asked for its status, killed, stopped.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PipelineStatus } from '../src/pipeline/contract/status.ts';
import { beforeExit } from './exit-cleanup.ts';

const program = join(import.meta.dirname, '..', 'src', 'cli', 'main.ts');
/** A start takes half the time where an earlier process, which was not killed, has left its compiled sources. */
const compiled = join(import.meta.dirname, '..', '.cache', 'compiled');
const pollMs = 20;
/** A process that stands still has no status. */
const statusTimeoutMs = 10_000;

export interface SpillwayProcessOptions {
  /** Holds the config and, by default, the data. */
  readonly folder: string;
  /** YAML without `health`, which is added. */
  readonly config: string;
  readonly healthPort: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Patience {
  readonly what?: string;
  readonly patienceMs?: number;
}

export class SpillwayProcess {
  readonly #options: SpillwayProcessOptions;
  readonly #config: string;
  #child: ChildProcess | undefined;
  #log = '';

  constructor(options: SpillwayProcessOptions) {
    this.#options = options;
    this.#config = join(options.folder, 'pipeline.yaml');
    writeFileSync(this.#config, `health: { address: "127.0.0.1:${options.healthPort}" }\n${options.config}`);
  }

  /** What all lives have logged, for the message of a failure. */
  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  start(...args: readonly string[]): void {
    const all = ['--conditions=spillway-source', program, 'run', this.#config, '--log-format', 'json', ...args];
    const child = spawn(process.execPath, all, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE: compiled, ...this.#options.env },
    });
    this.#child = child;
    child.once(
      'exit',
      beforeExit(() => child.kill('SIGKILL')),
    );
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-100_000);
      });
    }
  }

  async kill(): Promise<void> {
    if (!this.isRunning) throw new Error(`there is nothing to kill any more:\n${this.#log}`);
    this.#child?.kill('SIGKILL');
    await this.exited();
  }

  /** Sends a signal and resolves with the exit code. */
  async stop(signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<number | null> {
    this.signal(signal);
    return await this.exited();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async exited(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    if (this.isRunning) await once(child, 'exit');
    return child.exitCode;
  }

  /** Undefined while nobody answers. */
  async status(): Promise<PipelineStatus | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#options.healthPort}/status`, {
        signal: AbortSignal.timeout(statusTimeoutMs),
      });
      return (await answer.json()) as PipelineStatus;
    } catch {
      return undefined;
    }
  }

  /**
   * Resolves with the first status for which this holds. Rejects when the process ends before that, or when it is not
   * so in time.
   */
  async until(
    holds: (status: PipelineStatus) => boolean,
    { what = 'what was waited for', patienceMs = Number.POSITIVE_INFINITY }: Patience = {},
  ): Promise<PipelineStatus> {
    const deadlineMs = performance.now() + patienceMs;
    for (;;) {
      const status = await this.status();
      if (status !== undefined && holds(status)) return status;
      if (!this.isRunning) throw new Error(`the pipeline has ended (${this.#child?.exitCode}):\n${this.#log}`);
      if (performance.now() > deadlineMs) {
        throw new Error(`not so after ${patienceMs} ms: ${what}. Its status:\n${JSON.stringify(status)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  /** Resident memory in bytes, by the kernel's word. */
  residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
  }
}
