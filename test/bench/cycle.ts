// The whole cycle: append, write, read, verify, settle. From the tail, the consumer keeps up and reads what still lies
// in memory; from files, everything is appended and written first, then read back and acknowledged.
import { MiB } from '../../src/base/units.ts';
import type { Cursor, DiskBuffer, Durability } from '../../src/index.ts';
import { withFreshBuffer } from './buffers.ts';
import { varied } from './options.ts';
import { Records } from './records.ts';
import { type Bench, type Case, measureInTurns } from './repetitions.ts';
import { calibrationCells, calibrationHeader, figure, type Section } from './report.ts';

const payloadSizes = [64, 256, 1_024, 65_536] as const;
const durabilities: readonly Durability[] = ['memory', 'os', 'interval', 'sync'];
type Place = 'tail' | 'files';

type Outcome = {
  /** Records per second of the whole, and of its two halves where they run one after the other. */
  readonly whole: number;
  readonly appending: number;
  readonly reading: number;
  readonly threadNs: number;
};

export async function measureCycle(bench: Bench): Promise<Section> {
  const cases = varied(bench.options, payloadSizes).flatMap((payloadBytes) =>
    durabilities.flatMap((durability) =>
      (['tail', 'files'] as const).map(
        (place): Case<Outcome> => ({
          name: `${payloadBytes} B, ${durability}, from ${place === 'tail' ? 'the tail' : 'files'}`,
          run: () => runCycle(bench, payloadBytes, durability, place),
          rank: ({ whole }) => whole,
        }),
      ),
    ),
  );
  const measured = await measureInTurns(bench, cases);
  return {
    title: 'Whole cycle',
    notes: [
      'Records per second from the first append to the last acknowledgement, every payload looked at. ' +
        '"Without sync" are `memory` and `os`; `interval` syncs every 100 ms, `sync` before a record may be read. ' +
        '"Thread ns" is the processor time of the JavaScript thread for one record, which neighbours disturb less.',
    ],
    header: ['what', 'records/s', 'MB/s', 'append half', 'read half', 'thread ns', ...calibrationHeader],
    rows: measured.map(({ name, best, calibration }) => [
      name,
      figure(best.whole),
      figure((best.whole * Number.parseInt(name, 10)) / 1e6),
      figure(best.appending),
      figure(best.reading),
      figure(best.threadNs),
      ...calibrationCells(calibration),
    ]),
    targets: measured
      .filter(({ name }) => /^256 B, (?:memory|os),/.test(name))
      .map(({ name, best }) => {
        const found = `${figure(best.whole)}/s`;
        return { what: `whole cycle, ${name}`, wanted: '1,000,000/s', found, holds: best.whole >= 1e6 };
      }),
  };
}

async function runCycle(bench: Bench, payloadBytes: number, durability: Durability, place: Place): Promise<Outcome> {
  const { cycleBytes, cycleRecordsMax } = bench.options.work;
  const count = Math.max(1, Math.min(cycleRecordsMax, Math.floor(cycleBytes / payloadBytes)));
  const records = new Records(payloadBytes);
  return await withFreshBuffer(bench.scratch, { durability }, async (buffer) => {
    const cursor = buffer.cursor('default');
    const cpuBefore = process.threadCpuUsage();
    const start = performance.now();
    let half = Number.NaN;
    if (place === 'tail') {
      await Promise.all([appendAhead(buffer, records, count, windowFor(durability)), consume(cursor, records, count)]);
    } else {
      await appendAll(buffer, records, count);
      half = performance.now();
      await consume(cursor, records, count);
    }
    const end = performance.now();
    const cpu = process.threadCpuUsage(cpuBefore);
    const perSecond = (ms: number): number => (count * 1_000) / ms;
    return {
      whole: perSecond(end - start),
      appending: perSecond(half - start),
      reading: perSecond(end - half),
      threadNs: ((cpu.user + cpu.system) * 1_000) / count,
    };
  });
}

/** How far the producer runs ahead: as far as the slots hold what was appended, so that nothing is read from files. */
function windowFor(durability: Durability): number {
  return durability === 'memory' || durability === 'os' ? 2 * MiB : 8 * MiB;
}

async function appendAhead(buffer: DiskBuffer, records: Records, count: number, windowBytes: number): Promise<void> {
  const window = Math.max(1, Math.floor(windowBytes / (records.payloadBytes + 12)));
  while (records.sent < count) {
    const end = Math.min(count, records.checked + window);
    while (records.sent < end) {
      if (buffer.tryAppend(records.next) === 'accepted') records.took();
      else await buffer.ready();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Appends as fast as memory frees up. */
async function appendAll(buffer: DiskBuffer, records: Records, count: number): Promise<void> {
  while (records.sent < count) {
    if (buffer.tryAppend(records.next) === 'accepted') records.took();
    else await buffer.ready();
  }
}

async function consume(cursor: Cursor, records: Records, count: number): Promise<void> {
  while (records.checked < count) {
    const delivery = await cursor.read();
    if (delivery === undefined) throw new Error('the buffer was closed');
    records.check(delivery);
    delivery.ack();
  }
}
