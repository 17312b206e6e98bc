// What a command gets of the process that it runs in; tests give it another one.

import type { World } from '../pipeline/contract/world.ts';
import type { Terminal } from './terminal.ts';

export interface Invocation {
  readonly terminal: Terminal;
  readonly world: World;
  /** Settings of packages that read them from here are put here. */
  readonly env: Record<string, string | undefined>;
  /** Relative paths on the command line begin here. */
  readonly workingDirectory: string;
  /** Calls `listener` at every request to end: SIGINT, SIGTERM. Returns how to stop listening. */
  readonly onStopRequest: (listener: (signal: string) => void) => () => void;
  /** Whether a process of this machine is there. */
  readonly isAlive: (pid: number) => boolean;
}
