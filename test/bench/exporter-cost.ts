// What an exporter costs the application it is in, beside the official one.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { runChild } from './children.ts';
import type { ExporterCost, ExporterTask } from './exporter-child.ts';
import { type Bench, measureInTurns } from './repetitions.ts';
import { calibrationCells, calibrationHeader, figure, type Section } from './report.ts';

const exporters = ['none', 'official', 'interval', 'sync'] as const;
const spansPerSecond = 5_000;

const names: Readonly<Record<(typeof exporters)[number], string>> = {
  none: 'no exporter',
  official: 'official, no disk',
  interval: 'buffered, interval',
  sync: 'buffered, sync',
};

export async function measureExporterCost(bench: Bench): Promise<Section> {
  const { work, smoke } = bench.options;
  const receiver = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/v1/traces`;
  const times = { warmUpMs: 4 * work.pipelineWarmUpMs, forMs: 5 * work.pipelineMs };
  let count = 0;
  try {
    const measured = await measureInTurns(
      bench,
      exporters.map((exporter) => ({
        name: names[exporter],
        run: () => {
          const path = join(bench.scratch, `exporter-${count++}`);
          const task: ExporterTask = { exporter, url, path, spansPerSecond: smoke ? 500 : spansPerSecond, ...times };
          return runChild<ExporterCost>(bench.scratch, 'exporter-child.ts', task);
        },
        rank: ({ microsecondsPerSpan }: ExporterCost) => -microsecondsPerSpan,
      })),
    );
    const base = measured[0]?.best.microsecondsPerSpan ?? 0;
    return {
      title: 'Exporters for the OpenTelemetry SDK',
      notes: [
        `An application makes ${spansPerSecond.toLocaleString('en-US')} spans a second with ten attributes each; a ` +
          'batch processor exports every 200 ms, with gzip, to a receiver that answers at once. "µs/span" is ' +
          'processor time of all threads of the application from the first span until all were delivered; "over ' +
          'none" is that without what making the spans costs. Loop delay is measured while the spans are made, with ' +
          'a timer of 1 ms; the spans of 10 ms are made at once, which is most of what it shows.',
      ],
      header: ['exporter', 'µs/span', 'over none', 'loop p50 ms', 'loop p99 ms', 'loop max ms', ...calibrationHeader],
      rows: measured.map(({ name, best, calibration }) => [
        name,
        figure(best.microsecondsPerSpan),
        figure(best.microsecondsPerSpan - base),
        ...[best.loopP50Ms, best.loopP99Ms, best.loopMaxMs].map(figure),
        ...calibrationCells(calibration),
      ]),
      targets: [],
    };
  } finally {
    receiver.closeAllConnections();
    receiver.close();
  }
}
