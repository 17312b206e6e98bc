// How much a pipeline takes and delivers when its clients send as fast as they are answered.
import { MiB } from '../../src/base/units.ts';
import { fillCodeCache, type PipelineCase, type PipelineOutcome, runPipelineCase } from './pipeline-run.ts';
import { type Bench, type Case, measureInTurns } from './repetitions.ts';
import { calibrationCells, calibrationHeader, figure, type Section } from './report.ts';

const sync = { durability: 'sync', compression: 'gzip' } as const;
const interval = { durability: 'interval', compression: 'gzip' } as const;
const abreast = { durability: 'sync', compression: 'gzip', concurrency: 4 } as const;
const plain = { durability: 'sync', compression: 'none' } as const;

function logs(
  pipeline: PipelineCase['pipeline'],
  sizes: readonly (readonly [events: number, connections: number])[],
): readonly PipelineCase[] {
  return sizes.map(([events, connections]) => ({ shape: { signal: 'logs', events }, connections, pipeline }));
}

const all: readonly PipelineCase[] = [
  ...logs(undefined, [
    [1, 64],
    [100, 16],
    [1_000, 16],
  ]),
  ...logs(sync, [
    [1, 64],
    [100, 1],
    [100, 16],
    [100, 64],
    [1_000, 1],
    [1_000, 16],
  ]),
  ...logs(abreast, [[1_000, 16]]),
  ...logs(interval, [
    [1, 64],
    [100, 1],
    [100, 16],
    [1_000, 16],
  ]),
  ...logs(plain, [
    [100, 16],
    [1_000, 16],
  ]),
  { shape: { signal: 'traces', events: 100 }, connections: 16, pipeline: sync },
];

/** One without a pipeline and one with: together they run every line. */
const fewest = [...logs(undefined, [[1, 64]]), ...logs(sync, [[100, 16]])];

export async function measureThroughput(bench: Bench): Promise<Section> {
  const chosen = bench.options.smoke ? fewest : all;
  const cases = chosen.map(
    (each): Case<PipelineOutcome> => ({
      name: nameOf(each),
      run: () => runPipelineCase(bench, each),
      rank: (outcome) => outcome.delivered,
    }),
  );
  await fillCodeCache(bench);
  const measured = await measureInTurns(bench, cases);
  return {
    title: 'Pipeline throughput',
    notes: [
      'OTLP/HTTP protobuf into the source `otlp`, a disk buffer, and out of the sink `otlp` to a receiver that ' +
        'answers at once. Each connection sends its next request when the one before is answered. "Taken" counts up ' +
        'to the last answer to a client, "delivered" up to the last arrival at the receiver, both in events a ' +
        'second: log records of 250 bytes or so, spans of 170. "Cores" and "µs/event" are processor time, user ' +
        'and system, of all threads of the pipeline from the first request until all was delivered; "rss" is its ' +
        'peak, Node itself included. "Requests a body" tells how many requests the sink joined into one; it sends ' +
        'one body after the other unless a concurrency is named.',
      'Sender, pipeline and receiver are processes on one machine and share its processors: "no pipeline", where the ' +
        'sender sends to the receiver, is what this arrangement can show at most. Every event that was answered 200 ' +
        'was counted at the receiver, none missing and none twice.',
    ],
    header: [
      'requests',
      ...['taken/s', 'delivered/s', 'requests/s', 'p99 ms', 'requests a body'],
      ...['cores', 'µs/event', 'rss MiB'],
      ...calibrationHeader,
    ],
    rows: measured.map(({ name, best: { taken, delivered, sent, received, use }, calibration }) => [
      name,
      figure(taken),
      figure(delivered),
      figure((sent.requests * 1_000) / (sent.lastMs - sent.firstMs)),
      figure(sent.answerP99Ms),
      figure(received.requests / received.bodies),
      figure(use?.cores ?? Number.NaN),
      figure(use?.cpuMicrosecondsAnEvent ?? Number.NaN),
      figure((use?.rssPeakBytes ?? Number.NaN) / MiB),
      ...calibrationCells(calibration),
    ]),
    targets: [],
  };
}

function nameOf({ shape: { signal, events }, connections, pipeline }: PipelineCase): string {
  const what = signal === 'traces' ? 'spans' : events === 1 ? 'log' : 'logs';
  const from = `${connections} ${connections === 1 ? 'connection' : 'connections'}`;
  if (pipeline === undefined) return `${events} ${what}, ${from}, no pipeline`;
  const { durability, compression, concurrency = 1 } = pipeline;
  const abreast = concurrency === 1 ? '' : `, concurrency ${concurrency}`;
  return `${events} ${what}, ${from}, ${durability}, ${compression}${abreast}`;
}
