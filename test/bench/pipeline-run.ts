// One measurement of a pipeline: a sender, `spillway run` and a receiver, each a process of its own. Everything that
// was answered 200 has to be at the receiver in the end; a run that lost something, or repeated it, throws.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../integration/free-port.ts';
import { SpillwayProcess } from '../../integration/spillway-process.ts';
import type { Durability } from '../../src/index.ts';
import { messageOf, startChild } from './children.ts';
import type { Received, ReceiverQuestion } from './pipeline-receiver-child.ts';
import { type RequestShape, sharedClockMs } from './pipeline-requests.ts';
import type { Round, SendingTask, Sent } from './pipeline-sender-child.ts';
import type { Bench } from './repetitions.ts';

export type PipelineCase = {
  readonly shape: RequestShape;
  readonly connections: number;
  /** Undefined: each connection sends its next request when the one before is answered. */
  readonly requestsPerSecond?: number;
  /** Undefined: no pipeline, the sender sends to the receiver. That is what the harness can do. */
  readonly pipeline: PipelineUnderLoad | undefined;
};

export type PipelineUnderLoad = {
  readonly durability: Durability;
  readonly compression: 'gzip' | 'none';
  /** Bodies at the receiver at once. Default: 1, strict order. */
  readonly concurrency?: number;
};

export type PipelineOutcome = {
  /** Events a second, from the first request to the last answer, and to the last arrival. */
  readonly taken: number;
  readonly delivered: number;
  readonly sent: Sent;
  readonly received: Received;
  readonly use: ProcessUse | undefined;
};

/** Of the pipeline's process, from the first request to the last arrival. */
export type ProcessUse = {
  readonly cores: number;
  readonly cpuMicrosecondsAnEvent: number;
  readonly rssPeakBytes: number;
};

/** How long a backlog may take to be delivered before it is taken for lost. */
const deliveryMsMax = 120_000;

/** Runs a pipeline once, so that the code of later ones comes from the cache, as children.ts says. */
export async function fillCodeCache(bench: Bench): Promise<void> {
  if (bench.options.smoke) return;
  const shape = { signal: 'logs', events: 1 } as const;
  const pipeline = { durability: 'sync', compression: 'gzip' } as const;
  await runPipelineCase(bench, { shape, connections: 1, requestsPerSecond: 10, pipeline });
}

export async function runPipelineCase(bench: Bench, each: PipelineCase): Promise<PipelineOutcome> {
  await using parties = new AsyncDisposableStack(); // What was started last ends first: the sender, and so on.
  const folder = mkdtempSync(join(bench.scratch, 'pipeline-'));
  parties.defer(() => rmSync(folder, { recursive: true, force: true }));
  const receiver = startChild(bench.scratch, 'pipeline-receiver-child.ts', each.shape);
  parties.defer(() => ended(receiver));
  const receiverUrl = await messageOf<string>(receiver);
  let pipeline: SpillwayProcess | undefined;
  let url = receiverUrl;
  if (each.pipeline !== undefined) {
    // To fill the cache takes longer than a smoke run.
    const env: Record<string, string> = bench.options.smoke
      ? {}
      : { NODE_COMPILE_CACHE: join(bench.scratch, 'compiled') };
    const config = configOf(each.pipeline, receiverUrl);
    const started = new SpillwayProcess({ folder, config, healthPort: await freePort(), env });
    started.start();
    parties.defer(async () => void (started.isRunning && (await started.stop())));
    url = await addressOf(started);
    pipeline = started;
  }
  const task: SendingTask = { url, shape: each.shape, connections: each.connections };
  const sender = startChild(bench.scratch, 'pipeline-sender-child.ts', task);
  parties.defer(() => ended(sender));
  await messageOf(sender);
  return await measure(bench, each, { sender, receiver, pipeline });
}

type Parties = {
  readonly sender: ChildProcess;
  readonly receiver: ChildProcess;
  readonly pipeline: SpillwayProcess | undefined;
};

