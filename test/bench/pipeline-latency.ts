// How long an event is under way when the pipeline has time: clients send at a rate well below what it can take.
import { MiB } from '../../src/base/units.ts';
import { varied } from './options.ts';
import { fillCodeCache, type PipelineCase, type PipelineOutcome, runPipelineCase } from './pipeline-run.ts';
import { type Bench, type Case, measureInTurns } from './repetitions.ts';
import { calibrationCells, calibrationHeader, figure, type Section } from './report.ts';

const connections = 16;
const ways: readonly (readonly [name: string, PipelineCase['pipeline']])[] = [
  ['no pipeline', undefined],
  ['sync', { durability: 'sync', compression: 'gzip' }],
  ['interval', { durability: 'interval', compression: 'gzip' }],
];
const rates = [
  { events: 1, requestsPerSecond: 500 },
  { events: 100, requestsPerSecond: 100 },
  { events: 100, requestsPerSecond: 400 },
] as const;

export async function measureLatency(bench: Bench): Promise<Section> {
  const cases = varied(bench.options, ways).flatMap(([way, pipeline]) =>
    varied(bench.options, rates).map(({ events, requestsPerSecond }): Case<PipelineOutcome> => {
      const shape = { signal: 'logs', events } as const;
      return {
        name: `${events} ${events === 1 ? 'log' : 'logs'}, ${requestsPerSecond} requests/s, ${way}`,
        run: () => runPipelineCase(bench, { shape, connections, requestsPerSecond, pipeline }),
        rank: ({ received }) => -received.p99Ms,
      };
    }),
  );
  await fillCodeCache(bench);
  const measured = await measureInTurns(bench, cases);
  return {
    title: 'Pipeline latency',
    notes: [
      `As above, but requests are sent at a rate, over ${connections} connections, and the sink compresses. ` +
        '"Answered" is the time until the client has its 200, and so a promise; "delivered" is the time until the ' +
        'whole request is at the receiver. Each request carries the time of its sending, by a clock that all ' +
        'processes of the machine share. The repetition with the smallest p99 of delivery.',
    ],
    header: [
      'requests',
      ...['answered p50 ms', 'answered p99 ms', 'delivered p50 ms', 'delivered p99 ms'],
      ...['cores', 'rss MiB'],
      ...calibrationHeader,
    ],
    rows: measured.map(({ name, best: { sent, received, use }, calibration }) => [
      name,
      ...[sent.answerP50Ms, sent.answerP99Ms, received.p50Ms, received.p99Ms].map(figure),
      figure(use?.cores ?? Number.NaN),
      figure((use?.rssPeakBytes ?? Number.NaN) / MiB),
      ...calibrationCells(calibration),
    ]),
    targets: [],
  };
}
