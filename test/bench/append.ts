// How long one tryAppend takes: bursts that fit the slots, so that nothing but the append itself is timed. Frames that
// fill up on the way are closed and their checksums computed inside the measured time.
import { MiB } from '../../src/base/units.ts';
import type { DiskBuffer, Durability } from '../../src/index.ts';
import { withFreshBuffer } from './buffers.ts';
import { varied } from './options.ts';
import { Records } from './records.ts';
import { type Bench, type Case, measureInTurns } from './repetitions.ts';
import { calibrationCells, calibrationHeader, figure, type Section } from './report.ts';

const payloadSizes = [64, 256, 1_024] as const;
const durabilities: readonly Durability[] = ['memory', 'os'];
const burstBytes = 2 * MiB;

export async function measureAppend(bench: Bench): Promise<Section> {
  const cases = varied(bench.options, payloadSizes).flatMap((payloadBytes) =>
    durabilities.map(
      (durability): Case<number> => ({
        name: `tryAppend, ${payloadBytes} B, ${durability}`,
        run: () =>
          withFreshBuffer(bench.scratch, { durability }, (buffer) =>
            appendBursts(buffer, new Records(payloadBytes), bench.options.work.appendBursts),
          ),
        rank: (nanoseconds) => -nanoseconds,
      }),
    ),
  );
  const measured = await measureInTurns(bench, cases);
  return {
    title: 'Append',
    notes: [
      'Time of one `tryAppend` on the calling thread. Closing frames and computing their checksums is included, ' +
        'writing is not.',
    ],
    header: ['what', 'ns a record', ...calibrationHeader],
    rows: measured.map(({ name, best, calibration }) => [name, figure(best), ...calibrationCells(calibration)]),
    targets: [],
  };
}

/** Nanoseconds a record, over all bursts. Between bursts everything is written and read, outside the measured time. */
async function appendBursts(buffer: DiskBuffer, records: Records, bursts: number): Promise<number> {
  const count = Math.floor(burstBytes / (records.payloadBytes + 12));
  const cursor = buffer.cursor('default');
  let elapsedMs = 0;
  for (let burst = 0; burst < bursts; burst++) {
    const start = performance.now();
    for (let record = 0; record < count; record++) {
      if (buffer.tryAppend(records.next) !== 'accepted') throw new Error('a burst is meant to fit the slots');
      records.took();
    }
    elapsedMs += performance.now() - start;
    while (records.checked < records.sent) {
      const delivery = await cursor.read();
      if (delivery === undefined) throw new Error('the buffer was closed');
      records.check(delivery);
      delivery.ack();
    }
  }
  return (elapsedMs * 1e6) / (bursts * count);
}