async function measure(bench: Bench, each: PipelineCase, parties: Parties): Promise<PipelineOutcome> {
  const { pipelineWarmUpMs, pipelineMs } = bench.options.work;
  const { requestsPerSecond, shape } = each;
  const { pipeline } = parties;
  const warmUp = await runRound(parties, { forMs: pipelineWarmUpMs, requestsPerSecond }, shape, 0);
  const cpuBefore = cpuMsOf(pipeline);
  const round = await runRound(parties, { forMs: pipelineMs, requestsPerSecond }, shape, warmUp.sent.requests);
  const { sent, received, endMs } = round;
  const cpuMs = cpuMsOf(pipeline) - cpuBefore;
  const events = sent.requests * shape.events;
  const perSecond = (untilMs: number): number => (events * 1_000) / (untilMs - sent.firstMs);
  const use = pipeline && {
    cores: cpuMs / (endMs - sent.firstMs),
    cpuMicrosecondsAnEvent: (cpuMs * 1_000) / events,
    rssPeakBytes: peakOf(pipeline),
  };
  return { taken: perSecond(sent.lastMs), delivered: perSecond(received.lastMs), sent, received, use };
}

type RoundOutcome = { readonly sent: Sent; readonly received: Received; readonly endMs: number };

/** `before`: how many requests the pipeline has delivered already. */
async function runRound(
  { sender, receiver, pipeline }: Parties,
  round: Round,
  shape: RequestShape,
  before: number,
): Promise<RoundOutcome> {
  await ask(receiver, 'forget');
  const sent = await ask<Sent>(sender, round);
  await delivered(pipeline, (before + sent.requests) * shape.events);
  const endMs = sharedClockMs();
  const received = await ask<Received>(receiver, 'report');
  if (received.requests !== sent.requests || received.repeats > 0) {
    throw new Error(`${sent.requests} requests were taken, ${received.requests} arrived, ${received.repeats} twice`);
  }
  return { sent, received, endMs };
}

function configOf({ durability, compression, concurrency = 1 }: PipelineUnderLoad, receiverUrl: string): string {
  return `
data_dir: data
sources:
  in: { type: otlp, address: "127.0.0.1:0" }
sinks:
  out:
    type: otlp
    inputs: [in]
    endpoint: ${receiverUrl}
    compression: ${compression}
    request: { concurrency: ${concurrency} }
    buffer: { type: disk, max_size: 8GiB, durability: ${durability} }
`;
}

async function addressOf(pipeline: SpillwayProcess): Promise<string> {
  const { sources } = await pipeline.until((status) => status.sources[0]?.address !== undefined);
  return sources[0]?.address ?? '';
}

/** Resolves when the pipeline says that so many events were delivered since its start; at once where there is none. */
async function delivered(pipeline: SpillwayProcess | undefined, events: number): Promise<void> {
  const lastMs = sharedClockMs() + deliveryMsMax;
  await pipeline?.until(({ sinks: [sink] }) => {
    const done = sink?.delivered.events ?? 0;
    if (sharedClockMs() > lastMs) throw new Error(`${done} of ${events} events were delivered:\n${pipeline.log}`);
    return done >= events;
  });
}

async function ask<Answer>(child: ChildProcess, question: Round | ReceiverQuestion): Promise<Answer> {
  const answered = messageOf<Answer>(child);
  child.send(question);
  return await answered;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.disconnect();
  await exit;
}

/** Processor time of all threads, user and system; not a number where the system has no /proc. */
function cpuMsOf(pipeline: SpillwayProcess | undefined): number {
  const ticksPerSecond = 100; // Linux tells it in hundredths of a second, whatever its own clock does.
  const text = procText(pipeline, 'stat');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' '); // The name before may hold anything.
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
}

function peakOf(pipeline: SpillwayProcess | undefined): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(procText(pipeline, 'status'))?.[1]) * 1_024;
}

function procText(pipeline: SpillwayProcess | undefined, name: string): string {
  if (pipeline === undefined) return '';
  try {
    return readFileSync(`/proc/${pipeline.pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}
