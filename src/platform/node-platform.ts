// The real world, as a buffer gets it unless it is given another one.
import { hostname } from 'node:os';
import { UsageError } from '../base/errors.ts';
import type { Clock } from './clock.ts';
import type { LockHolder } from './directory-lock.ts';
import type { FileSystem } from './file-system.ts';
import { NodeClock } from './node-clock.ts';
import { NodeFileSystem } from './node-file-system.ts';
import { NodeRandom } from './node-random.ts';
import type { Random } from './random.ts';

export type Platform = {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  /** Who this process is, for whoever finds a directory locked by it. */
  readonly holder: LockHolder;
};

export function nodePlatform(): Platform {
  return { fileSystem: new NodeFileSystem(), clock: new NodeClock(), random: new NodeRandom(), holder: thisProcess() };
}

/** Throws where the promises about the disk cannot be kept. On macOS they can, but are only tested for development. */
export function assertSupportedPlatform(platform: NodeJS.Platform = process.platform): void {
  if (platform === 'linux' || platform === 'darwin') return;
  throw new UsageError({
    code: 'SPILLWAY_USAGE_PLATFORM',
    message:
      `Could not open a buffer on ${platform}: Spillway needs an operating system that syncs directories and keeps ` +
      'POSIX record locks, and was tested on Linux and macOS. Run it on one of these, in a container for example.',
  });
}

function thisProcess(): LockHolder {
  const startedMs = Date.now() - performance.now();
  return { pid: process.pid, host: hostname(), started: new Date(startedMs).toISOString(), title: process.title };
}
