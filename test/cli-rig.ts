// A command line in the process of the test: what it writes is kept, and requests to end come from the test.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Invocation } from '../src/cli/invocation.ts';
import { runProgram } from '../src/cli/program.ts';
import { realWorld } from '../src/testing/index.ts';

export class CliRig {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'spillway-cli-'));
  readonly env: Record<string, string | undefined> = {};
  readonly alive: Set<number> = new Set();
  out = '';
  err = '';
  #listeners = new Set<(signal: string) => void>();
  #waiting: { readonly pattern: RegExp; readonly seen: () => void }[] = [];

  /** Resolves with the exit code. */
  run(...args: readonly string[]): Promise<number> {
    this.out = '';
    this.err = '';
    return runProgram(args, this.#invocation());
  }

  /** What the command printed, as JSON. */
  json<Value>(): Value {
    return JSON.parse(this.out) as Value;
  }

  signal(name: 'SIGINT' | 'SIGTERM'): void {
    for (const listener of [...this.#listeners]) listener(name);
  }

  /** Resolves when errors and logs have this in them. */
  async logged(pattern: RegExp): Promise<void> {
    if (pattern.test(this.err)) return;
    await new Promise<void>((seen) => this.#waiting.push({ pattern, seen }));
  }

  path(...names: readonly string[]): string {
    return join(this.folder, ...names);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #invocation(): Invocation {
    const write = (to: 'out' | 'err') => (text: string) => {
      this[to] += text;
      const seen = this.#waiting.filter(({ pattern }) => pattern.test(this.err));
      this.#waiting = this.#waiting.filter((each) => !seen.includes(each));
      for (const each of seen) each.seen();
    };
    const { signal: readerGone } = new AbortController();
    const output = (to: 'out' | 'err') => ({ write: write(to), isTerminal: false, readerGone, waitingBytes: 0 });
    return {
      terminal: { out: output('out'), err: output('err') },
      world: realWorld(),
      env: this.env,
      workingDirectory: this.folder,
      onStopRequest: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
      isAlive: (pid) => this.alive.has(pid),
    };
  }
}
