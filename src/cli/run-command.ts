// `spillway run CONFIG`: a pipeline until it is stopped, or until its input has ended and everything is delivered.

import { resolve } from 'node:path';
import { loadSettings } from '../pipeline/config/load-settings.ts';
import type { Log } from '../pipeline/contract/log.ts';
import { Pipeline } from '../pipeline/runtime/pipeline.ts';
import { exitCodes } from './exit-codes.ts';
import type { Invocation } from './invocation.ts';
import { createLog, type LogLevel } from './pino-log.ts';

export type LogFormat = 'auto' | 'json' | 'text';

export interface RunOptions {
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Start no source: deliver what the buffers hold, and end. */
  readonly drainsOnly: boolean;
}

/** What a shell shows of a process that died of the signal. */
const codeOfSignal: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 };

/** Resolves with the exit code. Rejects with what kept the pipeline from starting, or ended it. */
export async function run(config: string, options: RunOptions, invocation: Invocation): Promise<number> {
  const { terminal, world, env, workingDirectory } = invocation;
  const isText = options.logFormat === 'text' || (options.logFormat === 'auto' && terminal.err.isTerminal);
  const log = createLog({ level: options.logLevel, format: isText ? 'text' : 'json', output: terminal.err });
  const file = resolve(workingDirectory, config);
  const { settings: loaded, warnings } = await loadSettings({ file, env, files: world.files, plugins: 'load' });
  const settings = options.drainsOnly ? { ...loaded, sources: [] } : loaded;
  for (const { message, path } of warnings) log.warn(message, path === '' ? {} : { at: path });
  const requests = new StopRequests(invocation, log);
  try {
    const pipeline = await Pipeline.start(settings, { world, log });
    requests.give(pipeline);
    await pipeline.ended;
    return requests.hurriedBy === undefined ? exitCodes.done : (codeOfSignal[requests.hurriedBy] ?? exitCodes.done);
  } finally {
    requests.end();
  }
}

/** The first request ends the pipeline gracefully, the second at once. One that comes before it runs is kept. */
class StopRequests {
  /** The signal that ended a graceful stop. */
  hurriedBy: string | undefined;
  readonly end: () => void;
  readonly #log: Log;
  #count = 0;
  #pipeline: Pipeline | undefined;

  constructor({ onStopRequest }: Invocation, log: Log) {
    this.#log = log;
    this.end = onStopRequest((signal) => this.#take(signal));
  }

  give(pipeline: Pipeline): void {
    this.#pipeline = pipeline;
    if (this.#count > 0) void pipeline.stop();
  }

  #take(signal: string): void {
    this.#count += 1;
    this.#log.info(this.#count === 1 ? 'asked to end; ask again to end at once' : 'asked again: ending at once', {
      signal,
    });
    if (this.#count === 1) {
      void this.#pipeline?.stop();
    } else {
      this.hurriedBy ??= signal;
      void this.#pipeline?.abort();
    }
  }
}
