// The source that makes up telemetry: for a first look, for load, and for proofs that count.
//
// Every event has a number, `spillway.generate.sequence`, from 1 in every run, and its resource names the run,
// `spillway.generate.run`. A number is skipped never and given to one event only; a batch that the buffers did not take
// is offered again, the same bytes. The journal in the state directory (run-journal.ts) says how far each run came. So
// a receiver can count exactly, also over a SIGKILL: of a run with `last` L, everything from 1 to L was sent, and what
// arrived above L was under way when the process died.

import { z } from 'zod';
import type { Signal, TelemetryBatch } from '../../../otlp/signal.ts';
import { pause } from '../../../platform/pause.ts';
import { defineSource, type SourceDefinition } from '../../contract/definition.ts';
import type { EmitResult, Source, SourceContext } from '../../contract/source.ts';
import { EventPace } from './event-pace.ts';
import { requestOf } from './generated-request.ts';
import { RunJournal } from './run-journal.ts';
import { type MadeEvent, Traffic } from './traffic.ts';

/** Events wait for company this long at most: a request for each single event would be no realistic load. */
const tickMs = 100;
const catchUpMsMax = 5_000;
/** Of all events, where there are requests to measure; the others are log records and spans as requests leave them. */
const metricsShare = 0.15;
/** Requests that pass before the same number of points is measured, where points are all that is wanted. */
const pointsPerRequest = 4;

const schema = z.strictObject({
  rate: z.number().positive().max(1e8).default(100).describe('Events in a second, all signals together.'),
  signals: z
    .array(z.enum(['logs', 'traces', 'metrics']))
    .min(1)
    .default(['logs', 'traces', 'metrics'])
    .describe('What to make.'),
  count: z
    .number()
    .int()
    .positive()
    .optional()
    .describe('Ends after so many events, counted over all runs. Default: goes on.'),
  seed: z
    .union([z.string(), z.number()])
    .optional()
    .describe('The same seed makes the same content. Default: another one in every run.'),
  batch_events: z.number().int().min(1).max(100_000).default(1_000).describe('Events in a batch at most.'),
  services: z
    .array(z.string().min(1))
    .min(1)
    .max(100)
    .default(['frontend', 'checkout', 'cart', 'catalog', 'payment'])
    .describe('Names of the services; requests enter at the first and go on to later ones.'),
});

type Options = z.output<typeof schema>;

export const generateSource: SourceDefinition = defineSource({
  type: 'generate',
  schema,
  signals: (options) => options.signals,
  create: (options, context) => new GenerateSource(options, context),
});

class GenerateSource implements Source {
  readonly #options: Options;
  readonly #context: SourceContext;
  readonly #run: string;
  #last = 0;
  #dropped = 0;

  constructor(options: Options, context: SourceContext) {
    this.#options = options;
    this.#context = context;
    this.#run = Buffer.from(context.world.random.bytes(8)).toString('hex');
  }

