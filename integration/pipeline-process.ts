// `spillway run` in a process of its own, which can be killed and started again.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const program = join(import.meta.dirname, '../src/cli/main.ts');
/** The end of what it said is enough to see why it ended. */
const saidMax = 20_000;

export class PipelineProcess {
  readonly #config: string;
  #child: ChildProcess | undefined;
  #closed: Promise<unknown> = Promise.resolve();
  #said = '';

  /** `config` is the path of the config file. */
  constructor(config: string) {
    this.#config = config;
  }

  /** What it last wrote to its log. */
  get said(): string {
    return this.#said;
  }

  start(): void {
    const args = ['--conditions=spillway-source', program, 'run', this.#config];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    this.#closed = once(child, 'close');
    const end = (): boolean => child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-saidMax);
    });
  }

  /** Rejects if it had ended by itself before. */
  async kill(): Promise<void> {
    const child = this.#child;
    child?.kill('SIGKILL');
    await this.#closed;
    if (child?.signalCode !== 'SIGKILL') throw new Error(`ended by itself, code ${child?.exitCode}:\n${this.#said}`);
  }

  /** Asks it to end, and gives its exit code. */
  async stop(): Promise<number | null | undefined> {
    this.#child?.kill('SIGTERM');
    await this.#closed;
    return this.#child?.exitCode;
  }

  /** Waits until it ends by itself, and gives its exit code. */
  async ended(): Promise<number | null | undefined> {
    await this.#closed;
    return this.#child?.exitCode;
  }

  /** Resident memory in bytes. Throws with what it said if it has ended by itself. */
  memoryBytes(): number {
    const { exitCode } = this.#child ?? {};
    if (exitCode !== null) throw new Error(`ended by itself, code ${exitCode}:\n${this.#said}`);
    const status = readFileSync(`/proc/${this.#child?.pid}/status`, 'latin1');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }
}
