// The world as an exporter sees it. Telemetry must not decide how long an application lives: no timer here keeps the
// process alive, and no socket does (export-sink.ts). What somebody waits for, a flush or a shutdown, takes its
// deadline from `patience`, whose timers do hold the process, so that it ends after them and not in their middle.

import type { World } from '../pipeline/contract/world.ts';
import type { Clock } from '../platform/clock.ts';
import { NodeClock } from '../platform/node-clock.ts';
import { NodeHostFiles } from '../platform/node-host-files.ts';
import { assertSupportedPlatform, nodePlatform } from '../platform/node-platform.ts';

export interface ExporterWorld extends World {
  /** For bounded waits only. */
  readonly patience: Clock;
}

export function exporterWorld(): ExporterWorld {
  assertSupportedPlatform();
  const { random, fileSystem, clock: patience } = nodePlatform();
  return { clock: new NodeClock({ holdsProcess: false }), patience, random, fileSystem, files: new NodeHostFiles() };
}