  async run(): Promise<void> {
    const { world, stateDirectory, log } = this.#context;
    const journal = await RunJournal.open(world.files, stateDirectory);
    try {
      const sentBefore = journal.earlier.reduce((sum, { last }) => sum + last, 0);
      const left = (this.#options.count ?? Number.POSITIVE_INFINITY) - sentBefore;
      if (left <= 0) {
        log.info('everything was sent by earlier runs; remove the directory to begin again', { stateDirectory });
        return;
      }
      await this.#send(journal, left);
    } finally {
      await journal.close();
    }
  }

  async #send(journal: RunJournal, left: number): Promise<void> {
    const { world, stopping } = this.#context;
    const { clock } = world;
    const { rate, batch_events: batchEvents, services } = this.#options;
    const seed = `${this.#options.seed ?? this.#run}/${journal.earlier.length}`;
    const traffic = new Traffic({ seed, services, startMs: clock.now() });
    const pace = new EventPace({ rate, startMs: clock.monotonic(), catchUpMsMax });
    const supply = new Supply(traffic, this.#options.signals);
    while (!stopping.aborted && this.#last < left) {
      const full = Math.min(batchEvents, left - this.#last);
      if (pace.due(clock.monotonic()) < full) {
        const nowMs = clock.monotonic();
        await pause(clock, Math.max(pace.waitMs(nowMs, 1), Math.min(tickMs, pace.waitMs(nowMs, full))), stopping);
        if (stopping.aborted) return;
      }
      const due = Math.min(pace.due(clock.monotonic()), full);
      for (const { signal, events } of supply.take(due, clock.now())) {
        if (!(await this.#deliver(journal, signal, events))) return;
      }
      pace.take(due);
      await turn(clock); // Where nothing ever makes us wait, others would never have their turn.
    }
  }

  /** Offers events until the buffers have answered for all of them; false when the source shall stop. */
  async #deliver(journal: RunJournal, signal: Signal, events: readonly MadeEvent[]): Promise<boolean> {
    const { services } = this.#options;
    const batch = requestOf(signal, events, { run: this.#run, services, first: this.#last + 1 });
    const result = await this.#offer(batch);
    switch (result?.kind) {
      case undefined:
        return false;
      case 'too_large':
        throw new Error(`Could not emit ${events.length} events: one is larger than ${result.limitBytes} bytes`);
      case 'dropped':
        this.#dropped += result.events;
        break;
      default:
    }
    this.#last += batch.events;
    await journal.note({ run: this.#run, last: this.#last, dropped: this.#dropped });
    return true;
  }

  /** The answer that ends a batch, or undefined when the source shall stop. */
  async #offer(batch: TelemetryBatch): Promise<Exclude<EmitResult, { kind: 'full' | 'unavailable' }> | undefined> {
    const { emit, stopping, world } = this.#context;
    for (;;) {
      const result = await emit(batch, { signal: stopping });
      if (result.kind !== 'full' && result.kind !== 'unavailable') return result;
      if (stopping.aborted) return undefined;
      await pause(world.clock, Math.max(1, result.retryAfterMs), stopping);
      if (stopping.aborted) return undefined;
    }
  }
}

/** Takes events from the traffic in the proportions in which it makes them. */
class Supply {
  readonly #traffic: Traffic;
  readonly #wants: Readonly<Record<Signal, boolean>>;
  readonly #pointShare: number;
  #pointsDue = 0;
  #pointsTaken = 0;

  constructor(traffic: Traffic, wanted: readonly Signal[]) {
    this.#traffic = traffic;
    this.#wants = {
      logs: wanted.includes('logs'),
      traces: wanted.includes('traces'),
      metrics: wanted.includes('metrics'),
    };
    const hasRequests = this.#wants.logs || this.#wants.traces;
    this.#pointShare = this.#wants.metrics ? (hasRequests ? metricsShare : 1) : 0;
  }

  /** Exactly so many events, by signal. */
  take(count: number, nowMs: number): { signal: Signal; events: MadeEvent[] }[] {
    this.#pointsDue += count * this.#pointShare;
    const points = Math.min(count, Math.floor(this.#pointsDue + 1e-6));
    this.#pointsDue -= points;
    const { logs, spans } = this.#takeFlow(count - points, nowMs);
    const taken: { signal: Signal; events: MadeEvent[] }[] = [
      { signal: 'traces', events: spans },
      { signal: 'logs', events: logs },
      { signal: 'metrics', events: this.#takePoints(points, nowMs) },
    ];
    return taken.filter(({ events }) => events.length > 0);
  }

  #takeFlow(count: number, nowMs: number): { logs: MadeEvent[]; spans: MadeEvent[] } {
    const traffic = this.#traffic;
    if (!this.#wants.logs && !this.#wants.traces) return { logs: [], spans: [] };
    while (traffic.logs.length + traffic.spans.length < count) {
      traffic.request(nowMs);
      if (!this.#wants.logs) traffic.logs = [];
      if (!this.#wants.traces) traffic.spans = [];
    }
    const held = traffic.logs.length + traffic.spans.length;
    const logCount = held === 0 ? 0 : Math.round((count * traffic.logs.length) / held);
    return { logs: traffic.logs.splice(0, logCount), spans: traffic.spans.splice(0, count - logCount) };
  }

  #takePoints(count: number, nowMs: number): MadeEvent[] {
    const points: MadeEvent[] = [];
    const hasRequests = this.#wants.logs || this.#wants.traces;
    for (let taken = 0; taken < count; taken++) {
      this.#pointsTaken += 1;
      if (!hasRequests && this.#pointsTaken % pointsPerRequest === 1) this.#requestForItsOwnSake(nowMs);
      points.push(this.#traffic.point(nowMs));
    }
    return points;
  }

  #requestForItsOwnSake(nowMs: number): void {
    this.#traffic.request(nowMs);
    this.#traffic.logs = [];
    this.#traffic.spans = [];
  }
}

function turn(clock: SourceContext['world']['clock']): Promise<void> {
  return new Promise((resolve) => clock.defer(resolve));
}
