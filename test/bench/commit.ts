// Group commit: many appenders, each of them waiting until its record is durable before it sends the next one.
import type { DiskBuffer, Durability } from '../../src/index.ts';
import { withFreshBuffer } from './buffers.ts';
import { varied } from './options.ts';
import { type Bench, type Case, measureInTurns, percentile } from './repetitions.ts';
import { calibrationCells, calibrationHeader, figure, type Section } from './report.ts';

const payloadBytes = 256;
const crowds = [1, 64, 1024] as const;
const durabilities: readonly Durability[] = ['sync', 'interval', 'os', 'memory'];

type Outcome = {
  readonly recordsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly recordsPerSync: number;
};

export async function measureCommit(bench: Bench): Promise<Section> {
  const cases = durabilities.flatMap((durability) =>
    varied(bench.options, crowds).map(
      (appenders): Case<Outcome> => ({
        name: nameOf(durability, appenders),
        run: () =>
          withFreshBuffer(bench.scratch, { durability }, (buffer) =>
            crowd(buffer, appenders, bench.options.work.commitMs),
          ),
        rank: ({ recordsPerSecond }) => recordsPerSecond,
      }),
    ),
  );
  const measured = await measureInTurns(bench, cases);
  return {
    title: 'Group commit',
    notes: [
      'Each appender awaits `append`, which resolves when the promise of the durability holds, ' +
        'before it appends again. `interval` and `os` promise what is written, `memory` what is copied.',
    ],
    header: ['what', 'records/s', 'p50 ms', 'p99 ms', 'records a sync', ...calibrationHeader],
    rows: measured.map(({ name, best, calibration }) => [
      name,
      figure(best.recordsPerSecond),
      figure(best.p50Ms),
      figure(best.p99Ms),
      figure(best.recordsPerSync),
      ...calibrationCells(calibration),
    ]),
    targets: measured
      .filter(({ name }) => name === nameOf('sync', 1_024))
      .map(({ name, best }) => {
        const found = `${figure(best.recordsPerSecond)}/s`;
        return { what: name, wanted: '500,000/s', found, holds: best.recordsPerSecond >= 500_000 };
      }),
  };
}

function nameOf(durability: Durability, appenders: number): string {
  return `append, ${payloadBytes} B, ${durability}, ${appenders} ${appenders === 1 ? 'appender' : 'appenders'}`;
}

async function crowd(buffer: DiskBuffer, appenders: number, forMs: number): Promise<Outcome> {
  const payload = new Uint8Array(payloadBytes).fill(0x61);
  let latencies = new Float64Array(1 << 16);
  let count = 0;
  const start = performance.now();
  const end = start + forMs;
  const appendUntilEnd = async (): Promise<void> => {
    for (let now = start; now < end; ) {
      const result = await buffer.append(payload);
      if (result.status !== 'stored') throw new Error('a record was not stored');
      const then = performance.now();
      if (count === latencies.length) {
        const larger = new Float64Array(2 * count);
        larger.set(latencies);
        latencies = larger;
      }
      latencies[count++] = then - now;
      now = then;
    }
  };
  const { syncs: syncsBefore } = buffer.stats().work;
  await Promise.all(Array.from({ length: appenders }, appendUntilEnd));
  const elapsedMs = performance.now() - start;
  const syncs = buffer.stats().work.syncs - syncsBefore;
  const sorted = latencies.subarray(0, count).sort();
  return {
    recordsPerSecond: (count * 1_000) / elapsedMs,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    recordsPerSync: syncs === 0 ? Number.POSITIVE_INFINITY : count / syncs,
  };
}
