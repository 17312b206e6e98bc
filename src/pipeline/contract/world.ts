// What every component of a pipeline gets of the world. Plugins take time, chance and files from here, never from
// globals, so that their tests run in virtual time.

import type { Clock } from '../../platform/clock.ts';
import type { FileSystem } from '../../platform/file-system.ts';
import type { HostFiles } from '../../platform/host-files.ts';
import type { Random } from '../../platform/random.ts';

export interface World {
  readonly clock: Clock;
  readonly random: Random;
  /** For buffers: the engine's file system. */
  readonly fileSystem: FileSystem;
  /** For files that belong to the host: logs to tail, output to write, checkpoints. */
  readonly files: HostFiles;
}
