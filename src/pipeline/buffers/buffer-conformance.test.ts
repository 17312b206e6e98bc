// Every buffer under the cases that all of them pass.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { DiskBuffer } from '../../engine/disk-buffer.ts';
import {
  type BufferHarness,
  bufferCases,
  realTime,
  realWorld,
  simulatedTime,
  simulatedWorld,
} from '../../testing/index.ts';
import { MemoryBuffer } from './memory-buffer.ts';
import { OverflowBuffer } from './overflow-buffer.ts';

const maxBytes = 1_048_576;

function memory(): BufferHarness {
  const { clock, random, sim } = simulatedWorld();
  return {
    time: simulatedTime(sim),
    keeps: 'nothing',
    async open({ whenFull, cursors }) {
      const names = cursors.map(({ name }) => name);
      return new MemoryBuffer({ cursors: names, maxBytes, maxEvents: 200_000, whenFull, clock, random });
    },
    close: async () => undefined,
  };
}

function simulatedDisk(): BufferHarness {
  const { clock, random, fileSystem, sim } = simulatedWorld();
  const time = simulatedTime(sim);
  return {
    time,
    keeps: 'everything',
    open: (options) => time.run(DiskBuffer.open({ path: '/data/b', maxBytes, ...options, clock, random, fileSystem })),
    close: async () => undefined,
  };
}

async function realDisk(): Promise<BufferHarness> {
  const { clock, random, fileSystem } = realWorld();
  const time = realTime(clock);
  const path = await mkdtemp(join(tmpdir(), 'spillway-buffer-'));
  return {
    time,
    keeps: 'everything',
    open: (options) => DiskBuffer.open({ path, maxBytes, ...options, clock, random, fileSystem, closeTimeoutMs: 50 }),
    close: () => rm(path, { recursive: true }),
  };
}

function chain(memoryBytes: number): () => BufferHarness {
  return () => {
    const { clock, random, fileSystem, sim } = simulatedWorld();
    const time = simulatedTime(sim);
    return {
      time,
      keeps: 'a part',
      dropsInTheMiddle: memoryBytes > 20_000,
      async open({ whenFull, cursors }) {
        const names = cursors.map(({ name }) => name);
        const limits = { maxBytes: memoryBytes, maxEvents: 100_000, whenFull: 'block' } as const;
        const first = new MemoryBuffer({ cursors: names, ...limits, clock, random });
        const world = { clock, random, fileSystem };
        const last = await time.run(DiskBuffer.open({ path: '/data/b', maxBytes, whenFull, cursors, ...world }));
        return new OverflowBuffer({ stages: [first, last], cursors, clock, random });
      },
      close: async () => undefined,
    };
  };
}

describe('the buffer in memory', () => {
  for (const { name, run } of bufferCases(memory)) it(name, run);
});

describe('the buffer on a simulated disk', () => {
  for (const { name, run } of bufferCases(simulatedDisk)) it(name, run);
});

describe('the buffer on a real disk', () => {
  for (const { name, run } of bufferCases(realDisk)) it(name, run);
});

describe('a chain that spills at once', () => {
  for (const { name, run } of bufferCases(chain(4_096))) it(name, run);
});

describe('a chain with room in memory', () => {
  for (const { name, run } of bufferCases(chain(200_000))) it(name, run);
});
