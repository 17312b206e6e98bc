// The test's side of programs/load.ts: starts it, hears what it reports, and ends it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadOptions } from './programs/load.ts';

export class LoadProcess {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #lines: string[] = [];
  #partial = '';
  #errors = '';
  #bytes = 0;
  #heard: () => void = () => undefined;

  constructor(options: LoadOptions) {
    const program = join(import.meta.dirname, 'programs', 'load.ts');
    this.#child = spawn(process.execPath, ['--conditions=spillway-source', program, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#closed = once(this.#child, 'close');
    // A test that fails or runs out of time must not leave a process behind that goes on for ever.
    const end = (): boolean => this.#child.kill('SIGKILL');
    process.once('exit', end);
    this.#child.once('exit', () => process.off('exit', end));
    this.#child.stdout?.setEncoding('latin1').on('data', (chunk: string) => this.#hear(chunk));
    this.#child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#errors += chunk;
    });
  }

  /** Everything it has reported, a half line at the end left out. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** How many bytes of reports have arrived. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when `isIt` holds, which is asked after every piece of report, or when the process has ended. */
  async until(isIt: (process: LoadProcess) => boolean): Promise<void> {
    await Promise.race([
      new Promise<void>((resolve) => {
        this.#heard = () => {
          if (isIt(this)) resolve();
        };
        this.#heard();
      }),
      this.#closed,
    ]);
  }

  /** Kills it, and resolves when it is gone and all that it had reported has arrived. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone();
    const wasKilled = this.#child.signalCode === 'SIGKILL';
    if (!wasKilled && this.#child.exitCode !== 0) throw new Error(this.#errors || `exit code ${this.#child.exitCode}`);
  }

  /** Resolves when it has ended by itself. Rejects with what it printed if that was with an error. */
  async end(): Promise<void> {
    await this.#gone();
    if (this.#child.exitCode !== 0) throw new Error(this.#errors || `ended by ${this.#child.signalCode}`);
  }

  /** Stops it between two instructions: when this resolves no thread of it is inside a system call. */
  async freeze(): Promise<void> {
    this.#child.kill('SIGSTOP');
    // A sync that is under way ends first; its thread stops on the way out.
    while (this.#child.exitCode === null && !this.#isFrozen()) await new Promise((resolve) => setImmediate(resolve));
  }

  #isFrozen(): boolean {
    const tasks = `/proc/${this.#child.pid}/task`;
    return readdirSync(tasks).every((task) => {
      const stat = readFileSync(join(tasks, task, 'stat'), 'latin1');
      return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
    });
  }

  async #gone(): Promise<void> {
    await this.#closed;
    this.#heard();
  }

  #hear(chunk: string): void {
    this.#bytes += chunk.length;
    const parts = (this.#partial + chunk).split('\n');
    this.#partial = parts.pop() ?? '';
    this.#lines.push(...parts);
    this.#heard();
  }
}
