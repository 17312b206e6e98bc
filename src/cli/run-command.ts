// `spillway run CONFIG`: a pipeline until it is stopped, or until its input has ended and everything is delivered.

import { resolve } from 'node:path';
import { abortable } from '../base/abort.ts';
import { loadSettings } from '../pipeline/config/load-settings.ts';
import type { Log } from '../pipeline/contract/log.ts';
import type { PipelineSettings, SinkSettings } from '../pipeline/contract/settings.ts';
import { Pipeline, type PipelineStart } from '../pipeline/runtime/pipeline.ts';
import { printTargetOf } from '../pipeline/sinks/console/console-sink.ts';
import { type Environment, startOtlpExport } from '../pipeline/telemetry/otlp-export.ts';
import { within } from '../platform/pause.ts';
import { exitCodes } from './exit-codes.ts';
import type { Invocation } from './invocation.ts';
import { createLog, type LogLevel } from './pino-log.ts';
import type { Terminal } from './terminal.ts';

export type LogFormat = 'auto' | 'json' | 'text';

export interface RunOptions {
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Start no source: deliver what the buffers hold, and end. */
  readonly drainsOnly: boolean;
}

/** What a shell shows of a process that died of the signal. */
const codeOfSignal: Readonly<Record<string, number>> = { SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 };

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
  const { stopping, hurry } = requests;
  whenNobodyReads(settings.sinks, terminal, () => requests.giveUp());
  const start = startPipeline(settings, { world, log, stopping, hurry }, env);
  try {
    const pipeline = await abortable(start, hurry);
    const end = await pipeline.ended;
    // Who drains wants to know that nothing is left, and may remove the directory then.
    return options.drainsOnly && end === 'stopped' ? requests.codeOfFirst : requests.exitCode;
  } catch (cause) {
    if (!stopping.aborted || (cause !== stopping.reason && cause !== hurry.reason)) throw cause;
    // Asked twice before there was a pipeline: what it has opened by then is as safe as after a crash.
    await within(world.clock, lastMs, Promise.allSettled([start]));
    return options.drainsOnly ? requests.codeOfFirst : requests.exitCode;
  } finally {
    requests.end();
  }
}

async function startPipeline(
  settings: PipelineSettings,
  start: PipelineStart,
  environment: Environment,
): Promise<Pipeline> {
  const telemetry = await startOtlpExport({ telemetry: settings.telemetry, environment, log: start.log });
  return await Pipeline.start(settings, { ...start, telemetry });
}

/**
 * Where every sink prints, and whoever read that has gone, nothing can ever be delivered again: `spillway run | head`
 * ends. Where another sink is left the pipeline goes on, as it does when only the reader of its log has gone.
 */
function whenNobodyReads(sinks: readonly SinkSettings[], { out, err }: Terminal, act: () => void): void {
  const outputOf = { stdout: out, stderr: err };
  const readers = sinks.map((sink) => {
    const target = printTargetOf(sink);
    return target === undefined ? undefined : outputOf[target].readerGone;
  });
  const actWhenAll = (): void => {
    if (readers.every((gone) => gone?.aborted)) act();
  };
  for (const gone of new Set(readers)) gone?.addEventListener('abort', actWhenAll, { once: true });
}

/** How long a start that is to end at once is waited for. */
const lastMs = 1_000;

/** The first request ends the pipeline gracefully, the second at once; also one that is still being started. */
class StopRequests {
  readonly end: () => void;
  readonly #stopping = new AbortController();
  readonly #hurry = new AbortController();
  readonly #log: Log;
  #first: string | undefined;
  /** The signal that ended a graceful stop. */
  #hurriedBy: string | undefined;

  constructor({ onStopRequest }: Invocation, log: Log) {
    this.#log = log;
    this.end = onStopRequest((signal) => this.#take(signal));
  }

  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  get hurry(): AbortSignal {
    return this.#hurry.signal;
  }

  get exitCode(): number {
    return codeOfSignal[this.#hurriedBy ?? ''] ?? exitCodes.done;
  }

  /** For whom even a graceful stop is too early. */
  get codeOfFirst(): number {
    return codeOfSignal[this.#hurriedBy ?? this.#first ?? ''] ?? exitCodes.done;
  }

  /** There is nothing to wait for: ends at once. */
  giveUp(): void {
    this.#log.info('nobody reads what the sinks print: ending; what is not printed stays in the buffers');
    this.#first ??= 'SIGPIPE';
    this.#stopping.abort();
    this.#hurry.abort();
  }

  #take(signal: string): void {
    if (!this.#stopping.signal.aborted) {
      this.#log.info('asked to end; ask again to end at once', { signal });
      this.#first = signal;
      this.#stopping.abort();
    } else if (!this.#hurry.signal.aborted) {
      this.#log.info('asked again: ending at once', { signal });
      this.#hurriedBy = signal;
      this.#hurry.abort();
    }
  }
}
