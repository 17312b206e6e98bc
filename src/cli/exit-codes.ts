// What the exit code of `spillway` says, and which error leads to which. docs/cli.md lists them.

import type { SpillwayError } from '../base/errors.ts';

export const exitCodes = {
  done: 0,
  /** A bug of ours, or of a plugin. */
  unexpected: 1,
  /** The config or the command line is wrong: nothing was started. */
  config: 2,
  /** The operating system says no, the directory is held, or it was written by a newer version. */
  storage: 3,
  /** `verify` found damage. */
  damaged: 4,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const codeOfFamily: Readonly<Record<string, ExitCode>> = {
  CONFIG: exitCodes.config,
  PLUGIN: exitCodes.config,
  USAGE: exitCodes.config,
  STORAGE: exitCodes.storage,
  FORMAT: exitCodes.storage,
  DAMAGE: exitCodes.damaged,
};

/** By code, not by class: an error may come from a plugin with another copy of this package. */
export function exitCodeOf(cause: unknown): ExitCode {
  if (!isSpillwayError(cause)) return exitCodes.unexpected;
  return codeOfFamily[cause.code.split('_')[1] ?? ''] ?? exitCodes.unexpected;
}

export function isSpillwayError(cause: unknown): cause is SpillwayError {
  return cause instanceof Error && 'code' in cause && String(cause.code).startsWith('SPILLWAY_');
}
