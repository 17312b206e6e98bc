// What the machine can do at this moment, measured right before each figure: rented machines drift by a factor of ten
// between minutes, and a figure without its calibration says more about the neighbours than about the code.
import { closeSync, fdatasyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { KiB, MiB } from '../../src/base/units.ts';
import type { Work } from './options.ts';

export type Calibration = {
  /** Million rounds a second of a loop that depends on each round before it. */
  readonly cpuRounds: number;
  /** MB/s of plain writes of 1 MiB into a growing file, one fdatasync at the end included. */
  readonly rawWrite: number;
  /** fdatasync calls a second, each after 4 KiB appended. */
  readonly rawSyncs: number;
};

const block = new Uint8Array(MiB).fill(0x5a);

/** Keeps the loop's result alive, so that it cannot be optimised away. */
let sink = 0;

export function calibrate(directory: string, work: Work): Calibration {
  const descriptor = openSync(join(directory, 'calibration'), 'w', 0o600);
  try {
    const rawWrite = measureWrites(descriptor, work.calibrationBytes);
    const rawSyncs = measureSyncs(descriptor, work.calibrationBytes, work.calibrationMs);
    ftruncateSync(descriptor, 0);
    fdatasyncSync(descriptor);
    return { cpuRounds: measureCpu(work.calibrationRounds), rawWrite, rawSyncs };
  } finally {
    closeSync(descriptor);
  }
}

function measureCpu(rounds: number): number {
  const start = performance.now();
  let state = 1 + (sink & 1);
  for (let round = 0; round < rounds; round++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
  }
  sink = state;
  return rounds / 1_000 / (performance.now() - start);
}

function measureWrites(descriptor: number, byteLength: number): number {
  const start = performance.now();
  const step = Math.min(block.length, byteLength);
  for (let at = 0; at < byteLength; at += step) writeSync(descriptor, block, 0, step, at);
  fdatasyncSync(descriptor);
  return byteLength / 1_000 / (performance.now() - start);
}

function measureSyncs(descriptor: number, from: number, forMs: number): number {
  const start = performance.now();
  let calls = 0;
  let elapsedMs = 0;
  while (elapsedMs < forMs || calls === 0) {
    writeSync(descriptor, block, 0, 4 * KiB, from + calls * 4 * KiB);
    fdatasyncSync(descriptor);
    calls += 1;
    elapsedMs = performance.now() - start;
  }
  return (calls * 1_000) / elapsedMs;
}
