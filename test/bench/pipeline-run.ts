// One measurement of a pipeline: a sender, `spillway run` and a receiver, each a process of its own. Everything that
// was answered 200 has to be at the receiver in the end; a run that lost something, or repeated it, throws.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, SpillwayProcess } from '../../integration/spillway-process.ts';
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

export async function runPipelineCase(bench: Bench, each: PipelineCase): Promise<PipelineOutcome> {
  const folder = mkdtempSync(join(bench.scratch, 'pipeline-'));
  const children: ChildProcess[] = [];
  const start = (program: string, task: unknown): ChildProcess => {
    const child = startChild(bench.scratch, program, task);
    children.push(child);
    return child;
  };
  let pipeline: SpillwayProcess | undefined;
  try {
    const receiver = start('pipeline-receiver-child.ts', each.shape);
    const receiverUrl = await messageOf<string>(receiver);
    let url = receiverUrl;
    if (each.pipeline !== undefined) {
      const config = configOf(each.pipeline, receiverUrl);
      const env = { NODE_COMPILE_CACHE: join(bench.scratch, 'compiled') };
      pipeline = new SpillwayProcess({ folder, config, healthPort: await freePort(), env });
      pipeline.start();
      url = await addressOf(pipeline);
    }
    const task: SendingTask = { url, shape: each.shape, connections: each.connections };
    const sender = start('pipeline-sender-child.ts', task);
    await messageOf(sender);
    return await measure(bench, each, { sender, receiver, pipeline });
  } finally {
    for (const child of children.reverse()) await ended(child);
    if (pipeline?.isRunning === true) await pipeline.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

type Parties = {
  readonly sender: ChildProcess;
  readonly receiver: ChildProcess;
  readonly pipeline: SpillwayProcess | undefined;
};

async function measure(bench: Bench, each: PipelineCase, parties: Parties): Promise<PipelineOutcome> {
  const { pipelineWarmUpMs, pipelineMs } = bench.options.work;
  const { requestsPerSecond, shape } = each;
  const { sender, receiver, pipeline } = parties;
  const warmUp = await ask<Sent>(sender, { forMs: pipelineWarmUpMs, requestsPerSecond } satisfies Round);
  await delivered(pipeline, warmUp.requests * shape.events);
  await ask(receiver, 'forget' satisfies ReceiverQuestion);

  const cpuBefore = cpuMsOf(pipeline);
  const startMs = sharedClockMs();
  const sent = await ask<Sent>(sender, { forMs: pipelineMs, requestsPerSecond } satisfies Round);
  await delivered(pipeline, (warmUp.requests + sent.requests) * shape.events);
  const cpuMs = cpuMsOf(pipeline) - cpuBefore;
  const elapsedMs = sharedClockMs() - startMs;
  const rssPeakBytes = peakOf(pipeline);
  const received = await ask<Received>(receiver, 'report' satisfies ReceiverQuestion);
  if (received.requests !== sent.requests || received.repeats > 0) {
    throw new Error(`${sent.requests} requests were taken, ${received.requests} arrived, ${received.repeats} twice`);
  }
  const events = sent.requests * shape.events;
  const perSecond = (untilMs: number): number => (events * 1_000) / (untilMs - sent.firstMs);
  const cpuMicrosecondsAnEvent = (cpuMs * 1_000) / events;
  const use = pipeline && { cores: cpuMs / elapsedMs, cpuMicrosecondsAnEvent, rssPeakBytes };
  return { taken: perSecond(sent.lastMs), delivered: perSecond(received.lastMs), sent, received, use };
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
  await pipeline?.until(({ sinks }) => (sinks[0]?.delivered.events ?? 0) >= events);
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
